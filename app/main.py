"""Composition root of the server: settings in, ASGI application out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from app.errors import TickgraphError
from app.query.candles import CandleLimits
from app.query.server import server_state
from app.rollups.refresher import Refresher
from app.settings import Settings
from app.storage.reader import Reader, open_reader
from app.web.pages import assets, graphiql_page, wants_page
from graphql_schema.context import Context, Limits
from graphql_schema.http import GraphQLView, refusal
from graphql_schema.schema import build_schema


def create_app(settings: Settings, database_url: str, *, embedded: bool = False) -> Starlette:
    """Build the server over a migrated database; nothing is opened before its lifespan begins."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_reader(
            database_url,
            pool_size=settings.pool_size,
            pool_timeout_s=settings.pool_timeout_s,
            statement_timeout_s=settings.statement_timeout_s,
        ) as reader:
            app.state.reader = reader
            app.state.view = await _view(settings, reader, embedded=embedded)
            refresher = Refresher(
                database_url,
                interval_s=settings.refresh_interval_s,
                connect_timeout_s=settings.pool_timeout_s,
                statement_timeout_s=settings.write_timeout_s,
            )
            task = asyncio.create_task(refresher.run())
            try:
                yield
            finally:
                refresher.stop()
                await task

    graphql = _Graphql(pages=settings.graphiql)
    routes: list[BaseRoute] = [
        Route("/graphql", graphql),
        WebSocketRoute("/graphql", graphql),
        Route("/healthz", _health),
        Route("/readyz", _ready),
    ]
    if settings.graphiql:
        routes += [
            Mount("/graphiql/assets", assets()),
            Route("/", _home),
        ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _refused})


async def _view(settings: Settings, reader: Reader, *, embedded: bool) -> GraphQLView:
    state = await server_state(reader)
    context = Context(
        reader=reader,
        limits=Limits(max_points=settings.max_points, max_symbols=settings.max_symbols),
        candle_limits=CandleLimits(
            max_points=settings.max_points,
            lateness=timedelta(seconds=settings.lateness_s),
            continuous=state.continuous,
        ),
        embedded=embedded,
    )
    schema = build_schema(
        max_tokens=settings.max_query_tokens,
        max_depth=settings.max_query_depth,
        introspection=settings.introspection,
    )
    return GraphQLView(schema, context, max_body_bytes=settings.max_body_bytes)


class _Graphql:
    """GraphiQL for a browser that opens the address, GraphQL for everyone else."""

    def __init__(self, *, pages: bool) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._pages and scope["type"] == "http" and _opens_page(Request(scope)):
            await graphiql_page()(scope, receive, send)
        else:
            await scope["app"].state.view(scope, receive, send)


def _opens_page(request: Request) -> bool:
    opens = request.method == "GET" and "query" not in request.query_params
    return opens and wants_page(request.headers.get("accept", ""))


async def _home(request: Request) -> Response:
    return RedirectResponse("/graphql")


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _ready(request: Request) -> Response:
    try:
        state = await server_state(request.app.state.reader)
    except TickgraphError as error:
        body = {"status": "unavailable", "code": error.code, "message": error.message}
        return JSONResponse(body, status_code=503)
    return JSONResponse({"status": "ok", "pendingBatches": state.pending})


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(status, "BAD_REQUEST")
    return refusal(status, code, getattr(error, "detail", "Bad request"))
