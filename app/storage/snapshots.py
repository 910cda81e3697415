"""Reads that all see one state of the database: one transaction, one snapshot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from app.storage.faults import asyncpg_faults
from app.storage.reader import Reader, Row, keep_as_is, read_settings

# steady_watermark: a plan must not know of a refresh that the snapshot does not.
STEADY_WATERMARK = """
SELECT set_config(name, 'off', false)
FROM pg_settings
WHERE name = 'timescaledb.enable_cagg_watermark_constify'
"""


class SnapshotReader(Reader):
    """Runs every statement in the one transaction that its connection is in."""

    def __init__(self, connection: "asyncpg.pool.PoolConnectionProxy[Row]") -> None:
        self._connection = connection

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        """Run one statement and give all its rows.

        Raises:
            QueryTimeout: it ran into the statement timeout.
            DatabaseUnavailable: the connection broke.
        """
        with asyncpg_faults():
            return await self._connection.fetch(sql, *args)


class Snapshots:
    """A connection of its own for snapshots, one at a time; opened anew when it broke."""

    def __init__(self, pool: "asyncpg.Pool[Row]", timeout_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SnapshotReader]:
        """Give a reader whose statements see one state.

        Raises:
            QueryTimeout, DatabaseUnavailable: as by the reader.
        """
        with asyncpg_faults():
            async with (
                self._pool.acquire(timeout=self._timeout_s) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                yield SnapshotReader(connection)


@asynccontextmanager
async def open_snapshots(
    url: str, *, timeout_s: float, statement_timeout_s: float
) -> AsyncIterator[Snapshots]:
    """Prepare for snapshots; nothing is connected before the first."""
    with asyncpg_faults():
        pool = await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=1,
            timeout=timeout_s,
            command_timeout=statement_timeout_s + 1.0,
            init=_steady,
            reset=keep_as_is,
            server_settings=read_settings("tickgraph live", statement_timeout_s),
        )
    try:
        yield Snapshots(pool, timeout_s)
    finally:
        pool.terminate()


async def _steady(connection: Any) -> None:
    await connection.execute(STEADY_WATERMARK)
