"""Operations over WebSocket, by the graphql-transport-ws protocol."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.conftest import TestDatabase
from tests.serving import on_port

PROTOCOL = Subprotocol("graphql-transport-ws")


@pytest.fixture(scope="module")
async def address(native_database: TestDatabase) -> AsyncIterator[str]:
    async with on_port(native_database.url) as base_url:
        yield base_url.replace("http", "ws") + "/graphql"


async def exchange(socket: ClientConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Send a message and give the next one that comes, which must be text."""
    await socket.send(json.dumps(message))
    return await receive(socket)


async def receive(socket: ClientConnection) -> dict[str, Any]:
    frame = await socket.recv()
    assert isinstance(frame, str)
    answer: dict[str, Any] = json.loads(frame)
    return answer


def subscribe(query: str) -> dict[str, Any]:
    return {"id": "1", "type": "subscribe", "payload": {"query": query}}


async def test_query_is_answered_in_text_frames(address: str) -> None:
    async with connect(address, subprotocols=[PROTOCOL]) as socket:
        assert await exchange(socket, {"type": "connection_init"}) == {"type": "connection_ack"}
        answer = await exchange(socket, subscribe("{ __typename }"))
        assert answer["payload"]["data"] == {"__typename": "Query"}
        assert await receive(socket) == {"id": "1", "type": "complete"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        (
            '{ instrument(symbol: "A") { candles(interval: "x", last: 1) { time } } }',
            "BAD_INTERVAL",
        ),
    ],
)
async def test_errors_have_their_codes(address: str, query: str, code: str) -> None:
    async with connect(address, subprotocols=[PROTOCOL]) as socket:
        await exchange(socket, {"type": "connection_init"})
        answer = await exchange(socket, subscribe(query))
    assert answer["type"] == "error"
    assert [error["extensions"]["code"] for error in answer["payload"]] == [code]


async def test_other_protocols_are_closed(address: str) -> None:
    async with connect(address, subprotocols=[Subprotocol("graphql-ws")]) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4406
