"""graphql-transport-ws to the letter, from clients that do not keep to it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.conftest import TestDatabase
from tests.live.live_server import LiveServer, Market, live_server, new_market, raw_socket

TRADES = "subscription ($symbols: [String!]!) { trades(symbols: $symbols) { cursor } }"
INIT = {"type": "connection_init"}
PING = '{"type":"ping"}'


@pytest.fixture(scope="module")
async def server(native_database: TestDatabase) -> AsyncIterator[LiveServer]:
    async with live_server(native_database.url, max_socket_operations=3) as running:
        yield running
        await running.is_empty()


@pytest.fixture(scope="module")
def market(
    native_database: TestDatabase, server: LiveServer, tmp_path_factory: pytest.TempPathFactory
) -> Market:
    return new_market(native_database.url, tmp_path_factory.mktemp("market"), server.base_url)


async def test_to_subscribe_before_the_init_is_unauthorized(
    server: LiveServer, market: Market
) -> None:
    async with raw_socket(server.socket, init=False) as raw:
        await raw.subscribe("1", TRADES, symbols=[market.symbol])
        assert await raw.closed() == (4401, "Unauthorized")


async def test_a_socket_without_an_init_is_closed_after_ten_seconds(server: LiveServer) -> None:
    async with raw_socket(server.socket, init=False) as raw:
        await raw.send(type="ping")
        assert await raw.receive() == {"type": "pong"}
        began = asyncio.get_running_loop().time()
        assert await raw.closed() == (4408, "Connection initialisation timeout")
        assert 8 < asyncio.get_running_loop().time() - began < 13


async def test_a_second_init_is_one_too_many(server: LiveServer) -> None:
    async with raw_socket(server.socket) as raw:
        await raw.send(**INIT)
        assert await raw.closed() == (4429, "Too many initialisation requests")


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "",
        "5",
        "null",
        "[]",
        '"ping"',
        "[" * 5000,
        "{}",
        '{"type":5}',
        '{"type":{}}',
        '{"type":"start"}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","id":"1"}',
        '{"type":"subscribe","id":"1","payload":null}',
        '{"type":"subscribe","id":"1","payload":[]}',
        '{"type":"subscribe","id":"1","payload":"x"}',
        '{"type":"subscribe","id":"1","payload":{}}',
        '{"type":"subscribe","id":"1","payload":{"query":5}}',
        '{"type":"subscribe","id":1,"payload":{"query":"{ __typename }"}}',
        '{"type":"subscribe","id":{},"payload":{"query":"{ __typename }"}}',
        '{"type":"subscribe","id":"' + "x" * 300 + '","payload":{"query":"{ __typename }"}}',
        '{"type":"subscribe","id":"","payload":{"query":"{ __typename }"}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{ __typename }","variables":[]}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{ __typename }","operationName":1}}',
        '{"type":"complete"}',
        '{"type":"complete","id":[]}',
        b'{"type":"ping"}',
        b"\xff\xfe",
    ],
    ids=lambda message: repr(message)[:70],
)
async def test_what_is_no_message_closes_the_socket(
    server: LiveServer, market: Market, message: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw_socket(server.socket) as raw, raw_socket(server.socket) as other:
        for socket in (raw, other):
            await socket.subscribe("0", TRADES, symbols=[market.symbol])
            assert (await socket.receive())["type"] == "next"
        await raw.connection.send(message)
        code, reason = await raw.closed()
        assert (code, bool(reason)) == (4400, True)
        await other.send(type="ping")
        assert await other.receive() == {"type": "pong"}
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_an_oversized_message_closes_the_socket(server: LiveServer) -> None:
    async with raw_socket(server.socket) as raw:
        await raw.connection.send("x" * ((1 << 20) + 1))
        assert (await raw.closed())[0] == 1009


async def test_an_oversized_message_in_pieces_closes_the_socket(server: LiveServer) -> None:
    async with raw_socket(server.socket) as raw:
        await raw.connection.send("x" * 1000 for _ in range(1100))
        assert (await raw.closed())[0] == 1009


async def test_a_socket_has_so_many_operations_and_no_more(
    server: LiveServer, market: Market
) -> None:
    async with raw_socket(server.socket) as raw:
        for n in range(3):
            await raw.subscribe(str(n), TRADES, symbols=[market.symbol])
            assert (await raw.receive())["id"] == str(n)
        await raw.subscribe("3", TRADES, symbols=[market.symbol])
        refused = await raw.receive()
        assert (refused["id"], refused["type"]) == ("3", "error")
        assert [each["extensions"]["code"] for each in refused["payload"]] == [
            "TOO_MANY_OPERATIONS"
        ]
        await raw.send(id="0", type="complete")
        await raw.subscribe("3", TRADES, symbols=[market.symbol])
        taken = await raw.receive()
        assert (taken["id"], taken["type"]) == ("3", "next")


async def test_an_id_is_free_again_at_once(server: LiveServer, market: Market) -> None:
    async with raw_socket(server.socket) as raw:
        for _ in range(50):
            await raw.subscribe("same", TRADES, symbols=[market.symbol])
            await raw.send(id="same", type="complete")
        await raw.subscribe("same", "{ __typename }")
        told = [await raw.receive()]
        while told[-1]["type"] != "complete":
            told.append(await raw.receive())
        assert told[-2]["payload"] == {"data": {"__typename": "Query"}}
    await server.is_empty()


@pytest.mark.parametrize(
    ("query", "operation"),
    [
        ("subscription A { nothing } subscription B { nothing }", None),
        ("query A { __typename } query B { __typename }", None),
        ("query A { __typename } query B { __typename }", "C"),
        ("fragment F on Query { __typename }", None),
        ("subscription { __typename }", None),
        ("subscription { trades(symbols: []) @skip(if: true) { cursor } }", None),
        ("subscription { trades(symbols: [@]) @skip(if: true) { cursor } }", None),
        (
            "subscription { trades(symbols: [@]) { cursor } latest(symbols: [@]) { cursor } }",
            None,
        ),
        ("subscription ($n: Int!) { trades(symbols: [$n]) { cursor } }", None),
        ("subscription { trades(symbols: [@]) { " + "a " * 20_000 + "} }", None),
        ("", None),
        ("{ instrument(symbol: 5) { name } }", None),
    ],
    ids=lambda value: str(value)[:70],
)
async def test_a_document_that_cannot_run_is_an_error_of_its_operation(
    server: LiveServer, market: Market, query: str, operation: str | None
) -> None:
    text = query.replace("[@]", f'["{market.symbol}"]')
    payload: dict[str, Any] = {"query": text}
    if operation is not None:
        payload["operationName"] = operation
    async with raw_socket(server.socket) as raw:
        await raw.send(id="1", type="subscribe", payload=payload)
        answer = await raw.receive()
        assert (answer["id"], answer["type"]) == ("1", "error"), answer
        assert all(each["extensions"]["code"] != "INTERNAL" for each in answer["payload"]), answer
        await raw.subscribe("1", "{ __typename }")
        assert (await raw.receive())["type"] == "next"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"query": 5}',
        b'{"query": "{ a }", "variables": []}',
        b'[{"query": "{ __typename }"}]',
    ],
)
async def test_a_stream_of_nothing_is_a_bad_request(server: LiveServer, body: bytes) -> None:
    headers = {"accept": "text/event-stream", "content-type": "application/json"}
    async with httpx.AsyncClient() as client:
        response = await client.post(server.graphql, content=body, headers=headers)
    assert response.status_code == 400, response.text
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_a_stream_can_be_had_with_get(server: LiveServer, market: Market) -> None:
    query = f'subscription {{ trades(symbols: ["{market.symbol}"]) {{ trade {{ price }} }} }}'
    async with (
        httpx.AsyncClient() as client,
        client.stream(
            "GET", server.graphql, params={"query": query}, headers={"accept": "text/event-stream"}
        ) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                assert json.loads(line[6:]) == {"data": {"trades": {"trade": {"price": "10"}}}}
                break
    await server.is_empty()
