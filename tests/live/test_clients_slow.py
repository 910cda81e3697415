"""Subscribers that do not read: they lose nothing that counts, and cost the others nothing."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TestDatabase
from tests.live.live_server import Market, Raw, new_market, raw_socket
from tests.live.process import Process, server_process, until

# Each event is large, so that the kernel's buffers are soon full.
WIDE = " ".join(f"a{n}: __typename" for n in range(70))
TRADES = f"""subscription ($symbols: [String!]!, $after: String) {{
  trades(symbols: $symbols, after: $after) {{ cursor trade {{ tradeId }} {WIDE} }}
}}"""
CANDLES = f"""subscription ($symbols: [String!]!) {{
  candles(symbols: $symbols, interval: "1m") {{ time revision candle {{ trades }} {WIDE} }}
}}"""
FEW = """subscription ($symbols: [String!]!) {
  trades(symbols: $symbols) { trade { tradeId } }
}"""
SUBSCRIPTIONS = 'tickgraph_subscriptions{what="all"}'
LET_GO_S = 12.0
MIB = 1 << 20


@pytest.fixture(scope="module")
async def server(native_database: TestDatabase) -> AsyncIterator[Process]:
    async with server_process(native_database.url) as running:
        yield running


@pytest.fixture
def market(native_database: TestDatabase, server: Process, tmp_path: Path) -> Market:
    return new_market(native_database.url, tmp_path, server.base_url)


def lazy(server: Process) -> dict[str, Any]:
    """Give options of a connection that takes little, and reads ahead by one message."""
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    own.connect(("127.0.0.1", server.port))
    own.setblocking(False)
    return {"sock": own, "max_queue": 1, "ping_interval": None, "close_timeout": 0.2}


async def flood(market: Market, batches: int, size: int) -> None:
    for batch in range(batches):
        await market.send(*(batch * size + n + 1 for n in range(size)))


async def read(raw: Raw) -> tuple[list[Any], dict[str, Any]]:
    """Read an operation's results up to its error."""
    told = []
    while (message := await raw.receive())["type"] == "next":
        told.append(message["payload"]["data"])
    assert message["type"] == "error", message
    (error,) = message["payload"]
    return told, error["extensions"]


async def test_a_slow_reader_of_trades_is_told_where_to_go_on(
    server: Process, market: Market
) -> None:
    async with raw_socket(server.socket, **lazy(server)) as raw:
        await raw.subscribe("1", TRADES, symbols=[market.symbol])
        await asyncio.sleep(0.3)
        await flood(market, batches=5, size=900)
        told, end = await read(raw)
        assert end["code"] == "SLOW_CONSUMER"
        assert 1 < len(told) < market.last
        assert end["after"] == told[-1]["trades"]["cursor"]
        await raw.subscribe("2", TRADES, symbols=[market.symbol], after=end["after"])
        while len(told) < market.last:
            message = await raw.receive()
            assert message["type"] == "next", message
            told.append(message["payload"]["data"])
    ids = [int(each["trades"]["trade"]["tradeId"]) for each in told]
    assert ids == list(range(1, market.last + 1))


async def test_a_slow_reader_of_candles_gets_the_newest_of_each(
    server: Process, market: Market
) -> None:
    minutes, rounds = 100, 50
    async with raw_socket(server.socket, **lazy(server)) as raw:
        await raw.subscribe("1", CANDLES, symbols=[market.symbol])
        await asyncio.sleep(0.3)
        newest: dict[str, Any] = {}
        count = 0

        async def take() -> None:
            nonlocal count
            message = await raw.receive()
            assert message["type"] == "next", message
            event = message["payload"]["data"]["candles"]
            known = newest.get(event["time"])
            assert known is None or known["revision"] < event["revision"]
            newest[event["time"]] = event
            count += 1

        for n in range(rounds):
            await market.send(*(60 * minute + n / 100 for minute in range(1, minutes + 1)))
            for _ in range(10):  # slow, but not dead: who takes nothing for long is let go
                await take()
        while len(newest) < minutes + 1 or any(
            each["candle"]["trades"] < rounds for each in list(newest.values())[1:]
        ):
            await take()
        assert count < minutes * rounds, "nothing was conflated: make the events larger"


