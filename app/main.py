"""Composition root of the server: settings in, ASGI application out."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from app.commands.policies import policies_of
from app.errors import TickgraphError
from app.exposition import metrics_of
from app.ingestion.http_door import DoorLimits, IngestDoor
from app.ingestion.intake import Intake
from app.ingestion.writer import Address
from app.live.hub import Hub
from app.live.moments import moments
from app.query.market import open_market
from app.query.server import ServerState, server_state
from app.rollups.refresher import Refresher
from app.settings import Settings
from app.storage.notifications import Notifications
from app.storage.reader import Reader, open_reader
from app.storage.snapshots import open_snapshots
from app.telemetry.metrics import CONTENT_TYPE, Metrics
from app.web.pages import assets, graphiql_page, wants_page
from graphql_schema.context import Context, Limits
from graphql_schema.errors import public_message
from graphql_schema.http import GraphQLView, refusal
from graphql_schema.live.endpoint import Live
from graphql_schema.live.feeds import HubFeed
from graphql_schema.live.operations import Operations
from graphql_schema.live.socket import WithWire
from graphql_schema.schema import DocumentLimits, build_schema, document_rules

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
        async with AsyncExitStack() as opened:
            reader = await opened.enter_async_context(
                open_reader(
                    database_url,
                    pool_size=settings.pool_size,
                    pool_timeout_s=settings.pool_timeout_s,
                    statement_timeout_s=settings.statement_timeout_s,
                    on_statement=on_statement,
                )
            )
            app.state.reader = reader
            refresher = Refresher(
                database_url,
                interval_s=settings.refresh_interval_s,
                connect_timeout_s=settings.pool_timeout_s,
                statement_timeout_s=settings.write_timeout_s,
                policies=policies_of(settings),
            )
            intake = Intake(
                Address(
                    url=database_url,
                    connect_timeout_s=settings.pool_timeout_s,
                    statement_timeout_s=settings.write_timeout_s,
                ),
                writers=settings.writers,
                waiting=settings.writes_waiting,
                on_written=refresher.wake,
            )
            app.state.intake = intake
            snapshots = await opened.enter_async_context(
                open_snapshots(
                    database_url,
                    timeout_s=settings.pool_timeout_s,
                    statement_timeout_s=settings.statement_timeout_s,
                )
            )
            state = await server_state(reader)
            take = moments(
                snapshots,
                continuous=state.continuous,
                max_points=settings.max_points,
                lateness=timedelta(seconds=settings.lateness_s),
            )
            hub = Hub(take, look_interval_s=settings.look_interval_s)
            app.state.view = _view(settings, reader, intake, hub, state, embedded=embedded)
            app.state.door = IngestDoor(
                intake,
                DoorLimits(
                    max_bytes=settings.ingest_max_mb << 20,
                    max_uploads=settings.ingest_uploads,
                    folder=settings.ingest_dir,
                ),
            )
            app.state.metrics = metrics_of(app.state.view, intake, hub)
            heard = Notifications(database_url, hub.wake, timeout_s=settings.pool_timeout_s)
            following = [asyncio.create_task(hub.run()), asyncio.create_task(heard.run())]
            refreshing = asyncio.create_task(refresher.run())
            try:
                async with intake:
                    yield
            finally:
                app.state.view.live.closing.set()
                for task in following:
                    task.cancel()
                await asyncio.gather(*following, return_exceptions=True)
                refresher.stop()
                await refreshing

    graphql = _Graphql(pages=settings.graphiql)
    routes: list[BaseRoute] = [
        Route("/graphql", graphql),
        WebSocketRoute("/graphql", graphql),
        Route("/healthz", _health),
        Route("/readyz", _ready),
        Route("/metrics", _metrics),
    ]
    if settings.ingest:
        routes.append(Route("/ingest/{kind}", _Ingest()))
    if settings.graphiql:
        routes += [
            Mount("/graphiql/assets", assets()),
            Route("/", _home),
        ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(WithWire)],
        lifespan=lifespan,
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )


def _view(
    settings: Settings,
    reader: Reader,
    intake: Intake,
    hub: Hub,
    state: ServerState,
    *,
    embedded: bool,
) -> GraphQLView:
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
        intake=intake,
        live=HubFeed(hub),
    )
    limits = DocumentLimits(
        max_tokens=settings.max_query_tokens,
        max_depth=settings.max_query_depth,
        introspection=settings.introspection,
    )
    schema = build_schema(limits)
    operations = Operations(schema, max_tokens=limits.max_tokens, rules=document_rules(limits))
    return GraphQLView(
        schema,
        context,
        Live(hub=hub, operations=operations),
        max_body_bytes=settings.max_body_bytes,
        max_socket_operations=settings.max_socket_operations,
    )


class _Graphql:
    """GraphiQL for a browser that opens the address, GraphQL for everyone else."""

    def __init__(self, *, pages: bool) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._pages and scope.get("method") == "GET" and _opens_page(Request(scope)):
            await graphiql_page()(scope, receive, send)
        else:
            await scope["app"].state.view(scope, receive, send)


class _Ingest:
    """The door of records."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["app"].state.door(scope, receive, send)


def _opens_page(request: Request) -> bool:
    return "query" not in request.query_params and wants_page(request.headers.get("accept", ""))


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
