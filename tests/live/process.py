"""The server as people run it: a process of its own, with uvloop, watched from outside."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import psutil

from tests.commands.cli_process import Running, running


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A server that runs."""

    command: Running
    base_url: str

    @property
    def socket(self) -> str:
        """The endpoint over WebSocket."""
        return self.base_url.replace("http", "ws", 1) + "/graphql"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.base_url.rpartition(":")[2])

    @property
    def memory(self) -> int:
        """Bytes that it holds."""
        resident: int = psutil.Process(self.command.process.pid).memory_info().rss
        return resident

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        ours = psutil.Process(self.command.process.pid).net_connections("tcp")
        return sum(each.laddr.port == self.port and each.status != "LISTEN" for each in ours)

    async def metric(self, name: str) -> float:
        """Give the sum of a metric's samples."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{self.base_url}/metrics")).text
        samples = [line.split()[-1] for line in text.splitlines() if line.startswith(name)]
        assert samples, text
        return sum(map(float, samples))


@asynccontextmanager
async def server_process(url: str, *, port: int = 0) -> AsyncIterator[Process]:
    """Run `tickgraph serve` for as long as the block."""
    with running("serve", port=port, database_url=url, log_level="WARNING") as command:
        taken = port or await _port_of(command)
        base_url = f"http://127.0.0.1:{taken}"
        async with httpx.AsyncClient() as client:
            await until(lambda: _answers(command, taken), 60)
            assert (await client.get(f"{base_url}/readyz")).status_code == 200
        yield Process(command=command, base_url=base_url)


async def until(seen: Callable[[], bool], timeout_s: float = 20) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(timeout_s):
        while True:
            if seen():
                return
            await asyncio.sleep(0.02)


async def _port_of(command: Running) -> int:
    return await asyncio.to_thread(_listening, command)


def _listening(command: Running) -> int:
    command.wait_for("serving on ")
    return int(command.address().rpartition(":")[2])


def _answers(command: Running, port: int) -> bool:
    assert command.process.poll() is None, command.err
    with socket.socket() as tried:
        tried.settimeout(1)
        return tried.connect_ex(("127.0.0.1", port)) == 0 and "serving on" in command.err
