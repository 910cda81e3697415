"""Drive the npm clients of `node/`: commands in, events out, one JSON text a line."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.graphql_schema.node_packages import Installed, install

NODE = Path(__file__).with_name("node")
PATIENCE_S = 20.0

Told = dict[str, Any]


class NodeClient:
    """A client in a process of its own; what it says is kept."""

    def __init__(self, process: asyncio.subprocess.Process, script: str) -> None:
        self.process = process
        self.script = script
        self.events: list[Told] = []
        self._news = asyncio.Event()

    async def read(self) -> None:
        """Keep what is said, until the end."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.events.append(json.loads(line))
            self._news.set()

    def command(self, command: str, **details: Any) -> None:
        """Tell the client what to do."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"command": command, **details}).encode() + b"\n")

    def subscribe(self, key: str, query: str, **details: Any) -> None:
        """Begin an operation."""
        self.command("subscribe", id=key, query=query, **details)

    async def until(self, seen: Callable[[list[Told]], bool]) -> None:
        """Wait until what was said is as wanted."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not seen(self.events):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"the client said only {self.events}") from None

    async def told(self, event: str, key: str | None = None, count: int = 1) -> list[Told]:
        """Wait for so many events of a kind (of an operation) and give them."""
        await self.until(lambda _: len(self.of(event, key)) >= count)
        return self.of(event, key)

    def of(self, event: str, key: str | None = None) -> list[Told]:
        """Give the events of a kind so far."""
        return [e for e in self.events if e["event"] == event and key in (None, e.get("id"))]

    async def data(self, key: str, field: str, count: int = 1) -> list[Any]:
        """Wait for so many results of an operation and give what they say of a field."""
        return [each["result"]["data"][field] for each in await self.told("next", key, count)]


@asynccontextmanager
async def node_client(
    script: str, url: str, installed: Installed, **options: Any
) -> AsyncIterator[NodeClient]:
    """Run a client for as long as the block; it must end by itself when told nothing more."""
    process = await asyncio.create_subprocess_exec(
        installed.node,
        str(installed.folder / script),
        url,
        json.dumps(options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 22,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    client = NodeClient(process, script)
    reading = asyncio.create_task(client.read())
    try:
        yield client
        process.stdin.close()
        async with asyncio.timeout(PATIENCE_S):
            code = await process.wait()
            assert code == 0, (await process.stderr.read()).decode()
            await reading
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        reading.cancel()


async def installed_clients() -> Installed:
    """Install the packages, where they are not yet."""
    return await asyncio.to_thread(install, NODE)
