"""The server in this process, with its insides in view, and a market to move."""

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app.commands.serving import server_config
from app.live.hub import Hub
from app.main import create_app
from app.settings import Settings
from tests.ingestion.imports import fresh_symbol, load, new_instruments, write_rows, writing

PROTOCOL = Subprotocol("graphql-transport-ws")
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
INGEST = """mutation ($trades: [TradeInput!]!) {
  ingestTrades(trades: $trades) { stored }
}"""


@dataclass(slots=True, kw_only=True)
class Market:
    """Trades of one instrument, sent over HTTP to whichever server runs; ids count from 1."""

    symbol: str
    base_url: str = ""
    last: int = 1
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    async def send(self, *seconds: float, price: int = 10) -> None:
        """Store trades at so many seconds after noon, as one batch."""
        trades = []
        for second in seconds:
            self.last += 1
            time = NOON + timedelta(seconds=second)
            trade = {"symbol": self.symbol, "time": time.isoformat(), "price": str(price)}
            trades.append({**trade, "size": "1", "tradeId": str(self.last)})
        async with httpx.AsyncClient(timeout=60) as client:
            response = await client.post(
                f"{self.base_url}/graphql", json={"query": INGEST, "variables": {"trades": trades}}
            )
        answer = response.json()
        assert "errors" not in answer, answer
        assert answer["data"]["ingestTrades"]["stored"] == len(trades), answer


def new_market(url: str, folder: Path, base_url: str = "") -> Market:
    """Make an instrument with one trade, at noon."""
    symbol = fresh_symbol()
    row = (symbol, NOON.isoformat(), 10, 1, 1)
    header = ("symbol", "time", "price", "size", "trade_id")
    path = write_rows(folder / f"{symbol}.csv", header, [row])
    with writing(url) as connection:
        load(connection, path, create=new_instruments())
    return Market(symbol=symbol, base_url=base_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveServer:
    """A server that runs."""

    base_url: str
    app: Starlette
    server: uvicorn.Server

    @property
    def graphql(self) -> str:
        """The endpoint over HTTP."""
        return f"{self.base_url}/graphql"

    @property
    def socket(self) -> str:
        """The endpoint over WebSocket."""
        return self.graphql.replace("http", "ws", 1)

    @property
    def hub(self) -> Hub:
        """The hub of the process."""
        hub: Hub = self.app.state.view.live.hub
        return hub

    async def is_empty(self, timeout_s: float = 20) -> None:
        """Wait until no subscriber, topic or connection is left."""
        state = self.server.server_state
        async with asyncio.timeout(timeout_s):
            while True:
                left = (self.hub.members, self.hub.topics, len(state.connections), len(state.tasks))
                if not any(left):
                    return
                await asyncio.sleep(0.02)


@asynccontextmanager
async def live_server(url: str, **settings: Any) -> AsyncIterator[LiveServer]:
    """Run the application on a free loopback port."""
    app = create_app(Settings(database_url=url, **settings), url)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(server_config(app, "warning", drain_s=2))
        task = asyncio.create_task(server._serve([listening]))
        while not server.started:
            assert not task.done(), task.exception()
            await asyncio.sleep(0.01)
        base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            yield LiveServer(base_url=base_url, app=app, server=server)
        finally:
            server.should_exit = True
            await task


class Raw:
    """A socket that speaks the protocol as a test tells it to."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, **message: Any) -> None:
        """Send a message."""
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        """Give the next message."""
        async with asyncio.timeout(20):
            message: dict[str, Any] = json.loads(await self.connection.recv(decode=True))
        return message

    async def subscribe(self, key: str, query: str, **variables: Any) -> None:
        """Begin an operation."""
        payload = {"query": query, "variables": variables}
        await self.send(id=key, type="subscribe", payload=payload)

    async def closed(self) -> tuple[int, str]:
        """Wait for the close and give its code and reason; messages before it are passed over."""
        with suppress(ConnectionClosed):
            async with asyncio.timeout(30):
                while True:
                    await self.connection.recv()
        code = self.connection.close_code
        assert code is not None
        return code, self.connection.close_reason or ""


@asynccontextmanager
async def raw_socket(address: str, *, init: bool = True, **options: Any) -> AsyncIterator[Raw]:
    """Open a socket; with `init` it has been acknowledged."""
    async with connect(address, subprotocols=[PROTOCOL], max_size=None, **options) as connection:
        raw = Raw(connection)
        if init:
            await raw.send(type="connection_init")
            assert await raw.receive() == {"type": "connection_ack"}
        yield raw
