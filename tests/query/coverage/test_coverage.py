"""Coverage equals counts made by hand of trades whose gaps are known."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import exchange_calendars as xcals
import pandas as pd
import pytest

from app.errors import BadInput, BadRange, RangeTooLarge, TickgraphError
from app.ingestion.trade_changes import TradeName, cancel_trade, correct_trade
from app.market.candle import Session
from app.market.candle_spec import CandleSpec
from app.market.interval import Interval
from app.query.coverage.coverage import Coverage, asked_coverage, read_coverage
from app.query.market import Market
from app.storage.database import Connection, connect
from tests.conftest import TestDatabase
from tests.query.market import store_bars, store_trades
from tests.query.reading import market_of, reading, subjects_of
from tests.query.recompute import RawBar, RawTrade

TOKYO = ZoneInfo("Asia/Tokyo")
# Monday to Wednesday, 09:00 to 11:30 and 12:30 to 15:00: 300 minutes a day.
DAYS = [date(2024, 6, 3), date(2024, 6, 4), date(2024, 6, 5)]
FROM, NOW = datetime(2024, 6, 2, 15, tzinfo=UTC), datetime(2024, 6, 5, 5, tzinfo=UTC)
YEAR = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))


def at(day: date, text: str) -> datetime:
    hour, minute = text.split(":")
    local = datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=TOKYO)
    return local.astimezone(UTC)


def minutes_of(day: date) -> list[datetime]:
    parts = ((at(day, "9:00"), 150), (at(day, "12:30"), 150))
    return [start + timedelta(minutes=n) for start, count in parts for n in range(count)]


def trades_at(times: list[datetime], first_id: int = 0) -> list[RawTrade]:
    return [
        RawTrade(
            time=time + timedelta(seconds=7), trade_id=first_id + number,
            price=Decimal(100), size=Decimal(1), trading_date=time.date(),
        )
        for number, time in enumerate(times)
    ]  # fmt: skip


# Every minute until Tuesday 14:00, but for ten minutes on Tuesday.
BUSY = [
    time
    for day in DAYS[:2]
    for time in minutes_of(day)
    if time < at(DAYS[1], "14:00") and not at(DAYS[1], "10:00") <= time < at(DAYS[1], "10:10")
]
THIN = [at(DAYS[0], "9:05"), at(DAYS[0], "14:59"), at(DAYS[1], "8:30"), at(DAYS[1], "9:30")]


def xnys_days() -> list[pd.Timestamp]:
    return list(xcals.get_calendar("XNYS", start="2024-01-01", end="2024-12-31").sessions)


def bars_at(days: list[pd.Timestamp]) -> list[RawBar]:
    one = Decimal(1)
    return [
        RawBar(
            time=day.to_pydatetime().replace(tzinfo=UTC), open=one, high=one, low=one, close=one,
            volume=one, trading_date=day.date(),
        )
        for day in days
    ]  # fmt: skip


@pytest.fixture(scope="module")
def url(native_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("rows")
    days = xnys_days()
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        # The first hour comes last: a batch of its own, late but for none.
        late = [time for time in BUSY if time < at(DAYS[0], "10:00")]
        store_trades(connection, folder, "BUSY", "XTKS", trades_at(BUSY[len(late) :]))
        store_trades(connection, folder, "BUSY", "XTKS", trades_at(late, 10**6))
        store_trades(connection, folder, "THIN", "XTKS", trades_at(THIN))
        store_bars(connection, folder, "DAILY", "XNYS", "1d", bars_at(days[:20] + days[23:100]))
        store_bars(connection, folder, "OTHER", "XNYS", "1d", bars_at(days[:21] + days[22:120]))
        store_bars(connection, folder, "BOTH", "XNYS", "1d", bars_at(days[:20]))
        store_bars(connection, folder, "BOTH", "XNYS", "1h", bars_at(days[:20]))
        _change(connection)
        _flag(connection)
    return native_database.url


def _change(connection: Connection) -> None:
    trades = trades_at(BUSY[60:])
    for place in (3, 4, 5):
        name = TradeName(symbol="BUSY", time=trades[place].time, trade_id=trades[place].trade_id)
        if place == 5:
            cancel_trade(connection, name, actor="test")
        else:
            correct_trade(connection, name, price=Decimal(101), size=Decimal(2), actor="test")


def _flag(connection: Connection) -> None:
    for rule in ("one", "two"):  # two flags of one row
        connection.execute(
            "INSERT INTO flag (batch_id, kind, instrument_id, interval_minutes, event_time,"
            " row_id, rule, severity, score, threshold)"
            " SELECT 1, 'TRADES', instrument_id, 0, %s, 1, %s, 'INFO', 1, 1"
            " FROM instrument WHERE symbol = 'BUSY'",
            (at(DAYS[0], "13:00"), rule),
        )


async def ask(
    market: Market,
    symbol: str,
    interval: str,
    start: datetime = FROM,
    end: datetime | None = None,
    session: Session | None = None,
    timezone: str | None = None,
    now: datetime = NOW,
) -> Coverage:
    spec = CandleSpec(interval=Interval.parse(interval), session=session, timezone=timezone)
    subjects = await subjects_of(market.reader, symbol)
    (found,) = await read_coverage(market, subjects, asked_coverage(spec, start, end), now)
    if isinstance(found, TickgraphError):
        raise found
    return found


def gaps(found: Coverage) -> list[tuple[datetime, datetime, int, str]]:
    return [(each.start, each.end, each.buckets, each.reason.value) for each in found.missing(1000)]


async def test_minutes_are_counted_and_their_gaps_explained(url: str) -> None:
    async with reading(url) as market:
        found = await ask(market, "BUSY", "1m")
    assert len(found.expected) == 300 + 300 + 240
    # The cancelled trade was alone in its minute.
    assert (found.present, found.unexpected) == (len(BUSY) - 1, 0)
    assert found.closed == (NOW - FROM) // timedelta(minutes=1) - 840
    lone = BUSY[65]
    assert gaps(found) == [
        (lone, lone + timedelta(minutes=1), 1, "OUTAGE"),
        (at(DAYS[1], "10:00"), at(DAYS[1], "10:10"), 10, "OUTAGE"),
        (at(DAYS[1], "14:00"), NOW, 60 + 240, "NOT_YET"),
    ]


async def test_rows_are_counted_by_what_became_of_them(url: str) -> None:
    parts = [
        (FROM, NOW, 60, 2, 1),
        (FROM, at(DAYS[0], "9:30"), 30, 0, 0),
        (at(DAYS[1], "9:00"), NOW, 0, 0, 0),
    ]
    async with reading(url) as market:
        for start, end, *counts in parts:
            found = await ask(market, "BUSY", "1m", start, end)
            assert [found.late, found.corrected, found.cancelled] == counts
            assert found.flagged == len(flagged(url, start, end))
    assert flagged(url, FROM, NOW) >= {(at(DAYS[0], "13:00"), 1)}


def flagged(url: str, start: datetime, end: datetime) -> set[tuple[datetime, int]]:
    with connect(url, timeout_s=10, statement_timeout_s=60) as connection:
        rows = connection.execute(
            "SELECT event_time, row_id FROM flag JOIN instrument USING (instrument_id)"
            " WHERE symbol = 'BUSY'"
        ).fetchall()
    return {(time, row) for time, row in rows if start <= time < end}


async def test_staleness_counts_trading_time_only(url: str) -> None:
    async with reading(url) as market:
        found = await ask(market, "BUSY", "1m")
        newest = at(DAYS[1], "13:59") + timedelta(seconds=7)
        assert (found.watermark, found.newest_event_time) == (newest, newest)
        # From 13:59:07 to 15:00 on Tuesday; 150 minutes and, after lunch, 90 on Wednesday.
        assert found.staleness_s == 61 * 60 - 7 + 240 * 60
        before = await ask(market, "BUSY", "1m", now=newest)
        assert before.staleness_s == 0


async def test_a_thin_instrument_did_not_trade_where_another_did(url: str) -> None:
    async with reading(url) as market:
        found = await ask(market, "THIN", "30m")
    # 9:00, 14:30, 9:30; 8:30 is before the open.
    assert (len(found.expected), found.present, found.unexpected) == (10 + 10 + 8, 3, 1)
    assert gaps(found) == [
        (at(DAYS[0], "9:30"), at(DAYS[0], "14:30"), 8, "NO_TRADES"),
        (at(DAYS[1], "9:00"), at(DAYS[1], "9:30"), 1, "NO_TRADES"),
        (at(DAYS[1], "10:00"), at(DAYS[2], "14:00"), 8 + 8, "NOT_YET"),
    ]


async def test_lunch_is_expected_neither_by_clock_nor_from_the_open(url: str) -> None:
    async with reading(url) as market:
        day = at(DAYS[0], "0:00"), at(DAYS[1], "0:00")
        clock = await ask(market, "BUSY", "30m", *day)
        opened = await ask(market, "BUSY", "65m", *day, session=Session.REGULAR)
    assert (len(clock.expected), clock.present, clock.closed) == (10, 10, 38)
    assert len(opened.expected) == opened.present == 6
    assert gaps(clock) == gaps(opened) == []


async def test_days_of_bars_are_trading_dates(url: str) -> None:
    days = xnys_days()
    async with reading(url) as market:
        found = await ask(market, "DAILY", "1d", *YEAR, now=YEAR[1])
    assert (len(found.expected), found.present) == (len(days), 97)
    assert found.closed == 366 - len(days)
    stamp = [day.to_pydatetime().replace(tzinfo=UTC) for day in days]
    one = timedelta(days=1)
    assert gaps(found) == [
        (stamp[20], stamp[20] + one, 1, "NO_TRADES"),
        (stamp[21], stamp[21] + one, 1, "OUTAGE"),
        (stamp[22], stamp[22] + one, 1, "NO_TRADES"),
        (stamp[100], stamp[-1] + one, len(days) - 100, "NOT_YET"),
    ]
    assert found.watermark == stamp[99] + one
    assert (found.late, found.cancelled) == (0, 0)


async def test_before_the_first_data_is_told_apart(url: str) -> None:
    start = datetime(2023, 12, 1, tzinfo=UTC)
    async with reading(url) as market:
        found = await ask(market, "DAILY", "1w", start, YEAR[0], now=YEAR[1])
    assert [each[2:] for each in gaps(found)] == [(4, "BEFORE_DATA")]


async def test_bars_of_two_lengths_do_not_tell_which_came_late(url: str) -> None:
    async with reading(url) as market:
        found = await ask(market, "BOTH", "1d", *YEAR, now=YEAR[1])
    assert found.late is None


async def test_a_range_to_come_expects_nothing(url: str) -> None:
    async with reading(url) as market:
        found = await ask(market, "BUSY", "1m", NOW + timedelta(days=1))
    assert (len(found.expected), found.closed, found.completeness) == (0, 0, None)


async def test_many_instruments_take_as_many_statements_as_one(url: str) -> None:
    statements: list[str] = []
    asked = asked_coverage(CandleSpec(interval=Interval.parse("1d")), *YEAR)
    counts = []
    for symbols in (["DAILY"], ["DAILY", "OTHER", "BOTH"]):
        async with reading(url, statements) as market:
            subjects = await subjects_of(market.reader, *symbols)
            statements.clear()
            found = await read_coverage(market, subjects, asked, YEAR[1])
            assert not [each for each in found if isinstance(each, TickgraphError)]
            counts.append(len([sql for sql in statements if "look_at_log" not in sql]))
    assert counts[0] == counts[1]


async def test_what_cannot_be_covered_is_refused(url: str) -> None:
    one = CandleSpec(interval=Interval.parse("1m"), session=Session.POST)
    with pytest.raises(BadInput, match="'POST'"):
        asked_coverage(one, FROM, NOW)
    plain = CandleSpec(interval=Interval.parse("1m"))
    with pytest.raises(BadRange, match="is after"):
        asked_coverage(plain, NOW, FROM)
    async with reading(url) as market:
        small = await market_of(market.reader, max_points=100)
        with pytest.raises(RangeTooLarge, match="100"):
            await ask(small, "BUSY", "1m")
        with pytest.raises(BadRange, match="1997-01-01"):
            await ask(market, "BUSY", "1d", datetime(1990, 1, 1, tzinfo=UTC))


async def test_a_late_batch_shows_at_once(url: str, tmp_path: Path) -> None:
    async with reading(url) as market:
        before = await ask(market, "THIN", "1m")
        with connect(url, timeout_s=10, statement_timeout_s=60) as connection:
            late = trades_at([at(DAYS[0], "9:06")], 10**7)
            store_trades(connection, tmp_path, "THIN", "XTKS", late)
        after = await ask(market, "THIN", "1m")
    assert (after.present, after.late) == (before.present + 1, (before.late or 0) + 1)
