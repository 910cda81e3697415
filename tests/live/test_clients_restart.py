"""A server that ends and comes again: promptly, and its clients go on where they were."""

import asyncio
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import TestDatabase
from tests.live.live_server import live_server, new_market, raw_socket
from tests.live.node_client import installed_clients, node_client
from tests.live.process import server_process
from tests.live.test_clients_slow import TRADES as WIDE_TRADES
from tests.live.test_clients_slow import flood, lazy, open_stream

TRADES = """subscription ($symbols: [String!]!, $after: String) {
  trades(symbols: $symbols, after: $after) { cursor trade { tradeId } }
}"""
ENDS_WITHIN_S = 3.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
async def test_clients_go_on_when_the_server_comes_again(
    native_database: TestDatabase, tmp_path: Path, number: signal.Signals
) -> None:
    packages = await installed_clients()
    async with server_process(native_database.url) as first:
        market = new_market(native_database.url, tmp_path, first.base_url)
        port, endpoint = first.port, f"{first.base_url}/graphql"
        async with (
            node_client("ws.mjs", first.socket, packages, retryAttempts=1000) as ws,
            node_client("sse.mjs", endpoint, packages, retryAttempts=1000) as sse,
        ):
            for client in (ws, sse):
                client.subscribe("a", TRADES, variables={"symbols": [market.symbol]})
                await client.data("a", "trades")
            await market.send(1, 2)
            for client in (ws, sse):
                await client.data("a", "trades", 3)
            began = time.monotonic()
            first.command.process.send_signal(number)
            await asyncio.to_thread(first.command.process.wait, 20)
            assert time.monotonic() - began < ENDS_WITHIN_S
            closed = (await ws.told("closed"))[0]
            assert closed["code"] == (1012 if number is signal.SIGTERM else 1006)
            # What is committed while the clients are away, by whichever process, reaches them too.
            async with live_server(native_database.url) as other:
                market.base_url = other.base_url
                await market.send(3, 4)
            async with server_process(native_database.url, port=port) as second:
                market.base_url = second.base_url
                for client in (ws, sse):
                    await client.data("a", "trades", 5)
                await market.send(5)
                for client in (ws, sse):
                    told = await client.data("a", "trades", 6)
                    ids = [int(each["trade"]["tradeId"]) for each in told]
                    assert ids == [1, 2, 3, 4, 5, 6]
                for client in (ws, sse):
                    client.command("unsubscribe", id="a")
                    await client.told("complete", "a")


async def test_sockets_and_streams_do_not_hold_the_server(
    native_database: TestDatabase, tmp_path: Path
) -> None:
    """Not those that read, nor those that do not."""
    async with server_process(native_database.url) as server:
        market = new_market(native_database.url, tmp_path, server.base_url)
        symbols = {"symbols": [market.symbol]}
        async with (
            raw_socket(server.socket) as reading,
            raw_socket(server.socket, **lazy(server)) as stuck,
            httpx.AsyncClient(timeout=20) as client,
            client.stream(
                "POST",
                f"{server.base_url}/graphql",
                json={"query": TRADES, "variables": symbols},
                headers={"accept": "text/event-stream"},
            ) as stream,
        ):
            stuck_stream = await open_stream(server, WIDE_TRADES, **symbols)
            for raw in (reading, stuck):
                await raw.subscribe("1", WIDE_TRADES, **symbols)
            await reading.receive()
            flooding = asyncio.create_task(flood(market, batches=4, size=900))
            for _ in range(3600):
                await reading.receive()
            await flooding
            began = time.monotonic()
            server.command.process.send_signal(signal.SIGTERM)
            assert (await reading.closed())[0] == 1012
            lines = [line async for line in stream.aiter_lines()]
            code = await asyncio.to_thread(server.command.process.wait, 20)
            took = time.monotonic() - began
            assert took < ENDS_WITHIN_S
            assert code in {0, 143}
            assert sum(line.startswith("data: ") for line in lines) == market.last
            assert "event: complete" not in lines  # it has not ended: come again
            stuck_stream.close()
    assert "Traceback" not in server.command.err, server.command.err
