"""A read that starts after a commit reflects it, refreshed or not, late or on time."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.query.window import Window
from app.rollups.catalogue import ROLLUPS
from app.rollups.refresh import refresh
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.market import busy_trades, minute_bars, store_bars, store_trades
from tests.query.reading import as_expected, candles_of, reading
from tests.query.recompute import from_bars, from_trades

START = datetime(2026, 2, 2, 23, 30, tzinfo=UTC)
EVERYTHING = Window(start=datetime(1990, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC))
INTERVALS = ("30s", "1m", "5m", "1h", "1d", "1w")


@pytest.mark.parametrize("seed", range(4))
async def test_batches_in_any_order_with_refreshes_between(
    database: TestDatabase, tmp_path: Path, seed: int
) -> None:
    """Trades arrive shuffled in batches; some are followed by a refresh, reads are always exact."""
    rng = random.Random(seed)
    symbol = f"LATE{seed}"
    trades = busy_trades(seed, START, 3000, 60.0)
    edges = sorted(rng.sample(range(1, len(trades)), 7))
    batches = [
        trades[low:high] for low, high in zip([0, *edges], [*edges, len(trades)], strict=True)
    ]
    rng.shuffle(batches)
    arrived = []
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        async with reading(database.url) as market:
            for batch in batches:
                store_trades(connection, tmp_path, symbol, "24/7", batch)
                arrived += batch
                if rng.random() < 0.5:
                    refresh(connection)
                for interval in INTERVALS:
                    found = await candles_of(market, symbol, interval, EVERYTHING)
                    assert as_expected(found) == from_trades(arrived, interval)
                    newest = await candles_of(market, symbol, interval, Window(last=9))
                    assert newest == found[-9:]


async def test_late_bars_are_in_the_next_read(database: TestDatabase, tmp_path: Path) -> None:
    bars = minute_bars(9, START, 2000, 1)
    late, early = bars[500:900], bars[:500] + bars[900:]
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        store_bars(connection, tmp_path, "LATEBARS", "24/7", "1m", early)
        refresh(connection)
        store_bars(connection, tmp_path, "LATEBARS", "24/7", "1m", late)
        for _ in range(2):
            async with reading(database.url) as market:
                for interval in ("1m", "1h", "65m", "1d"):
                    found = await candles_of(market, "LATEBARS", interval, EVERYTHING)
                    assert as_expected(found) == from_bars(bars, interval)
            refresh(connection)


async def test_late_trade_raises_the_revision_of_its_candle_only(
    database: TestDatabase, tmp_path: Path
) -> None:
    trades = busy_trades(11, START, 500, 60.0)
    late = trades.pop(100)
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        store_trades(connection, tmp_path, "REVISED", "24/7", trades)
        refresh(connection)
        async with reading(database.url) as market:
            before = await candles_of(market, "REVISED", "1h", EVERYTHING)
            store_trades(connection, tmp_path, "REVISED", "24/7", [late])
            stale = await candles_of(market, "REVISED", "1h", EVERYTHING)
            refresh(connection)
            after = await candles_of(market, "REVISED", "1h", EVERYTHING)
    assert stale == after
    hour = late.time.replace(minute=0, second=0, microsecond=0)
    changed = [new.time for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [hour]
    (new,) = (each for each in after if each.time == hour)
    assert new.revision > max(each.revision for each in before)


async def test_a_candle_is_final_when_data_have_passed_its_end(
    database: TestDatabase, tmp_path: Path
) -> None:
    trades = busy_trades(12, START, 500, 60.0)
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        store_trades(connection, tmp_path, "FINAL", "24/7", trades)
    watermark = max(each.time for each in trades) - timedelta(seconds=60)
    async with reading(database.url) as market:
        for interval, width in (("1m", 60), ("1h", 3600)):
            for each in await candles_of(market, "FINAL", interval, EVERYTHING):
                assert each.final == (each.time + timedelta(seconds=width) <= watermark)
        days = await candles_of(market, "FINAL", "1d", EVERYTHING)
    assert [each.final for each in days] == [
        each.time + timedelta(days=1) <= watermark for each in days
    ]
    assert {each.final for each in days} == {True, False}


def test_a_refresh_leaves_nothing_pending_and_a_second_does_nothing(
    database: TestDatabase, tmp_path: Path
) -> None:
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        store_trades(connection, tmp_path, "PENDING", "24/7", busy_trades(13, START, 50, 60.0))
        first = refresh(connection)
        second = refresh(connection)
    assert first is not None
    assert second is not None
    assert first.batch_id == second.batch_id
    assert second.windows == 0
    assert bool(first.windows) == (database.kind == "embedded")


def test_a_refresh_never_freezes_the_present_bucket(embedded: TestDatabase, tmp_path: Path) -> None:
    """A NULL end would move the watermark past the open bucket: later trades would be invisible."""
    now = datetime.now(UTC)
    with connect(embedded.url, timeout_s=10, statement_timeout_s=300) as connection:
        store_trades(connection, tmp_path, "OPEN", "24/7", busy_trades(14, now, 5, 0.001))
        refresh(connection)
        late = connection.execute(
            "SELECT user_view_name FROM _timescaledb_catalog.continuous_agg"
            " WHERE _timescaledb_functions.to_timestamp("
            "_timescaledb_functions.cagg_watermark(mat_hypertable_id)) > now()"
        ).fetchall()
        (views,) = connection.execute(
            "SELECT count(*) FROM _timescaledb_catalog.continuous_agg"
        ).fetchone() or (0,)
    assert views == len(ROLLUPS)
    assert not late
