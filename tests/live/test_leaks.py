"""However clients come and go, nothing of them is left."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import TestDatabase
from tests.live.live_server import LiveServer, Market, live_server, new_market, raw_socket
from tests.live.process import server_process, until

TRADES = "subscription ($symbols: [String!]!) { trades(symbols: $symbols) { cursor } }"
BAD: list[str | bytes] = [
    '{"type":"subscribe"}',
    "no JSON",
    b"binary",
    "x" * ((1 << 20) + 1),
    '{"type":"connection_init"}',
]
MIB = 1 << 20


@pytest.fixture(scope="module")
async def server(native_database: TestDatabase) -> AsyncIterator[LiveServer]:
    async with live_server(native_database.url) as running:
        yield running


@pytest.fixture
def market(native_database: TestDatabase, server: LiveServer, tmp_path: Path) -> Market:
    return new_market(native_database.url, tmp_path, server.base_url)


def reset(own: socket.socket) -> None:
    """End a connection with a reset."""
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    own.close()


async def come_and_reset(address: str, symbol: str, operations: int) -> None:
    """Subscribe and vanish: neither a close frame nor a FIN."""
    async with raw_socket(address, close_timeout=0.1) as raw:
        for n in range(operations):
            await raw.subscribe(str(n), TRADES, symbols=[symbol])
        if operations > 1:
            await raw.receive()
        transport = raw.connection.transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def come_and_close(address: str, symbol: str) -> None:
    async with raw_socket(address) as raw:
        await raw.subscribe("1", TRADES, symbols=[symbol])
        await raw.receive()


async def say_something_bad(address: str, symbol: str, words: str | bytes) -> None:
    async with raw_socket(address) as raw:
        await raw.subscribe("1", TRADES, symbols=[symbol])
        await raw.connection.send(words)
        await raw.closed()


async def stream_and_reset(base_url: str, symbol: str) -> None:
    """Ask for server-sent events and vanish once they come."""
    loop = asyncio.get_running_loop()
    host, _, port = base_url.removeprefix("http://").partition(":")
    own = socket.socket()
    own.setblocking(False)
    await loop.sock_connect(own, (host, int(port)))
    body = json.dumps({"query": TRADES, "variables": {"symbols": [symbol]}})
    head = "POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    await loop.sock_sendall(own, (head + body).encode())
    assert b"text/event-stream" in await loop.sock_recv(own, 1000)
    reset(own)


async def storm(base_url: str, symbol: str, rounds: int) -> None:
    """Come and go in every way, some at a time."""
    address = base_url.replace("http", "ws", 1) + "/graphql"
    for _ in range(rounds):
        await asyncio.gather(
            *(come_and_reset(address, symbol, operations) for operations in (1, 1, 5, 20)),
            *(come_and_close(address, symbol) for _ in range(3)),
            *(say_something_bad(address, symbol, words) for words in BAD),
            *(stream_and_reset(base_url, symbol) for _ in range(3)),
        )


async def test_no_task_member_topic_or_connection_is_left(
    server: LiveServer, market: Market
) -> None:
    await market.send(1)
    await server.is_empty()
    before = asyncio.all_tasks()
    feed = asyncio.create_task(keep_sending(market))
    await storm(server.base_url, market.symbol, rounds=8)
    feed.cancel()
    await asyncio.gather(feed, return_exceptions=True)
    await server.is_empty()
    await until(lambda: not asyncio.all_tasks() - before)
    assert server.hub._by_question == {}


async def test_a_peer_that_is_there_no_more_is_let_go(server: LiveServer, market: Market) -> None:
    """It answers nothing and closes nothing: a half-open connection looks like that."""
    async with raw_socket(server.socket, ping_interval=None, close_timeout=0.1) as raw:
        await raw.subscribe("1", TRADES, symbols=[market.symbol])
        await raw.receive()
        assert server.hub.members == 1
        raw.connection.transport.pause_reading()
        await server.is_empty(30)
        raw.connection.transport.abort()


async def test_no_memory_is_left(native_database: TestDatabase, tmp_path: Path) -> None:
    async with server_process(native_database.url) as running:
        market = new_market(native_database.url, tmp_path, running.base_url)
        await market.send(1)
        await storm(running.base_url, market.symbol, rounds=15)
        before = running.memory
        for second in range(4):
            await storm(running.base_url, market.symbol, rounds=10)
            await market.send(2 + second)
        await until(lambda: running.connections == 0)
        assert running.memory - before < 12 * MIB
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{running.base_url}/metrics")).text
        assert 'tickgraph_subscriptions{what="all"} 0.0' in text


async def test_documents_that_come_once_are_not_all_kept(
    native_database: TestDatabase, tmp_path: Path
) -> None:
    """Each subscription is its own text; what is remembered of them is bounded by their size."""
    async with server_process(native_database.url) as running:
        market = new_market(native_database.url, tmp_path, running.base_url)
        async with raw_socket(running.socket) as raw:

            async def ask(first: int, count: int) -> None:
                for n in range(first, first + count):
                    names = " ".join(f"a{n}x{k}: cursor" for k in range(1000))
                    query = f'subscription {{ trades(symbols: ["{market.symbol}"]) {{ {names} }} }}'
                    await raw.subscribe(str(n), query)
                    assert (await raw.receive())["type"] == "next"
                    await raw.send(id=str(n), type="complete")

            await ask(0, 20)
            before = running.memory
            await ask(20, 60)
            # 60 such documents are 80 MiB.
            assert running.memory - before < 40 * MIB


async def keep_sending(market: Market) -> None:
    second = 100.0
    while True:
        second += 1
        await market.send(second)


async def test_answers_to_pings_do_not_heap_up(server: LiveServer) -> None:
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    own.connect(("127.0.0.1", int(server.base_url.rpartition(":")[2])))
    own.setblocking(False)
    ping = b"\x89\xfd" + bytes(4) + b"p" * 125
    async with raw_socket(server.socket, sock=own, ping_interval=None, close_timeout=0.1) as raw:
        (ours,) = server.server.server_state.connections
        transport = raw.connection.transport
        transport.pause_reading()
        most = 0
        for _ in range(120):
            transport.write(ping * 1000)
            await until(lambda: transport.get_write_buffer_size() == 0)
            most = max(most, ours.transport.get_write_buffer_size())
        transport.abort()
    await server.is_empty()
    assert MIB < most < 2 * MIB
