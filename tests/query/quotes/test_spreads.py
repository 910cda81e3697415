"""Spread statistics equal a plain recomputation over the quotes and the time each is in force."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median

import pytest

from app.errors import BadRange, RangeTooLarge
from app.query.market import Market
from app.query.quotes.spreads import SpreadStatistics, read_spread_statistics, statistics_range
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.quotes.quoted import (
    RawQuote,
    held,
    mean,
    random_quotes,
    random_times,
    store_quotes,
    weighted,
)
from tests.query.reading import reading, subjects_of

START = datetime(2024, 5, 6, tzinfo=UTC)
DAY = timedelta(days=1)
QUOTES = {
    "A": random_quotes(1, random_times(1, START, 500, 600, 50 * DAY)),
    "B": random_quotes(2, random_times(2, START + 2 * DAY, 300, 40)),
}
ONE_SIDED = [RawQuote(time=START, quote_id=1, bid=Decimal(7), ask=None)]


@pytest.fixture(scope="module")
async def market(
    database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Market]:
    folder = tmp_path_factory.mktemp("quotes")
    with connect(database.url, timeout_s=10, statement_timeout_s=60) as connection:
        for symbol, quotes in QUOTES.items():
            store_quotes(connection, folder, symbol, "24/7", quotes)
        store_quotes(connection, folder, "C", "24/7", ONE_SIDED)
    async with reading(database.url) as opened:
        yield opened


def longest_gap(quotes: Sequence[RawQuote]) -> datetime:
    """Give the time of the quote that was the newest for longest."""
    pairs = zip(quotes, quotes[1:], strict=False)
    return max(pairs, key=lambda pair: pair[1].time - pair[0].time)[0].time


GAP = longest_gap(QUOTES["A"])
RANGES = {
    "all": (START - 900 * DAY, START + 400 * DAY),
    "a day": (START + 2 * DAY, START + 3 * DAY),
    "from quote to quote": (QUOTES["B"][20].time, QUOTES["B"][90].time),
    "within a gap of weeks": (GAP + 30 * DAY, GAP + 31 * DAY),
    "before all": (START - 900 * DAY, START - 800 * DAY),
}


def near(value: float | None) -> object:
    return None if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("span", RANGES)
async def test_statistics_equal_a_plain_recomputation(market: Market, span: str) -> None:
    start, end = RANGES[span]
    subjects = await subjects_of(market.reader, *QUOTES)
    answers = await read_spread_statistics(market, subjects, start, end)
    for symbol, found in zip(QUOTES, answers, strict=True):
        assert isinstance(found, SpreadStatistics)
        quotes = QUOTES[symbol]
        own = [each for each in quotes if start <= each.time < end]
        spreads = [each.spread for each in own if each.spread is not None]
        parts = held(quotes, start, end)
        total = sum((seconds for _, seconds in parts), Decimal())
        both = [(quote.spread, s) for quote, s in parts if quote.spread is not None]
        seconds_both = sum((s for _, s in both), Decimal())
        assert found.quotes == len(own)
        assert found.mean_spread == near(mean(spreads))
        assert found.median_spread == near(float(median(spreads)) if spreads else None)
        assert found.min_spread == near(float(min(spreads)) if spreads else None)
        assert found.max_spread == near(float(max(spreads)) if spreads else None)
        assert found.time_weighted_spread == near(weighted(parts, lambda each: each.spread))
        assert found.relative_spread_bps == near(weighted(parts, lambda each: each.relative))
        assert found.quoted_seconds == near(float(total))
        assert found.both_sides_share == near(float(seconds_both / total) if total else None)
        for share, counts in (
            (found.locked_share, [s for spread, s in both if spread == 0]),
            (found.crossed_share, [s for spread, s in both if spread < 0]),
        ):
            wanted = float(sum(counts, Decimal()) / seconds_both) if seconds_both else None
            assert share == near(wanted)


async def test_a_gap_has_no_quotes_and_yet_a_spread(market: Market) -> None:
    subjects = await subjects_of(market.reader, "A")
    (found,) = await read_spread_statistics(market, subjects, *RANGES["within a gap of weeks"])
    assert isinstance(found, SpreadStatistics)
    assert (found.quotes, found.quoted_seconds) == (0, 86_400)


async def test_a_one_sided_quote_has_no_spread(market: Market) -> None:
    subjects = await subjects_of(market.reader, "C")
    (found,) = await read_spread_statistics(market, subjects, START, START + DAY)
    assert isinstance(found, SpreadStatistics)
    assert (found.quotes, found.both_sides_share, found.mean_spread) == (1, 0, None)
    assert (found.time_weighted_spread, found.locked_share, found.max_spread) == (None, None, None)


async def test_the_newest_quote_counts_until_now(market: Market) -> None:
    subjects = await subjects_of(market.reader, "C")
    far = datetime(2200, 1, 1, tzinfo=UTC)
    before = datetime.now(UTC)
    (found,) = await read_spread_statistics(market, subjects, START, far)
    assert isinstance(found, SpreadStatistics)
    assert found.quoted_seconds == pytest.approx((before - START).total_seconds(), abs=60)


async def test_too_many_quotes_are_refused(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.query.quotes.spreads.MAX_QUOTES", 400)
    subjects = await subjects_of(market.reader, "A", "B")
    many, few = await read_spread_statistics(market, subjects, *RANGES["all"])
    assert isinstance(many, RangeTooLarge)
    assert "'A' has more than 400 quotes in the range" in many.message
    assert isinstance(few, SpreadStatistics)


@pytest.mark.parametrize("end", [START, START - DAY])
def test_a_range_without_time_is_refused(end: datetime) -> None:
    with pytest.raises(BadRange, match="2024-05-06.* must be before `to`"):
        statistics_range(START, end)
