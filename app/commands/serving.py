"""Run the HTTP server until it is told to stop."""

import gc
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette

from app.commands.connections import HttpConnection, SocketConnection
from app.errors import SettingInvalid
from app.settings import Settings

_DRAIN_S = 10
_PING_S = 10.0
_MAX_WEBSOCKET_BYTES = 1 << 20


def listen(settings: Settings) -> socket.socket:
    """Take the port before anything slow is done.

    Raises:
        SettingInvalid: it is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio turns off the delay that would hold small answers for 40 ms.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((settings.host, settings.port))
        # A port that is bound but not listened on, another process can still bind.
        taken.listen()
    except OSError as error:
        taken.close()
        raise SettingInvalid(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror};"
            " TICKGRAPH_PORT names another"
        ) from error
    return taken


def base_url(listening: socket.socket) -> str:
    """Give the address for people."""
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "localhost", "127.0.0.1": "localhost", "::": "localhost"}.get(host, host)
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def serve(
    app: Starlette, listening: socket.socket, log_level: str, on_ready: Callable[[], None]
) -> None:
    """Serve on the socket until SIGINT or SIGTERM; open requests are finished first."""
    server = _Server(server_config(app, log_level), app, on_ready)
    # Uvicorn gives a signal on after it has drained: Ctrl-C is how people end a server, no failure.
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def server_config(app: Starlette, log_level: str, *, drain_s: int = _DRAIN_S) -> uvicorn.Config:
    """Say how the HTTP server is run.

    Subscriptions write to the socket themselves (graphql_schema.live.outbox): frames are not
    compressed, and the implementation is the one whose transport they know.
    """
    return uvicorn.Config(
        app,
        log_level=log_level.lower(),
        access_log=False,
        timeout_graceful_shutdown=drain_s,
        http=HttpConnection,
        ws=SocketConnection,
        ws_max_size=_MAX_WEBSOCKET_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=_PING_S,
        ws_ping_timeout=_PING_S,
        lifespan="on",
    )


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, app: Starlette, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._app = app
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            # What is there now stays: full collections would stop everything to look through it.
            gc.collect()
            gc.freeze()
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Streams have no end of their own: they would hold the server until its patience ends.
        self._app.state.view.live.closing.set()
        await super().shutdown(sockets)