async def test_who_never_reads_is_let_go_and_delays_nobody(server: Process, market: Market) -> None:
    loop = asyncio.get_running_loop()
    await flood(market, batches=2, size=1500)  # whatever grows once has grown
    before = server.memory
    members = await server.metric(SUBSCRIPTIONS)
    async with raw_socket(server.socket) as steady, AsyncExitStack() as stuck:
        await steady.subscribe("1", FEW, symbols=[market.symbol])
        await steady.receive()
        for _ in range(10):
            raw = await stuck.enter_async_context(raw_socket(server.socket, **lazy(server)))
            await raw.subscribe("1", TRADES, symbols=[market.symbol])
        connected = server.connections
        longest = 0.0
        peak = before
        for batch in range(12):
            await market.send(*(10_000 + batch * 800 + n for n in range(800)))
            sent = loop.time()
            while int((await steady.receive())["payload"]["data"]["trades"]["trade"]["tradeId"]) < (
                market.last
            ):
                pass
            longest = max(longest, loop.time() - sent)
            peak = max(peak, server.memory)
        await until(lambda: server.connections <= connected - 10, LET_GO_S)
        await steady.send(type="ping")
        assert await steady.receive() == {"type": "pong"}
        assert await server.metric(SUBSCRIPTIONS) == members + 1
    assert longest < LET_GO_S / 2  # nobody waits until they are let go
    # Ten times all that was sent would be 200 MiB.
    assert peak - before < 60 * MIB


async def test_a_stream_that_is_not_read_ends_and_goes_on_from_its_cursor(
    server: Process, market: Market
) -> None:
    stream = await open_stream(server, TRADES, symbols=[market.symbol])
    await asyncio.sleep(0.3)
    await flood(market, batches=5, size=900)
    told, end = await read_stream(stream)
    assert end["code"] == "SLOW_CONSUMER"
    assert end["after"] == told[-1]["trades"]["cursor"]
    # What has waited for a subscriber is more than what may wait for a slow one.
    more = await open_stream(
        server, TRADES, symbols=[market.symbol], after=told[0]["trades"]["cursor"]
    )
    replayed, _ = await read_stream(more, up_to=market.last - 1)
    assert replayed[: len(told) - 1] == told[1:]
    ids = [int(each["trades"]["trade"]["tradeId"]) for each in replayed]
    assert ids == list(range(2, market.last + 1))


async def test_a_stream_that_is_never_read_is_let_go(server: Process, market: Market) -> None:
    await asyncio.sleep(0.2)
    connected = server.connections
    stream = await open_stream(server, TRADES, symbols=[market.symbol])
    await until(lambda: server.connections == connected + 1)
    await flood(market, batches=5, size=900)
    await until(lambda: server.connections == connected, LET_GO_S)
    assert await server.metric(SUBSCRIPTIONS) == 0
    stream.close()


async def open_stream(server: Process, query: str, **variables: Any) -> socket.socket:
    """Ask for server-sent events, and read nothing."""
    own = lazy(server)["sock"]
    body = json.dumps({"query": query, "variables": variables}).encode()
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {server.base_url[7:]}\r\nAccept: text/event-stream\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    await asyncio.get_running_loop().sock_sendall(own, head.encode() + body)
    assert isinstance(own, socket.socket)
    return own


async def read_stream(
    stream: socket.socket, up_to: int | None = None
) -> tuple[list[Any], dict[str, Any]]:
    """Read results up to so many, or to the error that ends them."""
    reader, writer = await asyncio.open_connection(sock=stream)
    told: list[Any] = []
    end: dict[str, Any] = {}
    async with asyncio.timeout(30):
        while line := await reader.readline():
            if line.startswith(b"data: "):
                result = json.loads(line[6:])
                if "errors" in result:
                    end = result["errors"][0]["extensions"]
                    break
                told.append(result["data"])
            if len(told) == up_to:
                break
    writer.close()
    return told, end
