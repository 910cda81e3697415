"""Candles outlive their rows: what retention drops, what keeps it from dropping, and what after."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.commands.database import OpenDatabase
from app.embedded.supervisor import embedded_database
from app.errors import DatabaseUnavailable, ImportRefused, SettingInvalid
from app.rollups.policies import Policies, refuse_impossible
from app.rollups.refresh import floor, refresh
from app.rollups.retention import Dropped, retain
from app.rollups.verification import Unverifiable
from app.settings import Settings
from app.storage.batches import BatchKind
from app.storage.database import Connection
from app.storage.horizons import (
    CandlesWouldBeLost,
    horizons,
    kept_from,
    refuse_lost_candles,
)
from app.storage.migrate import downgrade
from tests.conftest import TestDatabase
from tests.query.market import minute_bars, store_bars, store_trades
from tests.query.reading import as_expected, candles_of, reading
from tests.query.recompute import RawTrade, from_bars
from tests.rollups.old_rows import (
    DAY,
    EVERYTHING,
    KEEP_10_DAYS,
    START,
    assert_candles,
    correct_trades,
    count,
    session,
    verified,
    weeks_of_trades,
)

# 21 days of trades are three chunks; at this time the first two are older than ten days.
LATER = START + 25 * DAY
HORIZON = START + 14 * DAY


@pytest.fixture
def data_dir(embedded_template: Path, tmp_path: Path) -> Path:
    shutil.copytree(embedded_template, tmp_path / "data")
    return tmp_path / "data"


async def test_candles_of_all_levels_outlive_their_trades(data_dir: Path, tmp_path: Path) -> None:
    """Through retention, refreshes with and without a mark, late rows, and a restart."""
    trades = weeks_of_trades(1)
    with embedded_database(data_dir, maintenance=None) as url, session(url) as connection:
        store_trades(connection, tmp_path, "OLD", "24/7", trades)
        refresh(connection, now=START + 21 * DAY)
        await assert_candles(url, "OLD", trades)
        # The last chunk was made up to now, but is not old enough.
        assert retain(connection, KEEP_10_DAYS, now=LATER) == [
            Dropped(table="trade", start=START, end=START + 7 * DAY),
            Dropped(table="trade", start=START + 7 * DAY, end=HORIZON),
        ]
        assert horizons(connection) == {BatchKind.TRADES: HORIZON}
        assert count(connection, "trade", "event_time < %s", HORIZON) == 0
        kept = [each for each in trades if each.time >= HORIZON]
        assert count(connection, "trade") == len(kept)
        await assert_candles(url, "OLD", trades)

        # Late rows: those that have candles of their own, and some at the very horizon.
        late = [
            replace(kept[0], time=HORIZON, trade_id=1),
            replace(kept[0], time=HORIZON + timedelta(hours=5), trade_id=2),
        ]
        store_trades(connection, tmp_path, "OLD", "24/7", late)
        await assert_candles(url, "OLD", trades + late)
        refresh(connection, now=LATER)
        await assert_candles(url, "OLD", trades + late)
        too_late = replace(kept[0], time=HORIZON - timedelta.resolution, trade_id=3)
        with pytest.raises(ImportRefused, match="TOO_OLD"):
            store_trades(connection, tmp_path, "OLD", "24/7", [too_late])

        # All batches are followed anew, as after a migration: every window begins at the horizon.
        connection.execute("UPDATE rollup_state SET refreshed_batch_id = 0")
        done = refresh(connection, now=LATER + DAY)
        assert done is not None
        assert done.windows > 0
        await assert_candles(url, "OLD", trades + late)
        assert retain(connection, KEEP_10_DAYS, now=LATER) == []

    with embedded_database(data_dir, maintenance=None) as url, session(url) as connection:
        await assert_candles(url, "OLD", trades + late)
        more = weeks_of_trades(2, days=1)
        newest = [replace(each, time=each.time + 21 * DAY) for each in more]
        newest = [replace(each, trading_date=each.time.date()) for each in newest]
        store_trades(connection, tmp_path, "OLD", "24/7", newest)
        corrected = [replace(each, price=each.price + 1) for each in kept[:5]]
        correct_trades(connection, tmp_path, "OLD", corrected)
        expected = [*(set(trades) - set(kept[:5])), *late, *newest, *corrected]
        await assert_candles(url, "OLD", expected)
        refresh(connection, now=LATER + 30 * DAY)
        assert len(retain(connection, KEEP_10_DAYS, now=LATER + 30 * DAY)) == 2
        refresh(connection, now=LATER + 31 * DAY)
        assert count(connection, "trade") == 0
        await assert_candles(url, "OLD", expected)
        differences, skipped = verified(connection)
        assert differences == []
        assert {each.reason for each in skipped} == {Unverifiable.DROPPED}


def test_without_the_horizon_a_refresh_does_delete_candles(
    embedded: TestDatabase, tmp_path: Path
) -> None:
    """What the horizon is for: the same call that a refresh makes, begun below it."""
    with session(embedded.url) as connection:
        store_trades(connection, tmp_path, "DANGER", "24/7", weeks_of_trades(3))
        refresh(connection, now=START + 21 * DAY)
        before = count(connection, "trade_candle_1m", "bucket < %s", HORIZON)
        retain(connection, KEEP_10_DAYS, now=LATER)
        assert before == count(connection, "trade_candle_1m", "bucket < %s", HORIZON)
        span = f"'{START.isoformat()}', '{HORIZON.isoformat()}'"
        connection.execute(f"CALL refresh_continuous_aggregate('trade_candle_1m', {span})".encode())
        assert count(connection, "trade_candle_1m", "bucket < %s", HORIZON) == 0


def unfollowed(connection: Connection, folder: Path, trades: list[RawTrade]) -> None:
    store_trades(connection, folder, "WAIT", "24/7", [replace(trades[0], trade_id=7)])


def tampered(connection: Connection, folder: Path, trades: list[RawTrade]) -> None:
    connection.execute("UPDATE trade SET size = size + 1 WHERE event_time < %s", (HORIZON,))


def deleted(connection: Connection, folder: Path, trades: list[RawTrade]) -> None:
    connection.execute("DELETE FROM trade WHERE event_time = %s", (trades[3].time,))


def not_made(connection: Connection, folder: Path, trades: list[RawTrade]) -> None:
    connection.execute(
        "UPDATE rollup_progress SET made_to = %s WHERE view_name = 'trade_candle_1d'",
        (START + 6 * DAY,),
    )


def never_made(connection: Connection, folder: Path, trades: list[RawTrade]) -> None:
    connection.execute("DELETE FROM rollup_progress WHERE view_name = 'trade_candle_1h'")


@pytest.mark.parametrize("spoil", [unfollowed, tampered, deleted, not_made, never_made])
def test_rows_whose_candles_are_not_safe_stay(
    spoil: Callable[[Connection, Path, list[RawTrade]], None], data_dir: Path, tmp_path: Path
) -> None:
    trades = weeks_of_trades(4)
    with embedded_database(data_dir, maintenance=None) as url, session(url) as connection:
        store_trades(connection, tmp_path, "WAIT", "24/7", trades)
        refresh(connection, now=START + 21 * DAY)
        spoil(connection, tmp_path, trades)
        before = count(connection, "trade")
        assert retain(connection, KEEP_10_DAYS, now=LATER) == []
        assert (count(connection, "trade"), horizons(connection)) == (before, {})


async def test_a_batch_between_the_check_and_the_drop_keeps_the_rows(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late batch commits after the roll-ups were found to be right: the drop must see it."""
    trades = weeks_of_trades(5)
    late = replace(trades[0], trade_id=9)
    with embedded_database(data_dir, maintenance=None) as url, session(url) as connection:
        store_trades(connection, tmp_path, "RACE", "24/7", trades)
        refresh(connection, now=START + 21 * DAY)
        checked = retain.__globals__["_reason_to_wait"]

        def check_then_store(*arguments: object) -> str | None:
            reason: str | None = checked(*arguments)
            with session(url) as other:
                store_trades(other, tmp_path, "RACE", "24/7", [late])
            return reason

        with monkeypatch.context() as patch:
            patch.setitem(retain.__globals__, "_reason_to_wait", check_then_store)
            assert retain(connection, KEEP_10_DAYS, now=LATER) == []
        await assert_candles(url, "RACE", [*trades, late])
        refresh(connection, now=LATER)
        assert len(retain(connection, KEEP_10_DAYS, now=LATER)) == 2
        await assert_candles(url, "RACE", [*trades, late])


