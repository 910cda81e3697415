"""The pool that every read goes through: bounded, timed, counted, custom plans only."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from app.errors import QueryTimeout
from app.storage.faults import asyncpg_faults

Row = asyncpg.Record
_CLOSE_TIMEOUT_S = 5.0


class Reader:
    """Runs named read statements; `on_statement` is told each one's SQL before it runs."""

    def __init__(
        self,
        pool: "asyncpg.Pool[Row]",
        *,
        pool_timeout_s: float,
        on_statement: Callable[[str], None] | None = None,
    ) -> None:
        self._pool = pool
        self._pool_timeout_s = pool_timeout_s
        self._on_statement = on_statement

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        """Run one statement and give all its rows.

        Raises:
            QueryTimeout: it ran into the statement timeout.
            DatabaseUnavailable: no connection could be had in time, or it broke.
        """
        if self._on_statement is not None:
            self._on_statement(sql)
        with asyncpg_faults():
            async with self._pool.acquire(timeout=self._pool_timeout_s) as connection:
                return await connection.fetch(sql, *args)


@asynccontextmanager
async def open_reader(
    url: str,
    *,
    pool_size: int,
    pool_timeout_s: float,
    statement_timeout_s: float,
    on_statement: Callable[[str], None] | None = None,
) -> AsyncIterator[Reader]:
    """Open the pool and close it at the end; connections are made when first needed.

    A plan made for the very bounds of a question touches only their chunks: 0.4 ms at 2,000 chunks
    against 10 ms with a generic plan.
    """
    with asyncpg_faults():
        pool = await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=pool_size,
            timeout=pool_timeout_s,
            command_timeout=statement_timeout_s + 1.0,
            max_inactive_connection_lifetime=60.0,
            reset=keep_as_is,
            server_settings=read_settings("tickgraph", statement_timeout_s),
        )
    try:
        yield Reader(pool, pool_timeout_s=pool_timeout_s, on_statement=on_statement)
    finally:
        with asyncpg_faults(), suppress(QueryTimeout):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await pool.close()
        pool.terminate()


def read_settings(name: str, statement_timeout_s: float) -> dict[str, str]:
    """Give the settings of a connection that only reads."""
    return {
        "application_name": name,
        "timezone": "UTC",
        "plan_cache_mode": "force_custom_plan",
        "jit": "off",
        # As on SSDs: at 4 the planner reads all of a time rather than one instrument.
        "random_page_cost": "1.1",
        "statement_timeout": str(int(statement_timeout_s * 1000)),
        "default_transaction_read_only": "on",
    }


async def keep_as_is(connection: Any) -> None:
    """Leave a returned connection alone: reads set nothing, and a reset is a round trip."""
