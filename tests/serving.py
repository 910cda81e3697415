"""Run the real application in a test: in process, or as `uvicorn` would on a loopback port."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from app.commands.serving import server_config
from app.main import create_app
from app.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A running application and a client for it."""

    client: httpx.AsyncClient
    app: Starlette

    @property
    def outcomes(self) -> Counter[str]:
        """How requests were answered: cached, fast, fallback, unknown."""
        outcomes: Counter[str] = self.app.state.view.fast.outcomes
        return outcomes

    async def ask(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """POST a document and give the whole response."""
        response = await self.client.post("/graphql", json={"query": query, "variables": variables})
        answer: dict[str, Any] = response.json()
        return answer

    async def data(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """POST a document that must not have errors and give its data."""
        answer = await self.ask(query, **variables)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data


@asynccontextmanager
async def in_process(
    url: str, *, on_statement: Callable[[str], None] | None = None, **settings: Any
) -> AsyncIterator[Api]:
    """Run the application without a socket; `on_statement` is told the SQL of each read."""
    app = create_app(Settings(database_url=url, **settings), url, on_statement=on_statement)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield Api(client=client, app=app)


@asynccontextmanager
async def on_port(url: str, **settings: Any) -> AsyncIterator[str]:
    """Run the application on a free loopback port; gives its base URL."""
    app = create_app(Settings(database_url=url, **settings), url)
    # With the protocol named, asyncio turns Nagle's delay of 40 ms off.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(server_config(app, "warning", drain_s=2))
        task = asyncio.create_task(server._serve([listening]))
        while not server.started:
            assert not task.done(), task.exception()
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
