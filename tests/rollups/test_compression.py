"""Old chunks are compressed, and nobody who reads or writes can tell."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from app.errors import SettingInvalid
from app.rollups.compression import compress, old_chunks
from app.rollups.policies import TABLES, Policies, refuse_impossible
from app.rollups.refresh import refresh
from app.rollups.retention import retain
from app.storage.database import Connection, one_row
from tests.conftest import TestDatabase
from tests.query.market import minute_bars, store_bars, store_trades
from tests.query.reading import as_expected, candles_of, reading
from tests.query.recompute import RawTrade, from_bars
from tests.rollups.old_rows import (
    DAY,
    EVERYTHING,
    START,
    assert_candles,
    correct_trades,
    count,
    session,
    verified,
    weeks_of_trades,
)

AFTER_3_DAYS = Policies(compress_after_days={"trade": 3, "bar": 3, "quote": 3})
NOW = START + 21 * DAY
TRADE, BAR, QUOTE = TABLES


@pytest.fixture
def connection(embedded: TestDatabase) -> Iterator[Connection]:
    with session(embedded.url) as opened:
        yield opened


def due(connection: Connection) -> list[bool]:
    return [each.due for each in old_chunks(connection, TRADE, NOW - 3 * DAY)]


async def test_late_rows_and_corrections_of_compressed_trades_count(
    embedded: TestDatabase, connection: Connection, tmp_path: Path
) -> None:
    trades = weeks_of_trades(20, per_day=1000)
    store_trades(connection, tmp_path, "PACKED", "24/7", trades)
    refresh(connection, now=NOW)
    assert due(connection) == [True, True]
    assert len(compress(connection, AFTER_3_DAYS, now=NOW)) == 2
    assert due(connection) == [False, False]
    assert compress(connection, AFTER_3_DAYS, now=NOW) == []
    await assert_candles(embedded.url, "PACKED", trades)

    # The same file again changes nothing.
    again = store_trades(connection, tmp_path, "PACKED", "24/7", trades)
    assert (again.stored, again.duplicate, again.rejected) == (0, len(trades), 0)
    compress(connection, AFTER_3_DAYS, now=NOW)
    assert due(connection) == [False, False]
    # New trades between the old ones, some at the time of another; corrections all over a chunk.
    late = [
        replace(each, trade_id=each.trade_id + 10**15, time=each.time + timedelta(seconds=number))
        for number, each in enumerate(trades[:2000:200])
    ]
    corrected = [replace(each, price=each.price + 3) for each in trades[:6_000]]
    store_trades(connection, tmp_path, "PACKED", "24/7", late)
    done = correct_trades(connection, tmp_path, "PACKED", corrected)
    assert done.counts.stored == len(corrected)
    expected: list[RawTrade] = [*corrected, *trades[6_000:], *late]
    assert count(connection, "trade") == len(expected)
    assert due(connection) == [True, False]
    for _ in range(2):
        await assert_candles(embedded.url, "PACKED", expected)
        refresh(connection, now=NOW)
    # What late rows opened is compressed again.
    assert len(compress(connection, AFTER_3_DAYS, now=NOW)) == 1
    assert due(connection) == [False, False]
    await assert_candles(embedded.url, "PACKED", expected)
    assert verified(connection) == ([], [])


def test_more_rows_can_be_corrected_than_the_server_would_unpack(
    connection: Connection, tmp_path: Path
) -> None:
    """Our sessions lift the limit: a correction is bounded by its time."""
    limit = "SHOW timescaledb.max_tuples_decompressed_per_dml_transaction"
    assert one_row(connection, limit.encode()) == ("0",)
    trades = weeks_of_trades(21, days=6, per_day=1000)
    store_trades(connection, tmp_path, "MANY", "24/7", trades)
    compress(connection, AFTER_3_DAYS, now=NOW)
    corrected = [replace(each, size=each.size + 1) for each in trades]
    connection.execute(limit.replace("SHOW", "SET").encode() + b" = 100")
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
        correct_trades(connection, tmp_path, "MANY", corrected)
    connection.execute(limit.replace("SHOW", "SET").encode() + b" = 0")
    assert correct_trades(connection, tmp_path, "MANY", corrected).counts.stored == len(trades)


async def test_bars_are_compressed_by_interval_and_dropped_from_compressed_chunks(
    embedded: TestDatabase, connection: Connection, tmp_path: Path
) -> None:
    minutes, days = minute_bars(22, START, 3000, 1), minute_bars(23, START, 20, 1440)
    store_bars(connection, tmp_path, "BARS.M", "24/7", "1m", minutes)
    store_bars(connection, tmp_path, "BARS.D", "24/7", "1d", days)
    later = START + 200 * DAY
    refresh(connection, now=later)
    assert compress(connection, AFTER_3_DAYS, now=later)
    assert not [each for each in old_chunks(connection, BAR, later) if each.due]
    assert retain(connection, Policies(retention_days={"bar": 3}), now=later)
    assert count(connection, "bar", "interval_minutes = 1") == 0
    assert count(connection, "bar", "interval_minutes = 1440") == len(days)
    async with reading(embedded.url) as market:
        for interval in ("1h", "1d"):
            found = await candles_of(market, "BARS.M", interval, EVERYTHING)
            assert as_expected(found) == from_bars(minutes, interval)
        found = await candles_of(market, "BARS.D", "1d", EVERYTHING)
        assert as_expected(found) == from_bars(days, "1d")


def test_quotes_are_compressed(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO quote (instrument_id, event_time, quote_id, bid, bid_size, session,"
        " trading_date, received_at, batch_id)"
        " SELECT 1, %s::timestamptz + n * INTERVAL '1 minute', n, 1, 1, 1, '2026-06-04', now(), 1"
        " FROM generate_series(1, 3000) AS n",
        (START,),
    )
    compress(connection, AFTER_3_DAYS, now=NOW)
    assert [each.due for each in old_chunks(connection, QUOTE, NOW)] == [False] * 3
    assert count(connection, "quote") == 3000


def test_the_apache_edition_has_no_compression(native_database: TestDatabase) -> None:
    policies = Policies(compress_after_days={"bar": 3})
    with session(native_database.url) as connection:
        for refused in (refuse_impossible, compress):
            with pytest.raises(SettingInvalid, match="TICKGRAPH_BAR_COMPRESS_AFTER_DAYS cannot"):
                refused(connection, policies)
