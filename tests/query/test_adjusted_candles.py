"""Adjusted candles equal candles of adjusted trades: day by day, whatever bucket holds the days."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path

import pytest

from app.errors import TickgraphError
from app.market.candle import Candle
from app.market.candle_spec import Adjust, CandleSpec
from app.market.interval import Interval
from app.query.adjusted import read_adjusted_trades
from app.query.candles import read_candles
from app.query.market import Market
from app.query.packed import Packed
from app.query.shapes import Candles
from app.query.trades import trade_page
from app.query.window import Window
from app.rollups.refresh import refresh
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.actions import store_actions
from tests.query.market import busy_trades, store_trades
from tests.query.reading import reading, subjects_of
from tests.query.recompute import RawTrade, from_trades

START = datetime(2026, 1, 5, 21, 7, tzinfo=UTC)
TRADES = busy_trades(7, START, 2500, 3000.0)  # some 70 days
FIRST, LAST = TRADES[0].trading_date, TRADES[-1].trading_date


def on(days: int) -> str:
    return (FIRST + timedelta(days=days)).isoformat()


# Before all data, on the first date, amid weeks and months, twice on a date, after all data.
ACTIONS = [
    ("T", on(-9), "SPLIT", "", "5", "", ""),
    ("T", on(0), "DIVIDEND", "", "", "1", "USD"),
    ("T", on(9), "SPLIT", "", "3:2", "", ""),
    ("T", on(9), "DIVIDEND", "1", "", "1.25", "USD"),
    ("T", on(9), "DIVIDEND", "2", "", "0.5", ""),
    ("T", on(24), "DIVIDEND", "", "", "2.375", "USD"),
    ("T", on(31), "SPLIT", "", "1:3", "", ""),
    ("T", on(38), "SPIN_OFF", "", "", "10", "USD"),
    ("T", on(45), "DIVIDEND", "", "", "5", "EUR"),
    ("T", on(52), "DIVIDEND", "", "", "100000", "USD"),
    ("T", on(400), "SPLIT", "", "2", "", ""),
]
# What they come to, as somebody with paper would: date, new for old, sum of amounts that count.
PAPER = [
    (9, Decimal(3) / 2, Decimal("1.75")),
    (24, Decimal(1), Decimal("2.375")),
    (31, None, Decimal(0)),  # 1 for 3
    (38, Decimal(1), Decimal(10)),
]


@pytest.fixture(scope="module")
async def market(
    database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Market]:
    folder: Path = tmp_path_factory.mktemp("market")
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        late = random.Random(3).sample(TRADES, 40)
        store_trades(connection, folder, "T", "24/7", [e for e in TRADES if e not in late])
        refresh(connection)
        store_trades(connection, folder, "T", "24/7", late)  # read from the rows themselves
        store_actions(connection, folder, ACTIONS)
    async with reading(database.url) as opened:
        yield opened


CLOSES = {
    each.trading_date: each.price
    for each in sorted(TRADES, key=lambda each: (each.time, each.trade_id))
}


def factors(day: date, adjust: Adjust) -> tuple[Decimal, Decimal]:
    """Give a day's factors; call within a context of many digits."""
    price = volume = Decimal(1)
    for days, ratio, amount in PAPER:
        ex_date = FIRST + timedelta(days=days)
        if day >= ex_date or adjust is Adjust.NONE:
            continue
        new, old = (Decimal(1), Decimal(3)) if ratio is None else (ratio, Decimal(1))
        price, volume = price * old / new, volume * new / old
        before = CLOSES[max(each for each in CLOSES if each < ex_date)]
        since = CLOSES[min(each for each in CLOSES if each >= ex_date)]
        if adjust is Adjust.ALL:
            price *= 1 - amount / before
        elif adjust is Adjust.TOTAL_RETURN:
            price *= since * new / old / (since * new / old + amount)
    return price, volume


