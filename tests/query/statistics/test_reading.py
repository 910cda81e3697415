"""Closes are read together, warmed up from before the range, and measured as a user would."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from app.errors import BadInput, BadRange, NoData, RangeTooLarge, UnknownSymbol
from app.market.candle_spec import CandleSpec
from app.market.interval import Interval
from app.query.market import Market
from app.query.statistics import reading as module
from app.query.statistics.correlation import CorrelationMethod, CorrelationTimes
from app.query.statistics.performance import Statistics
from app.query.statistics.reading import (
    Question,
    read_correlations,
    read_rolling,
    read_statistics,
)
from app.query.statistics.rolling import Rolling
from app.query.statistics.terms import Terms
from app.query.window import Window
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.market import busy_trades, minute_bars, store_bars, store_trades
from tests.query.reading import market_of, reading, subjects_of
from tests.query.recompute import RawBar, RawTrade

DAILY = CandleSpec(interval=Interval.parse("1d"))
HOURLY = CandleSpec(interval=Interval.parse("1h"))
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
BARS = {name: minute_bars(seed, START, 300, 1440) for seed, name in enumerate("ABC")}
EACH_DAY = [
    replace(bar, time=START + place * DAY, trading_date=(START + place * DAY).date())
    for place, bar in enumerate(minute_bars(77, START, 300, 1440))
]
BARS["WHOLE"] = EACH_DAY
BARS["WEEK"] = [
    replace(bar, time=own.time, trading_date=own.trading_date)
    for bar, own in zip(minute_bars(78, START, 300, 1440), EACH_DAY, strict=True)
    if own.time.weekday() < 5
]
TRADES = busy_trades(9, START, 4_000, 100)


@pytest.fixture(scope="module")
def url(native_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("statistics")
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        for symbol, bars in BARS.items():
            store_bars(connection, folder, symbol, "24/7", "1d", bars)
        store_trades(connection, folder, "T", "24/7", TRADES)
    return native_database.url


@pytest.fixture
def statements() -> list[str]:
    return []


@pytest.fixture
async def market(url: str, statements: list[str]) -> AsyncIterator[Market]:
    async with reading(url, statements) as opened:
        yield opened


def closes(bars: list[RawBar]) -> "pd.Series[float]":
    return pd.Series({pd.Timestamp(bar.time): float(bar.close) for bar in bars})


def hourly(trades: list[RawTrade]) -> "pd.Series[float]":
    ordered = sorted(trades, key=lambda each: (each.time, each.trade_id))
    prices = {pd.Timestamp(each.time).floor("h"): float(each.price) for each in ordered}
    return pd.Series(prices).sort_index()


def ask(window: Window, spec: CandleSpec = DAILY, benchmark: str | None = None) -> Question:
    return Question(spec=spec, window=window, terms=Terms(), benchmark=benchmark)


async def measured(market: Market, symbol: str, question: Question) -> Statistics:
    (found,) = await read_statistics(market, await subjects_of(market.reader, symbol), question)
    assert isinstance(found, Statistics), found
    return found


RANGES = [
    (Window(start=START + 100 * DAY, end=START + 400 * DAY), True),
    (Window(start=START + 100 * DAY), True),
    (Window(end=START + 200 * DAY), False),
    (Window(start=START - 5 * DAY, end=START + 100 * DAY), False),
    (Window(last=30), True),
    (Window(last=30, end=START + 300 * DAY), True),
    (Window(last=5_000), False),
]


@pytest.mark.parametrize(("window", "has_earlier"), RANGES)
async def test_first_return_counts_from_the_candle_before_the_range(
    market: Market, window: Window, has_earlier: bool
) -> None:
    for symbol, spec, prices in (("A", DAILY, closes(BARS["A"])), ("T", HOURLY, hourly(TRADES))):
        if symbol == "T" and window.last is None:
            continue
        if window.end is not None:
            prices = prices[prices.index < pd.Timestamp(window.end)]
        wanted = prices
        if window.start is not None:
            wanted = prices[prices.index >= pd.Timestamp(window.start)]
        if window.last is not None:
            wanted = prices.tail(window.last)
        returns = prices.pct_change()[wanted.index].dropna()
        found = await measured(market, symbol, ask(window, spec))
        earlier = has_earlier and len(prices) > len(wanted)
        assert found.observations == len(returns) == len(wanted) - (0 if earlier else 1)
        assert found.mean == pytest.approx(returns.mean(), rel=1e-9)
        assert found.until == wanted.index[-1]
        base = len(prices) - len(wanted) - (1 if earlier else 0)
        assert found.since == prices.index[base]
        growth = float(prices.iloc[-1]) / float(prices.iloc[base])
        assert found.total_return == pytest.approx(growth - 1, rel=1e-9)


async def test_a_benchmark_is_compared_over_common_times(market: Market) -> None:
    window = Window(start=START + 50 * DAY, end=START + 450 * DAY)
    found = await measured(market, "A", ask(window, benchmark="B"))
    both = pd.concat([closes(BARS["A"]), closes(BARS["B"])], axis=1, join="inner", keys="AB")
    both = both[both.index < pd.Timestamp(START + 450 * DAY)]
    returns = both.pct_change()[both.index >= pd.Timestamp(START + 50 * DAY)]
    # The candles before the range may be of different days: then a return less is in common.
    assert found.benchmark_observations in (len(returns), len(returns) - 1)
    returns = returns.tail(found.benchmark_observations or 0)
    assert found.correlation == pytest.approx(returns["A"].corr(returns["B"]), rel=1e-9)
    beta = returns["A"].cov(returns["B"]) / np.var(returns["B"], ddof=1)
    assert found.beta == pytest.approx(beta, rel=1e-9)


@pytest.mark.parametrize(
    "window", [Window(start=START + 100 * DAY, end=START + 300 * DAY), Window(last=40)]
)
async def test_rolling_is_warmed_up_from_before_the_range(market: Market, window: Window) -> None:
    subjects = await subjects_of(market.reader, "A")
    (found,) = await read_rolling(market, subjects, ask(window), 25)
    assert isinstance(found, Rolling)
    prices = closes(BARS["A"])
    expected = prices.pct_change().rolling(25).std() * 365**0.5
    if window.last is None:
        expected = expected[
            (expected.index >= pd.Timestamp(START + 100 * DAY))
            & (expected.index < pd.Timestamp(START + 300 * DAY))
        ]
    else:
        expected = expected.tail(40)
    assert [pd.Timestamp(each, unit="ms", tz="UTC") for each in found.time_ms.tolist()] == list(
        expected.index
    )
    np.testing.assert_allclose(found.volatility, expected.to_numpy(), rtol=1e-9)
    assert np.isfinite(found.volatility).all()


@pytest.mark.parametrize("symbols", [("WEEK", "WHOLE"), ("WHOLE", "WEEK")])
async def test_rolling_against_a_benchmark_is_warmed_up_on_common_times(
    market: Market, symbols: tuple[str, str]
) -> None:
    mine, other = (closes(BARS[symbol]) for symbol in symbols)
    returns = pd.concat([mine, other], axis=1, join="inner", keys=["mine", "other"]).pct_change()
    since = START + 200 * DAY
    expected = returns["mine"].rolling(60).corr(returns["other"])
    expected = expected[expected.index >= pd.Timestamp(since)]
    subjects = await subjects_of(market.reader, symbols[0])
    question = ask(Window(start=since), benchmark=symbols[1])
    (found,) = await read_rolling(market, subjects, question, 60)
    assert isinstance(found, Rolling)
    told = found.correlation[np.isfinite(found.correlation)]
    np.testing.assert_allclose(told, expected.to_numpy(), rtol=1e-9)


async def test_rolling_has_no_numbers_where_nothing_is_before(market: Market) -> None:
    subjects = await subjects_of(market.reader, "A")
    (found,) = await read_rolling(market, subjects, ask(Window(end=START + 90 * DAY)), 10)
    assert isinstance(found, Rolling)
    assert np.isnan(found.volatility[:10]).all()
    assert np.isfinite(found.volatility[10:]).all()


async def test_many_and_their_benchmark_are_one_statement(
    market: Market, statements: list[str]
) -> None:
    subjects = await subjects_of(market.reader, "A", "B")
    question = ask(Window(start=START, end=START + 99 * DAY), benchmark="C")
    counts = []
    for asked in (subjects[:1], subjects):
        fresh = await market_of(market.reader, cache_bytes=0)
        await fresh.ledger.confirm(frozenset())
        await read_statistics(fresh, asked, question)
        statements.clear()
        await read_statistics(fresh, asked, question)
        counts.append(len([each for each in statements if "look_at_log" not in each]))
    assert counts == [1, 1]


async def test_untouched_closes_are_not_read_again(market: Market, statements: list[str]) -> None:
    subjects = await subjects_of(market.reader, "A", "B")
    question = ask(Window(last=30), benchmark="B")
    await market.ledger.confirm(frozenset())
    first = await read_statistics(market, subjects, question)
    statements.clear()
    assert await read_statistics(market, subjects, question) == first
    assert not [each for each in statements if "look_at_log" not in each]


NEWEST = Window(last=90)


async def correlations(market: Market, *symbols: str, window: Window = NEWEST) -> None:
    await read_correlations(
        market, symbols, DAILY, window, Terms(), CorrelationMethod.PEARSON, CorrelationTimes.COMMON
    )


async def test_nothing_to_measure_is_an_error(market: Market) -> None:
    before = Window(start=START - 9 * DAY, end=START - DAY)
    words = r"'A' has no candles of 1d from 2023-12-23.* before .*: its data are from 2024-01-0"
    (found,) = await read_statistics(market, await subjects_of(market.reader, "A"), ask(before))
    assert isinstance(found, NoData)
    for asked, error, expected in ((before, NoData, words), (Window(last=0), BadRange, "is 0")):
        with pytest.raises(error, match=expected):
            await correlations(market, "A", window=asked)


async def test_errors_of_one_instrument_are_its_own(market: Market) -> None:
    subjects = await subjects_of(market.reader, "A", "T")
    window = Window(start=START + 100 * DAY, end=START + 200 * DAY)
    found = await read_statistics(market, subjects, ask(window))
    assert isinstance(found[0], Statistics)
    assert isinstance(found[1], NoData)
    with pytest.raises(NoData, match="'T' has no candles"):
        await read_statistics(market, subjects[:1], ask(window, benchmark="T"))
    with pytest.raises(UnknownSymbol, match="benchmark 'X'"):
        await read_statistics(market, subjects, ask(window, benchmark="X"))
    with pytest.raises(UnknownSymbol, match="symbols 'X', 'Y'"):
        await correlations(market, "X", "A", "Y")


async def test_limits_name_what_is_accepted(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match="from 1 to 500"):
        await correlations(market)
    with pytest.raises(RangeTooLarge, match="501 symbols: at most 500"):
        await correlations(market, *["A"] * 501)
    monkeypatch.setattr(module, "MAX_VALUES", 200)
    with pytest.raises(RangeTooLarge, match="`last` is 101: at most 100 candles of each of 2"):
        await correlations(market, "A", "B", window=Window(last=101))
    await correlations(market, "A", "B", window=Window(last=100))
    with pytest.raises(RangeTooLarge, match="'A' has more than 100 candles"):
        await correlations(market, "A", "B", window=Window(start=START))
    # The same closes for a question that takes more.
    await measured(market, "A", ask(Window(start=START)))
    subjects = await subjects_of(market.reader, "A")
    for width in (1, 5_001):
        with pytest.raises(BadInput, match=f"window is {width}: it must be from 2 to 5000"):
            await read_rolling(market, subjects, ask(Window(last=9)), width)
