"""The Python servers of a measurement, each started as a process: ours, the floor, ready bytes.

All run as `tickgraph serve` does: one uvicorn process with uvloop and httptools, no access log.
"""

import json
import pickle
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.commands.serving import listen, serve
from app.main import create_app
from app.settings import Settings
from benchmarks.recording import Recording

POOL_SIZE = 8


def ours(url: str, cache_mb: int) -> Starlette:
    """Build Tickgraph with a page that tells how requests were answered."""
    # The data do not change: no need to look for what roll-ups have to follow.
    settings = Settings(
        database_url=url, cache_mb=cache_mb, pool_size=POOL_SIZE, refresh_interval_s=3600
    )
    app = create_app(settings, url)

    async def outcomes(request: Request) -> Response:
        return JSONResponse(app.state.view.fast.outcomes)

    app.router.routes.append(Route("/outcomes", outcomes))
    return app


def floor(url: str, recording: Recording) -> Starlette:
    """Build the least that can answer from the same SQL: run it, join the texts, send them."""
    session = recording.session
    statements = {
        each.request: (each.sql, each.values, _heads(json.loads(each.request)))
        for each in recording.recorded
    }

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with asyncpg.create_pool(
            url,
            min_size=0,
            max_size=POOL_SIZE,
            reset=_keep_as_is,
            server_settings=session,
        ) as pool:
            app.state.pool = pool
            yield

    async def answer(request: Request) -> Response:
        sql, values, heads = statements[await request.body()]
        async with request.app.state.pool.acquire() as connection:
            rows = await connection.fetch(sql, *values)
        pieces = [b'{"data":{"instruments":[']
        for head, row in zip(heads, rows, strict=True):
            pieces += (head, row["text"])
        body = b"".join([*pieces, b"}]}}"])
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route("/graphql", answer, methods=["POST"])], lifespan=lifespan)


def ready(recording: Recording) -> Starlette:
    """Build a server that has every answer in memory."""
    answers = {each.request: each.answer for each in recording.recorded}

    async def answer(request: Request) -> Response:
        return Response(answers[await request.body()], media_type="application/json")

    return Starlette(routes=[Route("/graphql", answer, methods=["POST"])])


def _heads(asked: dict[str, dict[str, list[str]]]) -> list[bytes]:
    """Write what comes before each instrument's candles."""
    symbols = asked["variables"]["symbols"]
    return [
        f'{"}," if place else ""}{{"symbol":"{symbol}","candles":'.encode()
        for place, symbol in enumerate(symbols)
    ]


async def _keep_as_is(connection: object) -> None:
    """Leave a returned connection alone, as Tickgraph does."""


def main() -> None:
    """Serve: KIND PORT URL, then megabytes of cache or the file with what was recorded."""
    kind, port, url, more = sys.argv[1:]
    if kind == "ours":
        app = ours(url, int(more))
    else:
        # Not kept in a variable: the floor is to hold no answers.
        app = (
            floor(url, pickle.loads(Path(more).read_bytes()))
            if kind == "floor"
            else ready(pickle.loads(Path(more).read_bytes()))
        )
    listening = listen(Settings(port=int(port)))
    serve(app, listening, "WARNING", lambda: None)


if __name__ == "__main__":
    main()