def adjusted_trades(adjust: Adjust) -> list[RawTrade]:
    """Adjust each trade by the factors of its date."""
    with localcontext() as context:
        context.prec = 60
        known = {day: factors(day, adjust) for day in {each.trading_date for each in TRADES}}
        place = Decimal("1e-10")
        return [
            RawTrade(
                time=each.time,
                trade_id=each.trade_id,
                price=each.price
                if known[each.trading_date][0] == 1
                else (each.price * known[each.trading_date][0]).quantize(place, "ROUND_HALF_UP"),
                size=each.size * known[each.trading_date][1],
                trading_date=each.trading_date,
            )
            for each in TRADES
        ]


async def candles(market: Market, interval: str, adjust: Adjust) -> list[Candle]:
    spec = CandleSpec(interval=Interval.parse(interval), adjust=adjust)
    subjects = await subjects_of(market.reader, "T")
    (answer,) = await read_candles(market, subjects, spec, Window(last=10_000), Candles())
    if isinstance(answer, TickgraphError):
        raise answer
    return answer.value


@pytest.mark.parametrize("adjust", list(Adjust))
@pytest.mark.parametrize("interval", ["7m", "1h", "1d", "1w", "1mo"])
async def test_adjusted_candles_are_candles_of_adjusted_trades(
    market: Market, interval: str, adjust: Adjust
) -> None:
    truth = adjusted_trades(adjust)
    found = await candles(market, interval, adjust)
    for one, other in zip(found, from_trades(truth, interval), strict=True):
        assert (one.time, one.open, one.high, one.low, one.close, one.trades) == (
            other.time, other.open, other.high, other.low, other.close, other.trades
        )  # fmt: skip
        assert abs(one.volume - other.volume) < Decimal("1e-8")


@pytest.mark.parametrize("adjust", [Adjust.SPLITS, Adjust.ALL])
async def test_vwap_is_that_of_adjusted_prices_and_sizes(market: Market, adjust: Adjust) -> None:
    truth = adjusted_trades(adjust)
    for candle in await candles(market, "1w", adjust):
        end = candle.time.date() + timedelta(days=7)
        own = [each for each in truth if candle.time.date() <= each.trading_date < end]
        volume = sum((each.size for each in own), Decimal(0))
        vwap = sum((each.price * each.size for each in own), Decimal(0)) / volume
        assert candle.vwap is not None
        assert abs(candle.vwap / vwap - 1) < Decimal("1e-9")
        assert candle.low <= candle.vwap <= candle.high


async def test_packed_columns_are_adjusted_as_well(market: Market) -> None:
    spec = CandleSpec(interval=Interval.parse("1w"), adjust=Adjust.ALL)
    shape = Packed(("time", "close", "volume"))
    subjects = await subjects_of(market.reader, "T")
    (answer,) = await read_candles(market, subjects, spec, Window(last=100), shape)
    assert not isinstance(answer, TickgraphError)
    rows = await candles(market, "1w", Adjust.ALL)
    columns = shape.unpack(answer.value)
    assert columns["close"].tolist() == [float(each.close) for each in rows]
    assert columns["volume"].tolist() == [float(each.volume) for each in rows]


@pytest.mark.parametrize("adjust", list(Adjust))
async def test_trades_are_adjusted_one_by_one(market: Market, adjust: Adjust) -> None:
    page = trade_page(None, None, 5000, None, 5000)
    subjects = await subjects_of(market.reader, "T")
    (found,) = await read_adjusted_trades(market, subjects, page, adjust)
    truth = sorted(adjusted_trades(adjust), key=lambda each: (each.time, each.trade_id))
    assert [each.trade_id for each in found.trades] == [each.trade_id for each in truth]
    assert [each.price for each in found.trades] == [each.price for each in truth]
    assert all(
        abs(one.size - other.size) < Decimal("1e-10")
        for one, other in zip(found.trades, truth, strict=True)
    )
