"""The server's own loop: it follows the log, and sees to old rows."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from app.rollups.compression import old_chunks
from app.rollups.policies import TABLES, Policies
from app.rollups.refresh import freshness
from app.rollups.refresher import Refresher
from app.storage.batches import BatchKind
from app.storage.horizons import horizons
from tests.conftest import TestDatabase
from tests.query.market import store_trades
from tests.rollups.old_rows import DAY, START, assert_candles, session, weeks_of_trades


async def until(done: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not await asyncio.to_thread(done):
        assert time.monotonic() < give_up, "it did not happen"
        await asyncio.sleep(0.05)


async def test_a_running_server_follows_then_drops_and_compresses(
    embedded: TestDatabase, tmp_path: Path
) -> None:
    trades = weeks_of_trades(40)
    now = max(each.time for each in trades) + 100 * DAY
    with session(embedded.url) as connection:
        store_trades(connection, tmp_path, "LOOP", "24/7", trades)
    refresher = Refresher(
        embedded.url,
        interval_s=0.2,
        connect_timeout_s=10,
        statement_timeout_s=60,
        policies=Policies(
            # By the real clock: what lies a week and more after START stays.
            retention_days={"trade": 10},
            compress_after_days={"quote": 1, "trade": 1},
        ),
    )

    def dropped() -> bool:
        with session(embedded.url) as connection:
            return BatchKind.TRADES in horizons(connection)

    def followed() -> bool:
        with session(embedded.url) as connection:
            return freshness(connection).pending == 0

    task = asyncio.create_task(refresher.run())
    try:
        await until(dropped)
        await until(followed)
    finally:
        refresher.stop()
        await task
    await assert_candles(embedded.url, "LOOP", trades)
    with session(embedded.url) as connection:
        assert horizons(connection)[BatchKind.TRADES] > START
        assert not [each for each in old_chunks(connection, TABLES[0], now) if each.due]
