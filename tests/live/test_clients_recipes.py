"""The clients of docs/live.md, taken from its text, end up with what a query gives."""

import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import TestDatabase
from tests.graphql_schema.node_packages import Installed
from tests.live.live_server import Market, live_server, new_market
from tests.live.node_client import NodeClient, installed_clients, node_client
from tests.live.process import server_process

PAGE = (Path(__file__).parents[2] / "docs" / "live.md").read_text()
QUERY = """query ($symbols: [String!]!) {
  instruments(symbols: $symbols) { candles(interval: "1m", last: 500) { time revision close } }
}"""
CANCEL = """mutation ($symbol: String!, $time: DateTime!, $tradeId: String!) {
  cancelTrade(symbol: $symbol, time: $time, tradeId: $tradeId) { stored }
}"""
# Each says what it has after every change, and ends with its input.
JS = """
import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { follow } from "./follow.mjs";

const { symbols } = JSON.parse(process.argv[3]);
const client = createClient({
  url: process.argv[2],
  webSocketImpl: WebSocket,
  retryAttempts: Infinity,
  shouldRetry: () => true,
  retryWait: () => new Promise((done) => setTimeout(done, 50)),
});
const say = (event) => process.stdout.write(JSON.stringify(event) + "\\n");
const stop = follow(
  client,
  symbols,
  "1m",
  (buckets) =>
    say({
      event: "has",
      buckets: [...buckets.values()]
        .filter(({ candle }) => candle)
        .map(({ time, revision, candle }) => [time, revision, candle.close])
        .sort(),
    }),
  (errors) => say({ event: "failed", errors: String(errors) }),
);
process.stdin.on("end", () => {
  stop();
  Promise.resolve(client.dispose()).catch(() => {}); // it may be about to connect
});
process.stdin.resume();
"""
PYTHON = """
import asyncio
import json
import sys

from follow import Follower


def say(buckets):
    has = sorted([t, r, c["close"]] for (_, t), (r, c) in buckets.items() if c is not None)
    print(json.dumps({"event": "has", "buckets": has}), flush=True)


async def main():
    asked = json.loads(sys.argv[2])
    following = asyncio.create_task(Follower(sys.argv[1], asked["symbols"], "1m", say).run())
    reading = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait([following, reading], return_when=asyncio.FIRST_COMPLETED)
    if following.done():
        following.result()
    following.cancel()


asyncio.run(main())
"""


def block(language: str, name: str) -> str:
    """Give a code block of the page by its first line."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (text,) = [each for each in found if each.partition("\n")[0].endswith(f" {name}")]
    return text


@pytest.fixture(params=["js", "python"])
async def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Installed]:
    """A script that runs a recipe, and with what."""
    if request.param == "python":
        (tmp_path / "follow.py").write_text(block("python", "follow.py"))
        (tmp_path / "run.py").write_text(PYTHON)
        return "run.py", Installed(node=sys.executable, folder=tmp_path)
    installed = await installed_clients()
    (tmp_path / "node_modules").symlink_to(installed.folder / "node_modules")
    (tmp_path / "follow.mjs").write_text(block("js", "follow.mjs"))
    (tmp_path / "run.mjs").write_text(JS)
    return "run.mjs", Installed(node=installed.node, folder=tmp_path)


@asynccontextmanager
async def following(
    recipe: tuple[str, Installed], url: str, market: Market
) -> AsyncIterator[NodeClient]:
    async with node_client(recipe[0], url, recipe[1], symbols=[market.symbol]) as client:
        yield client
        assert client.of("failed") == []


async def ask(base_url: str, query: str, **variables: Any) -> Any:
    async with httpx.AsyncClient(timeout=30) as client:
        body = {"query": query, "variables": variables}
        answer = (await client.post(f"{base_url}/graphql", json=body)).json()
    assert "errors" not in answer, answer
    return answer["data"]


async def agree(client: NodeClient, market: Market, count: int) -> None:
    """Wait until the client has so many candles, those that a query gives."""
    data = await ask(market.base_url, QUERY, symbols=[market.symbol])
    wanted = sorted(
        [each["time"], each["revision"], each["close"]]
        for each in data["instruments"][0]["candles"]
    )
    assert len(wanted) == count

    def has(_: object) -> bool:
        return bool(client.events) and client.events[-1].get("buckets") == wanted

    await client.until(has)


async def test_a_recipe_has_what_a_query_gives_whatever_happens(
    recipe: tuple[str, Installed], native_database: TestDatabase, tmp_path: Path
) -> None:
    async with server_process(native_database.url) as first:
        market = new_market(native_database.url, tmp_path, first.base_url)
        port = first.port
        await market.send(60, 125)
        async with following(recipe, first.socket, market) as client:
            await agree(client, market, 3)  # history, too
            await market.send(130, 190, price=12)
            await agree(client, market, 4)
            await market.send(5, price=9)  # late
            await agree(client, market, 4)
            sixty = {"symbol": market.symbol, "time": "2026-03-05T12:01:00Z", "tradeId": "2"}
            await ask(market.base_url, CANCEL, **sixty)
            await agree(client, market, 3)
            first.command.process.kill()
            async with live_server(native_database.url) as other:
                market.base_url = other.base_url
                await market.send(6, 250, price=8)
            async with server_process(native_database.url, port=port) as second:
                market.base_url = second.base_url
                await agree(client, market, 4)
                second.command.process.kill()
            async with live_server(native_database.url) as other:
                market.base_url = other.base_url
                # More than is replayed.
                await market.send(*(300 + 60 * n for n in range(5100)))
            async with server_process(native_database.url, port=port) as third:
                market.base_url = third.base_url
                await agree(client, market, 500)
                await market.send(300 + 60 * 5099 + 1, price=77)
                await agree(client, market, 500)


def test_the_examples_of_the_page_are_what_the_schema_has() -> None:
    from graphql import build_schema, parse, validate

    schema = build_schema((Path(__file__).parents[2] / "graphql_schema/schema.graphql").read_text())
    blocks = re.findall(r"^```graphql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert blocks
    for text in blocks:
        assert validate(schema, parse(text)) == []