async def test_bars_go_and_their_candles_and_other_bars_stay(
    data_dir: Path, tmp_path: Path
) -> None:
    """Bars of a minute are in the roll-ups; daily ones and those of seven minutes are not."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    minutes = minute_bars(6, begin, 9000, 1)
    sevens = minute_bars(7, floor(begin, timedelta(minutes=7)), 1000, 7)
    days = minute_bars(8, begin, 40, 1440)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    with embedded_database(data_dir, maintenance=None) as url, session(url) as connection:
        store_bars(connection, tmp_path, "MIN", "24/7", "1m", minutes)
        store_bars(connection, tmp_path, "SEVEN", "24/7", "7m", sevens)
        store_bars(connection, tmp_path, "DAY", "24/7", "1d", days)
        refresh(connection, now=now)
        dropped = retain(connection, KEEP_10_DAYS, now=now)
        assert {each.table for each in dropped} == {"bar"}
        horizon = horizons(connection)[BatchKind.BARS]
        assert horizon == max(each.end for each in dropped)
        assert count(connection, "bar", "interval_minutes = 1") == 0
        assert count(connection, "bar", "interval_minutes = 7") == len(sevens)
        assert count(connection, "bar", "interval_minutes = 1440") == len(days)
        assert kept_from(connection, BatchKind.BARS, interval_minutes=1) == horizon
        assert kept_from(connection, BatchKind.BARS, interval_minutes=7) is None
        assert kept_from(connection, BatchKind.BARS, interval_minutes=1440) is None
        assert kept_from(connection, BatchKind.TRADES) is None
        # What no roll-up holds may come in at any time; what they hold, no more.
        store_bars(connection, tmp_path, "DAY2", "24/7", "1d", days)
        with pytest.raises(ImportRefused, match="TOO_OLD"):
            store_bars(connection, tmp_path, "MIN2", "24/7", "1m", minutes)
        refresh(connection, now=now + DAY)
        assert retain(connection, KEEP_10_DAYS, now=now + DAY) == []
        async with reading(url) as market:
            for interval in ("1h", "4h", "1d", "1w"):
                found = await candles_of(market, "MIN", interval, EVERYTHING)
                assert as_expected(found) == from_bars(minutes, interval), interval
            for symbol in ("DAY", "DAY2"):
                found = await candles_of(market, symbol, "1w", EVERYTHING)
                assert as_expected(found) == from_bars(days, "1w")
            found = await candles_of(market, "SEVEN", "7m", EVERYTHING)
            assert as_expected(found) == from_bars(sevens, "7m")


def insert_quotes(connection: Connection, first: datetime, last: datetime) -> None:
    connection.execute(
        "INSERT INTO quote (instrument_id, event_time, quote_id, bid, bid_size, session,"
        " trading_date, received_at, batch_id)"
        " SELECT 1, time, 1, 1, 1, 1, time::date, time, 1"
        " FROM generate_series(%s::timestamptz, %s, INTERVAL '1 hour') AS time",
        (first, last),
    )


def test_quotes_go_on_every_edition(database: TestDatabase) -> None:
    policies = Policies(retention_days={"quote": 10})
    with session(database.url) as connection:
        insert_quotes(connection, START, START + 20 * DAY)
        refuse_impossible(connection, policies)
        dropped = retain(connection, policies, now=START + 20 * DAY)
        horizon = START + 10 * DAY
        assert max(each.end for each in dropped) == horizon
        assert horizons(connection) == {BatchKind.QUOTES: horizon}
        assert count(connection, "quote", "event_time < %s", horizon) == 0
        assert count(connection, "quote") == 10 * 24 + 1
        refuse_lost_candles(connection)


def test_dropping_is_a_batch_that_makes_remembered_answers_be_forgotten(
    data_dir: Path, tmp_path: Path
) -> None:
    with embedded_database(data_dir, maintenance=None) as url, session(url) as connection:
        store_trades(connection, tmp_path, "LOGGED", "24/7", weeks_of_trades(9, days=1))
        before = count(connection, "batch")
        refresh(connection, now=START + 9 * DAY)
        dropped = retain(connection, KEEP_10_DAYS, now=START + 100 * DAY)
        rows = connection.execute(
            "SELECT kind, source, received FROM batch WHERE batch_id > %s", (before,)
        ).fetchall()
        assert dropped
        assert rows == [("INSTRUMENTS", "retention:trade", 0)] * len(dropped)


@pytest.mark.parametrize("table", ["trade", "bar"])
def test_plain_views_would_lose_their_candles_so_retention_is_refused(
    table: str, native_database: TestDatabase
) -> None:
    policies = Policies(retention_days={table: 10})
    with session(native_database.url) as connection:
        words = f"TICKGRAPH_{table.upper()}_RETENTION_DAYS cannot be used here: .* plain views"
        with pytest.raises(SettingInvalid, match=words):
            refuse_impossible(connection, policies)
        with pytest.raises(SettingInvalid, match=words):
            retain(connection, policies)


@pytest.mark.parametrize(
    "job",
    [
        "add_retention_policy('trade', INTERVAL '30 days')",
        "add_continuous_aggregate_policy('trade_candle_1h', start_offset => NULL,"
        " end_offset => INTERVAL '1 hour', schedule_interval => INTERVAL '1 hour')",
    ],
)
def test_a_job_of_the_server_that_could_delete_candles_is_refused(
    job: str, embedded: TestDatabase
) -> None:
    with session(embedded.url) as connection:
        refuse_impossible(connection, KEEP_10_DAYS)
        row = connection.execute(f"SELECT {job}".encode()).fetchone()
        assert row is not None
        try:
            with pytest.raises(SettingInvalid, match="'trade.*remove that policy"):
                refuse_impossible(connection, KEEP_10_DAYS)
        finally:
            connection.execute("SELECT delete_job(%s)", (row[0],))


async def test_rollups_that_alone_have_the_candles_are_not_made_anew(
    data_dir: Path, tmp_path: Path
) -> None:
    trades = weeks_of_trades(10)
    with embedded_database(data_dir, maintenance=None) as url, session(url) as connection:
        store_trades(connection, tmp_path, "REBUILD", "24/7", trades)
        refresh(connection, now=START + 21 * DAY)
        refuse_lost_candles(connection)
        retain(connection, KEEP_10_DAYS, now=LATER)
        with pytest.raises(CandlesWouldBeLost, match="dropped trades before 2026-06-18"):
            refuse_lost_candles(connection)
        with pytest.raises(DatabaseUnavailable, match="only the roll-ups still have"):
            downgrade(url, "0013")
        database = OpenDatabase(url=url, embedded=True, settings=Settings())
        with pytest.raises(CandlesWouldBeLost):
            database.rebuild_rollups()
        await assert_candles(url, "REBUILD", trades)


def test_a_chunk_in_use_is_left_for_later(
    native_database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    """Writers wait while rows are dropped; so that must not wait for a reader without end."""
    policies = Policies(retention_days={"quote": 10})
    with session(native_database.url) as connection, session(native_database.url) as reader:
        insert_quotes(connection, START + 30 * DAY, START + 32 * DAY)
        with reader.transaction():
            reader.execute("SELECT count(*) FROM quote")
            assert retain(connection, policies, now=START + 50 * DAY) == []
        assert "quotes before 2026-07-05" in caplog.text
        assert len(retain(connection, policies, now=START + 50 * DAY)) == 3
