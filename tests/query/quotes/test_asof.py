"""Trades with their quotes equal pandas.merge_asof, and what follows from them plain arithmetic."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.errors import BadInput
from app.market.quote import AsOf, QuoteMatch, SideRule, TradeSide
from app.query.market import Market
from app.query.quotes.asof import TradeQuote, as_of, read_trade_quotes
from app.query.quotes.effective_spread import (
    EffectiveSpreadStatistics,
    read_effective_spread,
    realized_after,
)
from app.query.trades import trade_page
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.market import store_trades
from tests.query.quotes.matched import Matched, matched, trades_among
from tests.query.quotes.quoted import random_quotes, random_times, store_quotes
from tests.query.reading import reading, subjects_of
from tests.query.recompute import RawTrade

START = datetime(2024, 1, 1, tzinfo=UTC)
QUOTES = {
    "A": random_quotes(1, random_times(1, START, 600, 300, timedelta(days=40))),
    "B": random_quotes(2, random_times(2, START + timedelta(hours=9), 300, 3)),
}
TRADES = {symbol: trades_among(7, quotes, 500) for symbol, quotes in QUOTES.items()}
COUNTED = {symbol: [t for t in trades if t.trade_id % 10] for symbol, trades in TRADES.items()}
UNQUOTED = [
    RawTrade(time=START, trade_id=1, price=Decimal(5), size=Decimal(1), trading_date=START.date())
]
MATCHINGS = {
    "before": {},
    "at or before": {"exact": True},
    "a second before": {"lag": timedelta(seconds=1)},
    "a millisecond before or at": {"exact": True, "lag": timedelta(milliseconds=1)},
}


@pytest.fixture(scope="module")
async def market(
    database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Market]:
    folder = tmp_path_factory.mktemp("matched")
    with connect(database.url, timeout_s=10, statement_timeout_s=60) as connection:
        for symbol in QUOTES:
            store_quotes(connection, folder, symbol, "24/7", QUOTES[symbol])
            store_trades(connection, folder, symbol, "24/7", TRADES[symbol])
        store_trades(connection, folder, "C", "24/7", UNQUOTED)
        connection.execute("UPDATE trade SET cancelled = true WHERE trade_id %% 10 = 0", ())
    async with reading(database.url) as opened:
        yield opened


def matching_of(exact: bool = False, lag: timedelta = timedelta()) -> AsOf:
    return AsOf(lag=lag, match=QuoteMatch.AT_OR_BEFORE if exact else QuoteMatch.BEFORE)


def assert_equal(found: TradeQuote, wanted: Matched) -> None:
    trade, quote, mid = wanted.trade, wanted.quote, wanted.mid
    assert (found.trade.time, found.trade.trade_id) == (trade.time, trade.trade_id)
    assert (found.quote and found.quote.quote_id) == (quote and quote.quote_id)
    assert found.mid == mid
    sides = {1: TradeSide.BUYER, -1: TradeSide.SELLER, None: None}
    assert found.side is sides[wanted.side]
    if mid is None or quote is None or quote.bid is None or quote.ask is None:
        assert (found.side_rule, found.effective_spread, found.signed_effective_spread) == (
            None, None, None,
        )  # fmt: skip
        assert (found.effective_spread_bps, found.price_improvement) == (None, None)
        return
    assert found.effective_spread == abs(trade.price - mid) * 2
    assert found.signed_effective_spread == (trade.price - mid) * 2
    assert found.effective_spread_bps == pytest.approx(
        float(abs(trade.price - mid) * 20_000 / mid), rel=1e-12
    )
    if wanted.side is None:
        assert (found.side_rule, found.price_improvement) == (None, None)
        return
    assert found.side_rule is (SideRule.TICK if wanted.by_tick else SideRule.QUOTE)
    better = quote.ask - trade.price if wanted.side == 1 else trade.price - quote.bid
    assert found.price_improvement == better


@pytest.mark.parametrize("matching", MATCHINGS)
async def test_pages_equal_merge_asof(market: Market, matching: str) -> None:
    options = MATCHINGS[matching]
    ids = [each.instrument_id for each in await subjects_of(market.reader, "A", "B", "C")]
    wanted = {symbol: matched(COUNTED[symbol], QUOTES[symbol], **options) for symbol in QUOTES}  # type: ignore[arg-type]
    sides = {(each.side, each.by_tick) for found in wanted.values() for each in found}
    assert sides == {(1, True), (-1, True), (1, False), (-1, False), (None, False)}
    for place, symbol in enumerate(QUOTES):
        after, found = None, []
        while True:
            page = trade_page(None, None, 170, after, 1000)
            pages = await read_trade_quotes(market, ids, page, matching_of(**options))  # type: ignore[arg-type]
            found += pages[place].trades
            if not pages[place].has_next:
                break
            after = found[-1].trade.order_key
        for one, expected in zip(found, wanted[symbol], strict=True):
            assert_equal(one, expected)


async def test_trades_of_an_instrument_without_quotes_have_none(market: Market) -> None:
    (subject,) = await subjects_of(market.reader, "C")
    page = trade_page(None, None, 10, None, 1000)
    (found,) = await read_trade_quotes(market, [subject.instrument_id], page, AsOf())
    assert [(each.quote, each.mid, each.side) for each in found.trades] == [(None, None, None)]
    (statistics,) = await read_effective_spread(
        market, [subject], START, START + timedelta(days=1), AsOf(), timedelta(minutes=5)
    )
    assert isinstance(statistics, EffectiveSpreadStatistics)
    assert (statistics.trades, statistics.matched, statistics.mean) == (1, 0, None)


def mean(values: list[Decimal], sizes: list[Decimal] | None = None) -> float | None:
    weights = [Decimal(1)] * len(values) if sizes is None else sizes
    total = sum(weights, Decimal())
    if not total:
        return None
    summed = sum((v * w for v, w in zip(values, weights, strict=True)), Decimal())
    return float(summed / total)


RANGES = {
    "all": (START - timedelta(days=9), START + timedelta(days=900)),
    "from the middle": (COUNTED["B"][200].time, COUNTED["B"][400].time),
    "between trades at the mid": (COUNTED["B"][30].time, COUNTED["B"][31].time),
    "after a month": (START + timedelta(days=39), START + timedelta(days=200)),
    "before all": (START - timedelta(days=9), START - timedelta(days=8)),
}


@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize("matching", MATCHINGS)
@pytest.mark.parametrize("after_s", [2, 300])
async def test_statistics_equal_plain_sums(
    market: Market, matching: str, span: str, after_s: int
) -> None:
    options, (start, end) = MATCHINGS[matching], RANGES[span]
    after = timedelta(seconds=after_s)
    subjects = await subjects_of(market.reader, "A", "B")
    answers = await read_effective_spread(
        market, subjects, start, end, matching_of(**options), after  # type: ignore[arg-type]
    )  # fmt: skip
    for symbol, found in zip(QUOTES, answers, strict=True):
        assert isinstance(found, EffectiveSpreadStatistics)
        every = matched(COUNTED[symbol], QUOTES[symbol], after=after, **options)  # type: ignore[arg-type]
        asked = [each for each in every if start <= each.trade.time < end]
        known = [(each, each.mid) for each in asked if each.mid is not None]
        spreads = [abs(each.trade.price - mid) * 2 for each, mid in known]
        sizes = [each.trade.size for each, _ in known]
        bps = [abs(each.trade.price - mid) * 20_000 / mid for each, mid in known]
        realized = [
            (each.side * (each.trade.price - each.later_mid) * 2, each.trade.size,
             each.side * (each.later_mid - mid) * 2)
            for each, mid in known
            if each.side is not None and each.later_mid is not None
        ]  # fmt: skip
        gained = [each[0] for each in realized]
        counts = (len(asked), len(known), sum(each.side == 1 for each, _ in known),
                  sum(each.side == -1 for each, _ in known), len(realized))  # fmt: skip
        assert counts == (
            found.trades, found.matched, found.buyer_trades, found.seller_trades,
            found.realized_trades,
        )  # fmt: skip
        for got, expected in (
            (found.mean, mean(spreads)),
            (found.volume_weighted, mean(spreads, sizes)),
            (found.mean_bps, mean(bps)),
            (found.volume_weighted_bps, mean(bps, sizes)),
            (found.realized_mean, mean(gained)),
            (found.realized_volume_weighted, mean(gained, [each[1] for each in realized])),
            (found.price_impact_mean, mean([each[2] for each in realized])),
        ):
            if expected is None:
                assert got is None
            else:
                assert got == pytest.approx(expected, rel=1e-9, abs=1e-12)


async def test_ticks_are_told_from_before_the_range(market: Market) -> None:
    (subject,) = await subjects_of(market.reader, "B")
    every = matched(COUNTED["B"], QUOTES["B"])
    repeated = [
        each.trade.time
        for before, each in zip(every, every[1:], strict=False)
        if each.by_tick and before.trade.price == each.trade.price
        and before.trade.time < each.trade.time
    ]  # fmt: skip
    assert len(repeated) > 3
    for start in repeated:
        end = start + timedelta(microseconds=1)
        (found,) = await read_effective_spread(
            market, [subject], start, end, AsOf(), timedelta(seconds=1)
        )
        sides = [each.side for each in every if each.trade.time == start]
        assert isinstance(found, EffectiveSpreadStatistics)
        assert (found.buyer_trades, found.seller_trades) == (sides.count(1), sides.count(-1))


async def test_too_many_rows_are_refused(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.query.quotes.effective_spread.MAX_ROWS", 1000)
    subjects = await subjects_of(market.reader, "A", "C")
    many, few = await read_effective_spread(
        market, subjects, *RANGES["all"], AsOf(), timedelta(minutes=5)
    )
    assert getattr(many, "code", None) == "RANGE_TOO_LARGE"
    assert "'A' has more than 500 quotes in the range" in str(many)
    assert isinstance(few, EffectiveSpreadStatistics)


@pytest.mark.parametrize("lag_ms", [-1, 3_600_001])
def test_a_lag_out_of_range_is_refused(lag_ms: int) -> None:
    with pytest.raises(BadInput, match=rf"`lagMs` is {lag_ms}: it must be from 0 to 3600000"):
        as_of(lag_ms, None)


@pytest.mark.parametrize("seconds", [0, -5, 86_401])
def test_a_time_after_out_of_range_is_refused(seconds: int) -> None:
    with pytest.raises(BadInput, match=rf"is {seconds}: it must be from 1 to 86400"):
        realized_after(seconds)
