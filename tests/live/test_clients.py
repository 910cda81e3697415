"""The clients that people use: npm graphql-ws and graphql-sse, and gql from PyPI."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from tests.conftest import TestDatabase
from tests.graphql_schema.node_packages import Installed
from tests.live.live_server import LiveServer, Market, live_server, new_market
from tests.live.node_client import NodeClient, installed_clients, node_client

TRADES = """subscription ($symbols: [String!]!, $after: String) {
  trades(symbols: $symbols, after: $after) { symbol cursor cancelled trade { tradeId price } }
}"""
CANDLES = """subscription ($symbols: [String!]!, $interval: Interval!, $after: String) {
  candles(symbols: $symbols, interval: $interval, after: $after) {
    symbol time revision cursor candle { close trades }
  }
}"""
LATEST = """subscription ($symbols: [String!]!) {
  latest(symbols: $symbols) { symbol cursor latest { price } }
}"""
INGEST = """mutation ($trades: [TradeInput!]!) { ingestTrades(trades: $trades) { stored } }"""
SCRIPTS = ["ws.mjs", "sse.mjs"]
BAD = [
    (TRADES, {"symbols": ["NOTHING"]}, "UNKNOWN_SYMBOL"),
    (TRADES, {"symbols": []}, "BAD_INPUT"),
    (TRADES, {}, "GRAPHQL_VALIDATION_FAILED"),
    (TRADES, {"symbols": ["@"], "after": "x"}, "BAD_CURSOR"),
    (CANDLES, {"symbols": ["@"], "interval": "9x"}, "BAD_INTERVAL"),
    ("subscription { trades(", {}, "GRAPHQL_PARSE_FAILED"),
    ("subscription { nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
]


@pytest.fixture(scope="module")
async def packages() -> Installed:
    return await installed_clients()


@pytest.fixture(scope="module")
async def server(database: TestDatabase) -> AsyncIterator[LiveServer]:
    async with live_server(database.url) as running:
        yield running
        await running.is_empty()


@pytest.fixture
def market(database: TestDatabase, server: LiveServer, tmp_path: Path) -> Market:
    return new_market(database.url, tmp_path, server.base_url)


@pytest.fixture(params=SCRIPTS)
async def client(
    request: pytest.FixtureRequest, server: LiveServer, packages: Installed
) -> AsyncIterator[NodeClient]:
    url = server.socket if request.param == "ws.mjs" else server.graphql
    async with node_client(request.param, url, packages) as running:
        yield running


@pytest.fixture
async def socket(server: LiveServer, packages: Installed) -> AsyncIterator[NodeClient]:
    async with node_client("ws.mjs", server.socket, packages) as running:
        yield running


async def test_each_subscription_shows_the_present_and_what_changes(
    client: NodeClient, market: Market
) -> None:
    symbols = {"symbols": [market.symbol]}
    client.subscribe("t", TRADES, variables=symbols)
    client.subscribe("c", CANDLES, variables={**symbols, "interval": "1m"})
    client.subscribe("l", LATEST, variables=symbols)
    for key, field in (("t", "trades"), ("c", "candles"), ("l", "latest")):
        (present,) = await client.data(key, field)
        assert present["symbol"] == market.symbol
    await market.send(5, price=11)
    trades = await client.data("t", "trades", 2)
    candles = await client.data("c", "candles", 2)
    latest = await client.data("l", "latest", 2)
    assert [each["trade"]["price"] for each in trades] == ["10", "11"]
    assert [each["candle"] for each in candles] == [
        {"close": "10", "trades": 1},
        {"close": "11", "trades": 2},
    ]
    assert [each["latest"]["price"] for each in latest] == ["10", "11"]
    client.command("unsubscribe", id="c")
    await client.told("complete", "c")
    await market.send(6, price=12)
    assert len(await client.data("t", "trades", 3)) == 3
    assert len(client.of("next", "c")) == 2


async def test_a_cursor_goes_on_behind_its_event(client: NodeClient, market: Market) -> None:
    client.subscribe("a", TRADES, variables={"symbols": [market.symbol]})
    (first,) = await client.data("a", "trades")
    await market.send(1, 2, 3)
    seen = await client.data("a", "trades", 4)
    again = {"symbols": [market.symbol], "after": seen[1]["cursor"]}
    client.subscribe("b", TRADES, variables=again)
    assert await client.data("b", "trades", 2) == seen[2:]
    assert first["trade"]["tradeId"] == "1"


@pytest.mark.parametrize(("query", "variables", "code"), BAD, ids=[code for *_, code in BAD])
async def test_an_error_before_the_start_is_the_operations(
    client: NodeClient, market: Market, query: str, variables: dict[str, Any], code: str
) -> None:
    text = {name: [market.symbol] if value == ["@"] else value for name, value in variables.items()}
    client.subscribe("good", TRADES, variables={"symbols": [market.symbol]})
    await client.data("good", "trades")
    client.subscribe("bad", query, variables=text)
    await client.until(lambda _: bool(client.of("error", "bad") or client.of("complete", "bad")))
    if client.of("error", "bad"):
        (error,) = client.of("error", "bad")[0]["errors"]
    else:  # server-sent events have no other place for it
        (error,) = client.of("next", "bad")[0]["result"]["errors"]
    assert error["extensions"]["code"] == code
    await market.send(1)
    await client.data("good", "trades", 2)
    assert len(client.of("closed")) == 0


async def test_queries_and_mutations_go_over_the_same_connection(
    client: NodeClient, market: Market
) -> None:
    client.subscribe("s", TRADES, variables={"symbols": [market.symbol]})
    await client.data("s", "trades")
    trade = {"symbol": market.symbol, "time": "2026-03-05T12:00:09Z", "price": "7", "size": "1"}
    client.subscribe("m", INGEST, variables={"trades": [{**trade, "tradeId": "77"}]})
    assert await client.data("m", "ingestTrades") == [{"stored": 1}]
    query = "query ($symbols: [String!]!) { instruments(symbols: $symbols) { latest { price } } }"
    client.subscribe("q", query, variables={"symbols": [market.symbol]})
    assert await client.data("q", "instruments") == [[{"latest": {"price": "7"}}]]
    for key in ("m", "q"):
        await client.told("complete", key)
    events = await client.data("s", "trades", 2)
    assert events[1]["trade"] == {"tradeId": "77", "price": "7"}
    # One socket for all; with server-sent events each operation is a request.
    assert len(client.of("connected")) == (1 if client.script == "ws.mjs" else 3)


async def test_a_second_operation_of_an_id_closes_the_socket(
    socket: NodeClient, market: Market
) -> None:
    socket.subscribe("a", TRADES, variables={"symbols": [market.symbol]})
    await socket.data("a", "trades")
    query = f'subscription {{ trades(symbols: ["{market.symbol}"]) {{ cursor }} }}'
    message = {"id": "same", "type": "subscribe", "payload": {"query": query}}
    for _ in range(2):
        socket.command("raw", text=json.dumps(message))
    (closed,) = await socket.told("closed")
    assert (closed["code"], closed["reason"]) == (4409, "Subscriber for same already exists")
    # 4409 is the client's own fault: it does not come back by itself.
    assert (await socket.told("error", "a"))[0]["close"] == 4409


async def test_pings_are_answered_and_a_client_that_pings_stays(
    server: LiveServer, packages: Installed, market: Market
) -> None:
    async with node_client("ws.mjs", server.socket, packages, keepAlive=50) as client:
        client.subscribe("a", TRADES, variables={"symbols": [market.symbol]})
        await client.data("a", "trades")
        await client.told("pong", count=5)
        await market.send(1)
        await client.data("a", "trades", 2)
        assert client.of("closed") == []


@pytest.mark.parametrize("how", ["terminate", "reset"])
async def test_a_lost_socket_is_opened_again_and_goes_on(
    socket: NodeClient, market: Market, server: LiveServer, how: str
) -> None:
    socket.subscribe("a", TRADES, variables={"symbols": [market.symbol]})
    await socket.data("a", "trades")
    for second in range(1, 6):
        socket.command(how)
        await market.send(second)
        await socket.data("a", "trades", second + 1)
    told = await socket.data("a", "trades")
    assert [each["trade"]["tradeId"] for each in told] == [str(n) for n in range(1, 7)]
    assert len(socket.of("connected")) == 6


async def test_gql_for_python_follows_asks_and_goes_on(server: LiveServer, market: Market) -> None:
    transport = WebsocketsTransport(url=server.socket)
    symbols = {"symbols": [market.symbol]}
    request = gql(TRADES)
    request.variable_values = symbols
    async with Client(transport=transport) as session:
        events = session.subscribe(request)
        first = await anext(events)
        await market.send(1, 2)
        told = [first, await anext(events), await anext(events)]
        asked = gql("{ server { version } }")
        assert (await session.execute(asked))["server"]["version"]
        await events.aclose()
        bad = gql(TRADES)
        bad.variable_values = {"symbols": ["NOTHING"]}
        with pytest.raises(TransportQueryError) as failed:
            await anext(session.subscribe(bad))
        assert failed.value.errors is not None
        assert failed.value.errors[0]["extensions"]["code"] == "UNKNOWN_SYMBOL"
    request.variable_values = {**symbols, "after": told[0]["trades"]["cursor"]}
    async with Client(transport=WebsocketsTransport(url=server.socket)) as session:
        events = session.subscribe(request)
        assert [await anext(events), await anext(events)] == told[1:]
        await events.aclose()
