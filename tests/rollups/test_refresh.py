"""Roll-ups follow the log without a gap, whatever the clock says between two refreshes."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.query.window import Window
from app.rollups.catalogue import ROLLUPS
from app.rollups.refresh import freshness, refresh
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.market import busy_trades, minute_bars, store_bars, store_trades
from tests.query.reading import as_expected, candles_of, reading
from tests.query.recompute import from_bars, from_trades

START = datetime(2026, 6, 1, 10, 5, tzinfo=UTC)
EVERYTHING = Window(start=datetime(1990, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC))


async def test_buckets_that_were_open_are_not_lost_when_later_ones_are_made(
    database: TestDatabase, tmp_path: Path
) -> None:
    """A refresh ends at the present bucket. The next one, hours later, must not leap over it."""
    first = busy_trades(1, START, 60, 20.0)
    second = busy_trades(2, START + timedelta(hours=30), 60, 20.0)
    with connect(database.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_trades(connection, tmp_path, "GAP", "24/7", first)
        refresh(connection, now=first[-1].time)
        store_trades(connection, tmp_path, "GAP", "24/7", second)
        refresh(connection, now=second[-1].time + timedelta(hours=3))
    async with reading(database.url) as market:
        for interval in ("1m", "1h", "1d"):
            found = await candles_of(market, "GAP", interval, EVERYTHING)
            assert as_expected(found) == from_trades(first + second, interval), interval


@pytest.mark.parametrize("seed", range(3))
async def test_any_clock_between_batches_gives_the_same_candles(
    embedded: TestDatabase, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    symbol, now = f"CLOCK{seed}", START - timedelta(days=1)
    trades = busy_trades(10 + seed, START, 1500, 90.0)
    bars = minute_bars(20 + seed, START, 1500, 1)
    with connect(embedded.url, timeout_s=10, statement_timeout_s=120) as connection:
        for low in range(0, 1500, 250):
            store_trades(connection, tmp_path, symbol, "24/7", trades[low : low + 250])
            store_bars(connection, tmp_path, f"{symbol}B", "24/7", "1m", bars[low : low + 250])
            for _ in range(rng.randint(0, 2)):
                now += timedelta(minutes=rng.choice((1, 30, 200, 1500)))
                refresh(connection, now=now)
        async with reading(embedded.url) as market:
            for interval in ("1m", "5m", "1h", "1d", "1w"):
                found = await candles_of(market, symbol, interval, EVERYTHING)
                assert as_expected(found) == from_trades(trades, interval)
                found = await candles_of(market, f"{symbol}B", interval, EVERYTHING)
                assert as_expected(found) == from_bars(bars, interval)


def test_a_bucket_that_has_closed_is_made_without_a_new_batch(
    embedded: TestDatabase, tmp_path: Path
) -> None:
    """The real-time part of a view must not grow because nothing new comes in."""
    trades = busy_trades(30, START, 20, 20.0)
    with connect(embedded.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_trades(connection, tmp_path, "CLOSED", "24/7", trades)
        refresh(connection, now=trades[-1].time)
        done = refresh(connection, now=trades[-1].time + timedelta(days=2))
        assert done is not None
        assert done.windows > 0
        again = refresh(connection, now=trades[-1].time + timedelta(days=2))
        assert again is not None
        assert again.windows == 0
        assert freshness(connection).pending == 0


def test_the_catalogue_is_what_the_database_has(database: TestDatabase) -> None:
    with connect(database.url, timeout_s=10, statement_timeout_s=60) as connection:
        rows = connection.execute(
            "SELECT table_name FROM information_schema.views WHERE table_schema = 'public'"
        ).fetchall()
        found = {name for (name,) in rows}
        assert {rollup.view for rollup in ROLLUPS} <= found
        for rollup in ROLLUPS:
            columns = connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s",
                (rollup.view,),
            ).fetchall()
            assert {
                "instrument_id", "session", "trading_date", "bucket", "open", "high", "low",
                "close", "volume", "notional", "trades", "revision", "first_time", "last_time",
            } <= {name for (name,) in columns}  # fmt: skip
