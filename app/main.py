"""Composition root of the server: settings in, ASGI application out."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from app.errors import TickgraphError
from app.query.answers import AnswerCache
from app.query.market import open_market
from app.query.server import server_state
from app.rollups.refresher import Refresher
from app.settings import Settings
from app.storage.reader import Reader, open_reader
from app.telemetry.metrics import CONTENT_TYPE, Counted, Measured, Metrics
from app.web.pages import assets, graphiql_page, wants_page
from graphql_schema.context import Context, Limits
from graphql_schema.errors import public_message
from graphql_schema.http import GraphQLView, refusal
from graphql_schema.schema import build_schema

_LOG = logging.getLogger("tickgraph.http")


def create_app(
    settings: Settings,
    database_url: str,
    *,
    embedded: bool = False,
    on_statement: Callable[[str], None] | None = None,
) -> Starlette:
    """Build the server over a migrated database; nothing is opened before its lifespan begins.

    `on_statement` is told the SQL of each read before it runs.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_reader(
            database_url,
            pool_size=settings.pool_size,
            pool_timeout_s=settings.pool_timeout_s,
            statement_timeout_s=settings.statement_timeout_s,
            on_statement=on_statement,
        ) as reader:
            app.state.reader = reader
            app.state.view = await _view(settings, reader, embedded=embedded)
            app.state.metrics = _metrics_of(app.state.view)
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
        Route("/metrics", _metrics),
    ]
    if settings.graphiql:
        routes += [
            Mount("/graphiql/assets", assets()),
            Route("/", _home),
        ]
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )


async def _view(settings: Settings, reader: Reader, *, embedded: bool) -> GraphQLView:
    state = await server_state(reader)
    context = Context(
        market=open_market(
            reader,
            continuous=state.continuous,
            max_points=settings.max_points,
            lateness=timedelta(seconds=settings.lateness_s),
            cache_bytes=settings.cache_mb << 20,
        ),
        limits=Limits(max_points=settings.max_points, max_symbols=settings.max_symbols),
        embedded=embedded,
    )
    schema = build_schema(
        max_tokens=settings.max_query_tokens,
        max_depth=settings.max_query_depth,
        introspection=settings.introspection,
    )
    return GraphQLView(schema, context, max_body_bytes=settings.max_body_bytes)


def _metrics_of(view: GraphQLView) -> Metrics:
    levels = {"fragments": view.market.fragments, "responses": view.market.responses}
    answers = Counted(
        name="tickgraph_answers",
        words="Requests by how they were answered: cached, fast, fallback, unknown.",
        label="how",
        read=lambda: view.fast.outcomes,
    )
    used = Measured(
        name="tickgraph_cache_used_bytes",
        words="Bytes that remembered answers take.",
        label="level",
        read=lambda: {name: level.memory.used_bytes for name, level in levels.items()},
    )
    return Metrics([answers, *(_looked_up(*level) for level in levels.items()), used])


def _looked_up(name: str, level: AnswerCache) -> Counted:
    return Counted(
        name=f"tickgraph_cache_{name}",
        words="Look-ups and departures of a level of remembered answers.",
        label="outcome",
        read=lambda: level.memory.outcomes,
    )


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
        _LOG.warning("not ready: %s", error.message)
        body = {"status": "unavailable", "code": error.code, "message": public_message(error)}
        return JSONResponse(body, status_code=503)
    return JSONResponse({"status": "ok", "pendingBatches": state.pending})


async def _metrics(request: Request) -> Response:
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "BAD_REQUEST")
    allow = (error.headers or {}).get("Allow")
    return refusal(error.status_code, code, error.detail, allow=allow)


async def _failed(request: Request, error: Exception) -> Response:
    """Answer in our shape; Starlette raises the error again, and uvicorn logs it."""
    return refusal(500, "INTERNAL", "The server failed to answer this.")
