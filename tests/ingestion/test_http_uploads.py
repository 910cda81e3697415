"""Uploads as networks bring them: in parts, slowly, too many, and not to the end."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.storage.database import Connection
from tests.conftest import TestDatabase
from tests.ingestion.imports import trades_of
from tests.ingestion.uploads import COUNTS, CREATE, NDJSON, Answer, Upload, trade
from tests.serving import on_port

PATH = f"/ingest/trades?{CREATE}"


@pytest.fixture(scope="module")
async def base(database: TestDatabase) -> AsyncIterator[str]:
    async with on_port(database.url, ingest_uploads=4, ingest_max_mb=16) as address:
        yield address


async def begin(base: str, path: str = PATH, **headers: str) -> Upload:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await Upload.begin(base, path, NDJSON | named)


async def ask(base: str, query: str) -> Any:
    async with httpx.AsyncClient(timeout=10) as client:
        response = await client.post(f"{base}/graphql", json={"query": query})
        return response.json()["data"]


async def metric(base: str, name: str) -> float:
    async with httpx.AsyncClient(timeout=10) as client:
        lines = (await client.get(f"{base}/metrics")).text.splitlines()
    (value,) = [line.rpartition(" ")[2] for line in lines if line.startswith(name)]
    return float(value)


async def until_room(base: str, symbol: str) -> Answer:
    """Send a trade until it is taken: what went away before frees its place in a moment."""
    give_up_at = time.monotonic() + 20
    while True:
        upload = await begin(base)
        await upload.chunk(trade(symbol, 9))
        await upload.chunk(b"")
        answer = await upload.answer()
        if answer.status != 429:
            return answer
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.05)


def batches(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM batch").fetchone()
    assert row is not None
    return int(row[0])


async def test_chunks_of_any_size_make_one_body(
    base: str, connection: Connection, symbol: str
) -> None:
    body = gzip.compress(b"".join(trade(symbol, number) for number in range(2_000)))
    upload = await begin(base, content_encoding="gzip")
    for start in range(0, len(body), 97):
        await upload.chunk(body[start : start + 97])
    await upload.chunk(b"")
    answer = await upload.answer()
    assert answer.status == 200
    assert [answer.body[name] for name in COUNTS] == [2_000, 2_000, 0, 0]
    assert len(trades_of(connection, symbol)) == 2_000


async def test_expect_100_continue_is_answered_before_the_body(base: str, symbol: str) -> None:
    body = trade(symbol, 1)
    upload = await begin(base, expect="100-continue", content_length=str(len(body)))
    assert await upload.head() == (100, {})
    await upload.raw(body)
    assert (await upload.answer()).status == 200


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PATH, {"content_length": str(17 << 20)}, 413),
        (PATH, {"content_length": "9", "content_type": "text/csv"}, 415),
        ("/ingest/trades?nope=1", {"content_length": "9"}, 400),
        ("/ingest/nothing", {"content_length": "9"}, 404),
    ],
)
async def test_what_will_be_refused_is_refused_before_the_body(
    base: str, path: str, headers: dict[str, str], status: int
) -> None:
    upload = await begin(base, path, expect="100-continue", **headers)
    assert (await upload.answer()).status == status


@pytest.mark.parametrize("abrupt", [True, False])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_client_that_goes_away_leaves_nothing(
    base: str, connection: Connection, symbol: str, abrupt: bool, announced: bool
) -> None:
    before = batches(connection)
    for _ in range(6):  # more than may be on their way at a time
        length = {"content_length": "1000000"} if announced else {}
        upload = await begin(base, **length)
        send = upload.raw if announced else upload.chunk
        await send(trade(symbol, 1) * 500)
        if abrupt:
            upload.abort()
        else:
            await upload.close()
        await asyncio.sleep(0.05)
    assert (await until_room(base, symbol)).status == 200
    assert batches(connection) == before + 1
    assert len(trades_of(connection, symbol)) == 1
    assert await metric(base, 'tickgraph_writes{state="running"}') == 0


async def test_slow_clients_hold_up_nobody_else(
    base: str, connection: Connection, symbol: str
) -> None:
    slow = [await begin(base) for _ in range(3)]
    for number, upload in enumerate(slow):
        await upload.chunk(trade(symbol, number)[:20])
    began = time.monotonic()
    for number in range(10, 15):
        upload = await begin(base)
        await upload.chunk(trade(symbol, number))
        await upload.chunk(b"")
        assert (await upload.answer()).status == 200
        fields = '{ candles(interval: "1m", last: 1) { volume } }'
        data = await ask(base, f'{{ instrument(symbol: "{symbol}") {fields} }}')
        assert data["instrument"]["candles"] == [{"volume": str(number - 9)}]
    assert time.monotonic() - began < 10
    for number, upload in enumerate(slow):
        await upload.chunk(trade(symbol, number)[20:])
        await upload.chunk(b"")
        assert (await upload.answer()).status == 200
    assert len(trades_of(connection, symbol)) == 8


async def test_a_body_that_does_not_come_is_408(
    native_database: TestDatabase, monkeypatch: pytest.MonkeyPatch, symbol: str
) -> None:
    monkeypatch.setattr("app.ingestion.http_door.PIECE_TIMEOUT_S", 0.3)
    async with on_port(native_database.url, ingest_uploads=1) as base:
        upload = await begin(base)
        await upload.chunk(trade(symbol, 1))
        answer = await upload.answer()
        assert (answer.status, answer.code) == (408, "UPLOAD_TIMEOUT")
        assert (await until_room(base, symbol)).status == 200


async def test_more_bodies_than_may_are_429_before_they_are_read(
    base: str, connection: Connection, symbol: str
) -> None:
    refused = await metric(base, "tickgraph_writes_refused_total")
    slow = [await begin(base) for _ in range(4)]
    for upload in slow:
        await upload.chunk(trade(symbol, 1))
    await asyncio.sleep(0.2)
    for _ in range(3):
        answer = await (await begin(base, expect="100-continue")).answer()
        assert (answer.status, answer.code) == (429, "OVERLOADED")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.body["error"]["retry_after_s"] == int(answer.headers["retry-after"])
    assert await metric(base, "tickgraph_writes_refused_total") == refused + 3
    for upload in slow:
        await upload.chunk(b"")
    answers = [await upload.answer() for upload in slow]
    assert [answer.status for answer in answers] == [200] * 4
    assert sorted(answer.body["stored"] for answer in answers) == [0, 0, 0, 1]
    assert (await until_room(base, symbol)).status == 200
    assert len(trades_of(connection, symbol)) == 2


@pytest.mark.parametrize("same", [True, False])
async def test_equal_keys_at_the_same_time_make_one_batch(
    base: str, connection: Connection, symbol: str, same: bool
) -> None:
    before = batches(connection)

    async def send(number: int) -> httpx.Response:
        body = trade(symbol, 1) + (b"" if same else trade(symbol, 100 + number))
        async with httpx.AsyncClient(timeout=60) as client:
            return await client.post(
                base + PATH, content=body, headers=NDJSON | {"idempotency-key": symbol}
            )

    answers = await asyncio.gather(*(send(number) for number in range(4)))
    assert batches(connection) == before + 1
    if same:
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.text for answer in answers}) == 1
        replayed = [answer.headers.get("idempotent-replayed") for answer in answers]
        assert sorted(map(str, replayed)) == ["None", "true", "true", "true"]
    else:
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


async def test_counts_add_up_over_many_clients(
    base: str, connection: Connection, symbol: str
) -> None:
    """Each of three clients sends the same trades, mixed with refused ones, in many requests."""

    async def client(number: int) -> list[dict[str, int]]:
        receipts = []
        async with httpx.AsyncClient(timeout=60) as sending:
            for start in range(0, 200, 20):
                lines = [trade(symbol, place) for place in range(start, start + 20)]
                lines.insert(number, b"{broken\n")
                response = await sending.post(base + PATH, content=b"".join(lines), headers=NDJSON)
                assert response.status_code == 200, response.text
                receipts.append(json.loads(response.content))
        return receipts

    lists = await asyncio.gather(*(client(number) for number in range(3)))
    receipts = [receipt for each in lists for receipt in each]
    totals = [sum(receipt[name] for receipt in receipts) for name in COUNTS]
    assert totals == [630, 200, 400, 30]
    assert len({receipt["batch"] for receipt in receipts}) == 30
    assert len(trades_of(connection, symbol)) == 200


async def test_the_end_of_the_server_leaves_whole_batches_or_none(
    native_database: TestDatabase, symbol: str
) -> None:
    async with on_port(native_database.url) as base:
        whole = await begin(base)
        await whole.chunk(trade(symbol, 1))
        await whole.chunk(b"")
        part = await begin(base)
        await part.chunk(trade(symbol, 2))
        assert (await whole.answer()).status == 200
    async with on_port(native_database.url) as base:
        fields = '{ candles(interval: "1m", last: 1) { volume } }'
        data = await ask(base, f'{{ instrument(symbol: "{symbol}") {fields} }}')
        assert data["instrument"]["candles"] == [{"volume": "1"}]
    part.abort()
