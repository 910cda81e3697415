"""Find out which SQL, with which values, Tickgraph runs for a request."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from app.storage.reader import Reader, Row
from tests.serving import in_process

_CANDLES = "-- candles"

# session: what the pool sets on its connections.
SESSION = """
SELECT name, setting FROM pg_settings
WHERE source = 'client' AND name NOT IN ('application_name', 'client_encoding')
ORDER BY name
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One request's only statement, and the answer."""

    request: bytes
    sql: str
    values: tuple[Any, ...]
    answer: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What Tickgraph ran for some requests, and the settings of the sessions that ran it."""

    session: dict[str, str]
    recorded: list[Recorded]


def record(url: str, requests: Sequence[bytes]) -> Recording:
    """Ask each request of a server in this process that remembers no answers."""
    return asyncio.run(_record(url, requests))


async def _record(url: str, requests: Sequence[bytes]) -> Recording:
    recorded = []
    async with in_process(url, cache_mb=0) as api:
        for request in requests:
            # The first time an instrument is asked about, more is read than its candles.
            for _ in range(3):
                statements, answer = await _ask(api.client, request)
            candles = [each for each in statements if _CANDLES in each[0]]
            assert len(candles) == 1, [sql for sql, _ in statements]
            sql, values = candles[0]
            recorded.append(Recorded(request=request, sql=sql, values=values, answer=answer))
        assert api.outcomes["fast"] >= 2 * len(requests), api.outcomes
        session = await api.app.state.reader.fetch(SESSION)
    return Recording(session={each["name"]: each["setting"] for each in session}, recorded=recorded)


async def _ask(client: Any, request: bytes) -> tuple[list[tuple[str, tuple[Any, ...]]], bytes]:
    statements = []
    fetch = Reader.fetch

    async def recording(reader: Reader, sql: str, *values: Any) -> list[Row]:
        statements.append((sql, values))
        return await fetch(reader, sql, *values)

    with patch.object(Reader, "fetch", recording):
        headers = {"content-type": "application/json"}
        response = await client.post("/graphql", content=request, headers=headers)
    return statements, response.content
