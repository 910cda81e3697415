"""Columns of quotes equal a plain recomputation, however the buckets are cut."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import exchange_calendars as xcals
import pytest

from app.errors import RangeTooLarge, TickgraphError
from app.market.candle import Session
from app.market.candle_spec import CandleSpec
from app.market.interval import Interval
from app.query.market import Market
from app.query.quotes.series import QuoteColumns, read_quote_series
from app.query.window import Window
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.quotes.quote_cuts import (
    NEW_YORK,
    Pieces,
    clock,
    dates,
    from_open,
    monday,
    month,
)
from tests.query.quotes.quoted import (
    RawQuote,
    held,
    mean,
    random_quotes,
    random_times,
    store_quotes,
    weighted,
)
from tests.query.reading import market_of, reading, subjects_of

START = datetime(2024, 3, 4, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def us_times(seed: int) -> list[datetime]:
    """Give times of US trading days, 04:00 to 20:00 in New York, over a change of its clocks."""
    rng = random.Random(seed)
    times = []
    for day in xcals.get_calendar("XNYS").sessions_in_range("2024-03-04", "2024-03-28"):
        midnight = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK)
        offsets = [rng.randrange(4 * 3600, 20 * 3600) for _ in range(40)]
        times += [(midnight + timedelta(seconds=each)).astimezone(UTC) for each in offsets]
    return sorted(times)


QUOTES = {
    "A": random_quotes(1, random_times(1, START, 500, 1500, 9 * DAY)),
    "B": random_quotes(2, random_times(2, START + 3 * DAY, 200, 60)),
    "U": random_quotes(3, us_times(3)),
}


@pytest.fixture(scope="module")
async def market(
    database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Market]:
    folder = tmp_path_factory.mktemp("quotes")
    with connect(database.url, timeout_s=10, statement_timeout_s=60) as connection:
        for symbol, mic in (("A", "24/7"), ("B", "24/7"), ("U", "XNYS")):
            store_quotes(connection, folder, symbol, mic, QUOTES[symbol])
    async with reading(database.url) as opened:
        yield opened


async def series(market: Market, symbol: str, spec: CandleSpec, window: Window) -> QuoteColumns:
    subjects = await subjects_of(market.reader, symbol)
    (answer,) = await read_quote_series(market, subjects, spec, window)
    if isinstance(answer, TickgraphError):
        raise answer
    return answer


def recomputed(
    quotes: list[RawQuote], pieces: Pieces, start: datetime | None, end: datetime | None
) -> QuoteColumns:
    """Make the columns of the buckets that start within [start, end) and have quotes."""
    buckets: dict[datetime, list[tuple[list[RawQuote], list[tuple[RawQuote, Decimal]]]]] = {}
    for piece in pieces(quotes[0].time, quotes[-1].time):
        own = [each for each in quotes if piece.start <= each.time < piece.end]
        if not own or (start and piece.label < start) or (end and piece.label >= end):
            continue
        parts = held(quotes, piece.start, piece.end)
        buckets.setdefault(piece.label, []).append((own, parts))
    columns: dict[str, list[object]] = {name: [] for name in QuoteColumns.__slots__}
    for label, found in sorted(buckets.items()):
        own = [quote for quotes_of, _ in found for quote in quotes_of]
        parts = [part for _, parts_of in found for part in parts_of]
        mids = [float(each.mid) for each in own if each.mid is not None]
        last = own[-1]
        columns["time"].append(round(label.timestamp() * 1000))
        columns["bid"].append(None if last.bid is None else float(last.bid))
        columns["ask"].append(None if last.ask is None else float(last.ask))
        columns["open"].append(mids[0] if mids else None)
        columns["high"].append(max(mids, default=None))
        columns["low"].append(min(mids, default=None))
        columns["close"].append(mids[-1] if mids else None)
        columns["mean_spread"].append(mean(each.spread for each in own))
        columns["time_weighted_spread"].append(weighted(parts, lambda each: each.spread))
        columns["relative_spread_bps"].append(weighted(parts, lambda each: each.relative))
        columns["count"].append(len(own))
    return QuoteColumns(**columns)  # type: ignore[arg-type]


def assert_equal(found: QuoteColumns, wanted: QuoteColumns) -> None:
    exact = ("time", "bid", "ask", "open", "high", "low", "close", "count")
    for name in QuoteColumns.__slots__:
        got, expected = getattr(found, name), getattr(wanted, name)
        if name in exact:
            assert got == expected, name
        else:
            assert [each is None for each in got] == [each is None for each in expected], name
            known = [each for each in expected if each is not None]
            values = [each for each in got if each is not None]
            assert values == pytest.approx(known, rel=1e-9, abs=1e-12), name


CUTS = {
    "7s": ("B", CandleSpec(interval=Interval.parse("7s")), clock(timedelta(seconds=7))),
    "1m": ("B", CandleSpec(interval=Interval.parse("1m")), clock(timedelta(minutes=1))),
    "1h": ("A", CandleSpec(interval=Interval.parse("1h")), clock(HOUR)),
    "36h": ("A", CandleSpec(interval=Interval.parse("36h")), clock(36 * HOUR)),
    "1d": ("A", CandleSpec(interval=Interval.parse("1d")), clock(DAY)),
    "1d Kolkata": (
        "A",
        CandleSpec(interval=Interval.parse("1d"), timezone="Asia/Kolkata"),
        clock(DAY, ZoneInfo("Asia/Kolkata")),
    ),
    "5h Kolkata": (
        "A",
        CandleSpec(interval=Interval.parse("5h"), timezone="Asia/Kolkata"),
        clock(5 * HOUR, ZoneInfo("Asia/Kolkata")),
    ),
    "1h of a venue": ("U", CandleSpec(interval=Interval.parse("1h")), clock(HOUR)),
    "65m regular": (
        "U",
        CandleSpec(interval=Interval.parse("65m"), session=Session.REGULAR),
        from_open(timedelta(minutes=65)),
    ),
    "100m regular": (
        "U",
        CandleSpec(interval=Interval.parse("100m"), session=Session.REGULAR),
        from_open(timedelta(minutes=100)),
    ),
    "1d of a venue": (
        "U", CandleSpec(interval=Interval.parse("1d")), dates(None, lambda day: day)),
    "1d regular": (
        "U",
        CandleSpec(interval=Interval.parse("1d"), session=Session.REGULAR),
        dates(Session.REGULAR, lambda day: day),
    ),
    "1d pre": (
        "U",
        CandleSpec(interval=Interval.parse("1d"), session=Session.PRE),
        dates(Session.PRE, lambda day: day),
    ),
    "1w post": (
        "U",
        CandleSpec(interval=Interval.parse("1w"), session=Session.POST),
        dates(Session.POST, monday),
    ),
    "1mo regular": (
        "U",
        CandleSpec(interval=Interval.parse("1mo"), session=Session.REGULAR),
        dates(Session.REGULAR, month),
    ),
}  # fmt: skip


@pytest.mark.parametrize("cut", CUTS)
async def test_columns_equal_a_plain_recomputation(market: Market, cut: str) -> None:
    symbol, spec, pieces = CUTS[cut]
    found = await series(market, symbol, spec, Window(start=START - 300 * DAY))
    wanted = recomputed(QUOTES[symbol], pieces, None, None)
    assert len(found.time) > 0
    assert_equal(found, wanted)


@pytest.mark.parametrize("cut", ["1m", "1h", "1d", "65m regular", "1d regular", "1w post"])
async def test_a_range_is_the_same_buckets_cut_short(market: Market, cut: str) -> None:
    symbol, spec, pieces = CUTS[cut]
    quotes = QUOTES[symbol]
    start, end = quotes[len(quotes) // 3].time, quotes[len(quotes) * 2 // 3].time
    found = await series(market, symbol, spec, Window(start=start, end=end))
    assert_equal(found, recomputed(quotes, pieces, start, end))


@pytest.mark.parametrize("cut", ["1m", "1h", "36h", "65m regular", "1d regular", "1d of a venue"])
@pytest.mark.parametrize("last", [0, 1, 5, 1000])
async def test_the_newest_are_the_end_of_all(market: Market, cut: str, last: int) -> None:
    symbol, spec, pieces = CUTS[cut]
    every = recomputed(QUOTES[symbol], pieces, None, None)
    found = await series(market, symbol, spec, Window(last=last))
    cut_short = {name: getattr(every, name) for name in QuoteColumns.__slots__}
    count = min(last, len(every.time))
    assert_equal(
        found,
        QuoteColumns(**{name: column[len(column) - count :] for name, column in cut_short.items()}),
    )


async def test_many_instruments_are_read_at_once(market: Market, database: TestDatabase) -> None:
    statements: list[str] = []
    spec = CandleSpec(interval=Interval.parse("2h"))
    async with reading(database.url, statements) as counting:
        subjects = await subjects_of(counting.reader, *QUOTES)
        statements.clear()
        answers = await read_quote_series(
            counting, subjects, spec, Window(start=START, end=START + 5 * DAY)
        )
    assert len(statements) == 2  # the spans and the columns
    for answer, symbol in zip(answers, QUOTES, strict=True):
        assert isinstance(answer, QuoteColumns)
        wanted = recomputed(QUOTES[symbol], clock(2 * HOUR), START, START + 5 * DAY)
        assert_equal(answer, wanted)


async def test_more_buckets_than_may_be_are_refused(market: Market) -> None:
    few = await market_of(market.reader, max_points=10)
    subjects = await subjects_of(market.reader, "A", "B")
    spec = CandleSpec(interval=Interval.parse("1h"))
    refused, fits = await read_quote_series(few, subjects, spec, Window(start=START))
    assert isinstance(refused, RangeTooLarge)
    assert "'A' has more than 10 buckets of 1h" in refused.message
    assert isinstance(fits, QuoteColumns)
    assert_equal(fits, recomputed(QUOTES["B"], clock(HOUR), None, None))


async def test_so_many_long_buckets_as_no_time_has_are_all_there_are(market: Market) -> None:
    spec = CandleSpec(interval=Interval.parse("120mo"))
    found = await series(market, "U", spec, Window(last=1_000_000))
    assert (found.time, found.count) == ([1_577_836_800_000], [len(QUOTES["U"])])


async def test_a_lunch_break_adds_no_time(
    market: Market, database: TestDatabase, tmp_path: Path
) -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    quotes = [
        RawQuote(
            time=datetime(2024, 3, 5, hour, minute, tzinfo=tokyo),
            quote_id=1,
            bid=Decimal(100),
            ask=Decimal(100 + spread),
        )
        for hour, minute, spread in ((11, 29, 1), (12, 0, 3), (12, 31, 2))
    ]
    with connect(database.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_quotes(connection, tmp_path, "J", "XTKS", quotes)
    day = CandleSpec(interval=Interval.parse("1d"), session=Session.REGULAR)
    found = await series(market, "J", day, Window(last=5))
    # To 11:30, from 12:30 to 12:31, and on to the close at 15:00.
    seconds = {1: 60, 3: 60, 2: 8940}
    total = sum(spread * each for spread, each in seconds.items())
    assert found.count == [3]
    assert found.time_weighted_spread == [pytest.approx(total / sum(seconds.values()))]
    halves = CandleSpec(interval=Interval.parse("30m"), session=Session.REGULAR)
    found = await series(market, "J", halves, Window(last=5))
    assert found.mean_spread == [1, 3, 2]
    assert found.time_weighted_spread == [1, None, pytest.approx((60 * 3 + 1740 * 2) / 1800)]
