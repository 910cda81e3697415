"""What the door of records says to each request."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import psycopg
import pytest

from app.errors import DatabaseUnavailable, QueryTimeout
from app.ingestion.delivery import Delivery
from app.ingestion.intake import Intake
from app.storage.database import Connection
from app.storage.faults import RowsTooOld, StatementFailed
from tests.conftest import TestDatabase, fresh_database
from tests.ingestion.imports import bars_of, trades_of
from tests.ingestion.uploads import COUNTS, CREATE, NDJSON, trade
from tests.serving import Api, in_process


@pytest.fixture(scope="module")
async def api(database: TestDatabase) -> AsyncIterator[Api]:
    async with in_process(database.url, ingest_max_mb=1) as running:
        yield running


async def send(
    api: Api, body: bytes, path: str = f"/ingest/trades?{CREATE}", **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.client.post(path, content=body, headers=NDJSON | named)


def counts(response: httpx.Response) -> tuple[int, ...]:
    """Give the counts of a receipt, which must have its shape and add up."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    receipt = response.json()
    assert list(receipt) == ["batch", *COUNTS]
    found = tuple(receipt[name] for name in COUNTS)
    assert found[0] == sum(found[1:])
    return found


def code(response: httpx.Response) -> str:
    """Give the code of a refusal, which must have its shape."""
    assert response.headers["content-type"] == "application/json"
    (error,) = response.json().values()
    assert list(response.json()) == ["error"]
    assert error["message"]
    return str(error["code"])


async def test_trades_are_stored_and_every_record_is_accounted_for(
    api: Api, connection: Connection, symbol: str
) -> None:
    body = trade(symbol, 1) + trade(symbol, 2) + b"{broken\n\n" + trade("\tbad", 3)
    first = await send(api, body)
    assert counts(first) == (4, 2, 0, 2)
    again = await send(api, body)
    assert counts(again) == (4, 0, 2, 2)
    assert again.json()["batch"] > first.json()["batch"]
    assert "idempotent-replayed" not in again.headers
    assert [row[1:] for row in trades_of(connection, symbol)] == [
        (1, Decimal("101.01"), 1),
        (2, Decimal("102.02"), 1),
    ]
    row = connection.execute(
        "SELECT source, actor, received FROM batch WHERE batch_id = %s", (first.json()["batch"],)
    ).fetchone()
    assert row == ("http:/ingest/trades", "http:127.0.0.1", 4)


async def test_records_that_are_all_refused_are_in_quarantine_with_a_receipt(
    api: Api, connection: Connection, symbol: str
) -> None:
    response = await send(api, trade(symbol, 1), "/ingest/trades")
    assert counts(response) == (1, 0, 0, 1)
    kept = connection.execute(
        "SELECT reasons, record FROM quarantine WHERE batch_id = %s", (response.json()["batch"],)
    ).fetchall()
    assert [(reasons, bytes(record)) for reasons, record in kept] == [
        (["UNKNOWN_SYMBOL"], trade(symbol, 1).rstrip(b"\n"))
    ]


async def test_what_a_200_told_the_next_query_shows(api: Api, symbol: str) -> None:
    fields = '{ candles(interval: "1m", last: 5) { close volume } }'
    query = f'{{ instrument(symbol: "{symbol}") {fields} }}'
    for number in range(1, 4):
        assert counts(await send(api, trade(symbol, number))) == (1, 1, 0, 0)
        data = await api.data(query)
        (candle,) = data["instrument"]["candles"]
        assert candle["volume"] == str(number)
        assert candle["close"] == f"{100 + number}.{number:02}"


async def test_bars_of_an_interval_with_named_keys_zone_and_symbol(
    api: Api, connection: Connection, symbol: str
) -> None:
    bar = b'{"at":"2026-11-02 09:30","o":1.10,"h":2.5,"l":1,"c":2,"Vol":10}\n'
    path = (
        f"/ingest/bars?interval=1m&symbol={symbol}&timezone=America/New_York&map=time:at"
        "&map=volume:Vol&create=1&exchange=XNAS&currency=EUR"
    )
    assert counts(await send(api, bar, path)) == (1, 1, 0, 0)
    ((start, minutes, *prices),) = bars_of(connection, symbol)
    assert (start.hour, start.minute, minutes) == (14, 30, 1)
    assert [float(price) for price in prices] == [1.1, 2.5, 1, 2, 10]
    row = connection.execute(
        "SELECT exchange, asset_class, currency FROM instrument WHERE symbol = %s", (symbol,)
    ).fetchone()
    assert row == ("XNAS", "EQUITY", "EUR")
    changed = bar.replace(b'"c":2', b'"c":2.25')
    assert counts(await send(api, changed, path)) == (1, 0, 0, 1)
    assert counts(await send(api, changed, f"{path}&replace=true")) == (1, 1, 0, 0)


async def test_quotes_have_their_door(api: Api, connection: Connection, symbol: str) -> None:
    quote = (
        f'{{"symbol":"{symbol}","time":"2026-11-02T10:00:00Z","bid":1.25,"bid_size":3,'
        '"ask":1.50,"ask_size":4,"quote_id":1}\n'
    ).encode()
    crossed = quote.replace(b"1.25", b"1.75").replace(b'_id":1', b'_id":2')
    assert counts(await send(api, quote + crossed, f"/ingest/quotes?{CREATE}")) == (2, 1, 0, 1)
    stored = connection.execute(
        "SELECT bid, ask FROM quote JOIN instrument USING (instrument_id) WHERE symbol = %s",
        (symbol,),
    ).fetchall()
    assert stored == [(Decimal("1.25"), Decimal("1.50"))]


@pytest.mark.parametrize("media_type", ["application/jsonl", "Application/X-NDJSON; charset=UTF-8"])
async def test_both_media_types_are_read(api: Api, media_type: str, symbol: str) -> None:
    response = await send(api, trade(symbol, 1), content_type=media_type)
    assert counts(response) == (1, 1, 0, 0)


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "application/json"},
        {"content_type": "text/csv"},
        {"content_type": ""},
        {"content_type": "application/x-ndjson; charset=latin-1"},
        {"content_encoding": "br"},
        {"content_encoding": "gzip, gzip"},
        {"content_encoding": "deflate"},
    ],
)
async def test_other_types_and_encodings_are_415(api: Api, headers: dict[str, str]) -> None:
    response = await send(api, b"{}", **headers)
    assert (response.status_code, code(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_gzip_is_read_in_one_member_or_several(api: Api, symbol: str) -> None:
    body = gzip.compress(trade(symbol, 1)) + gzip.compress(trade(symbol, 2))
    assert counts(await send(api, body, content_encoding="gzip")) == (2, 2, 0, 0)


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"{}\n" * 9_000)[:-1],
        gzip.compress(b"{}\n" * 9_000)[:20],
        gzip.compress(b"{}\n") + b"x",
        gzip.compress(b"{}\n")[:-5] + b"\0\0\0\0\0",
        b"{}\n",
        b"",
    ],
    ids=["truncated", "head only", "more after it", "wrong check", "plain", "empty"],
)
async def test_broken_gzip_is_400(api: Api, body: bytes) -> None:
    response = await send(api, body, content_encoding="gzip")
    assert (response.status_code, code(response)) == (400, "BODY_BROKEN")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty"),
        (b"\n\n \n", "there is no record in it"),
        (b"[1]\nx\n", "no line is a JSON object"),
        (b'{"symbol":"X","time":"2026-11-02"}\n', "'price'"),
        (b'{"symbol":"' + b"x" * 140_000 + b'"}\n', "line 1 is longer than"),
    ],
)
async def test_bodies_that_are_no_records_are_400(api: Api, body: bytes, words: str) -> None:
    response = await send(api, body)
    assert (response.status_code, code(response)) == (400, "IMPORT_REFUSED")
    assert words in response.json()["error"]["message"]


@pytest.mark.parametrize("zipped", [False, True])
async def test_larger_bodies_than_allowed_are_413(api: Api, zipped: bool) -> None:
    body = b"\n" * ((1 << 20) + 1)
    headers = {"content_encoding": "gzip"} if zipped else {}
    response = await send(api, gzip.compress(body) if zipped else body, **headers)
    assert (response.status_code, code(response)) == (413, "BODY_TOO_LARGE")
    assert "1 MiB" in response.json()["error"]["message"]
    assert api.app.state.door.uploads == 0


async def test_a_bomb_of_empty_members_is_413(api: Api) -> None:
    body = gzip.compress(b"") * 60_000
    response = await send(api, body, content_encoding="gzip")
    assert (response.status_code, code(response)) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("nope=1", "'nope'"),
        ("interval=1m", "'interval'"),
        ("symbol=A&symbol=B", "'symbol' comes twice"),
        ("symbol=", "symbol=''"),
        ("timezone=Mars/Olympus", "no IANA time zone"),
        ("replace=maybe", "must be true or false"),
        ("create=2", "must be true or false"),
        ("exchange=XNAS", "goes with create"),
        ("create=true&exchange=NOPE", "NOPE"),
        ("create=true&asset_class=SHARES", "is none of"),
        ("create=true&currency=dollars", "currency='dollars'"),
        ("map=price", "FIELD:KEY"),
        ("map=price:a&map=price:b", "twice"),
        ("map=price:nope", "'nope'"),
        ("map=colour:price", "'colour'"),
    ],
)
async def test_unusable_parameters_are_400(api: Api, query: str, words: str, symbol: str) -> None:
    response = await send(api, trade(symbol, 1), f"/ingest/trades?{query}")
    assert response.status_code == 400, response.text
    assert code(response) in {"BAD_INPUT", "IMPORT_REFUSED"}
    assert words in response.json()["error"]["message"]


@pytest.mark.parametrize("query", ["", "?interval=1s", "?interval=2d", "?interval=x"])
async def test_bars_need_an_interval_that_bars_can_have(api: Api, query: str) -> None:
    response = await send(api, b"{}", f"/ingest/bars{query}")
    assert response.status_code == 400
    assert code(response) in {"IMPORT_REFUSED", "BAD_INTERVAL"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_other_methods_are_405(api: Api, method: str) -> None:
    response = await api.client.request(method, "/ingest/trades")
    assert (response.status_code, code(response)) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST"


async def test_other_kinds_are_404(api: Api) -> None:
    response = await send(api, b"{}", "/ingest/instruments")
    assert (response.status_code, code(response)) == (404, "NOT_FOUND")


async def test_the_door_can_be_closed(native_database: TestDatabase) -> None:
    async with in_process(native_database.url, ingest=False) as running:
        assert (await send(running, b"{}")).status_code == 404


async def test_the_same_key_gives_the_same_receipt(api: Api, symbol: str) -> None:
    body = trade(symbol, 1)
    first = await send(api, body, idempotency_key=symbol)
    assert counts(first) == (1, 1, 0, 0)
    assert "idempotent-replayed" not in first.headers
    zipped = await send(api, gzip.compress(body), idempotency_key=symbol, content_encoding="gzip")
    for again in (await send(api, body, idempotency_key=symbol), zipped):
        assert again.status_code == 200
        assert again.headers["idempotent-replayed"] == "true"
        assert again.json() == first.json()
    # The key is that of one kind: the doors are sources of their own.
    assert (
        await send(api, body, "/ingest/bars?interval=1m", idempotency_key=symbol)
    ).status_code == 400


@pytest.mark.parametrize(
    "other", ["content", "timezone=Asia/Tokyo", "map=price:size", "replace=1", "symbol=OTHER"]
)
async def test_the_same_key_for_something_else_is_409(api: Api, other: str, symbol: str) -> None:
    body = trade(symbol, 1)
    assert counts(await send(api, body, idempotency_key=symbol)) == (1, 1, 0, 0)
    if other == "content":
        response = await send(api, body + b"\n", idempotency_key=symbol)
    else:
        path = f"/ingest/trades?{CREATE}&{other}"
        response = await send(api, body, path, idempotency_key=symbol)
    assert (response.status_code, code(response)) == (409, "IDEMPOTENCY_CONFLICT")


async def test_a_usual_value_said_is_as_good_as_unsaid(api: Api, symbol: str) -> None:
    body = trade(symbol, 1)
    await send(api, body, idempotency_key=symbol)
    path = f"/ingest/trades?timezone=UTC&replace=false&exchange=24/7&{CREATE}"
    response = await send(api, body, path, idempotency_key=symbol)
    assert response.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\x7f"])
async def test_unusable_keys_are_400(api: Api, key: str) -> None:
    response = await send(api, b"{}", idempotency_key=key)
    assert (response.status_code, code(response)) == (400, "BAD_INPUT")


@pytest.mark.parametrize(
    ("error", "status", "name", "retry"),
    [
        (DatabaseUnavailable("10.0.0.7 refused"), 503, "DATABASE_UNAVAILABLE", True),
        (QueryTimeout(), 504, "QUERY_TIMEOUT", False),
        (RowsTooOld(), 503, "ROWS_TOO_OLD", True),
        (StatementFailed("secret words"), 500, "INTERNAL", False),
        (ValueError("secret words"), 500, "INTERNAL", False),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_faults_have_their_status_and_tell_no_secrets(
    native_database: TestDatabase,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    name: str,
    retry: bool,
) -> None:
    async def fail(self: Intake, opening: object, delivery: Delivery, **more: Any) -> None:
        more["after"]()
        raise error

    monkeypatch.setattr(Intake, "deliver", fail)
    async with in_process(native_database.url) as running:
        response = await send(running, b"{}")
        assert (response.status_code, code(response)) == (status, name)
        assert response.headers.get("retry-after", "").isdecimal() == retry
        assert "secret" not in response.text
        assert "10.0.0.7" not in response.text
        assert running.app.state.door.uploads == 0


async def test_metrics_tell_what_came_in(native_database: TestDatabase, symbol: str) -> None:
    async with in_process(native_database.url) as running:
        for _ in range(2):
            await send(running, trade(symbol, 1) + b"{\n", idempotency_key=symbol)
        lines = (await running.client.get("/metrics")).text.splitlines()
    assert 'tickgraph_batches_total{kind="TRADES"} 1.0' in lines
    assert 'tickgraph_batches_total{kind="REPLAYED"} 1.0' in lines
    assert 'tickgraph_records_total{kind="TRADES",outcome="stored"} 1.0' in lines
    assert 'tickgraph_records_total{kind="TRADES",outcome="rejected"} 1.0' in lines
    assert 'tickgraph_writes_refused_total{reason="overloaded"} 0.0' in lines
    assert 'tickgraph_writes{state="waiting"} 0.0' in lines
    assert any(line.startswith('tickgraph_write_seconds_total{stage="copy"}') for line in lines)


async def test_the_roll_ups_follow_soon(native_database: TestDatabase, symbol: str) -> None:
    async with in_process(native_database.url, refresh_interval_s=3600) as running:
        await asyncio.sleep(1)  # the refresh at the start is over
        assert counts(await send(running, trade(symbol, 1))) == (1, 1, 0, 0)
        for _ in range(200):
            if not (await running.client.get("/readyz")).json()["pendingBatches"]:
                return
            await asyncio.sleep(0.1)
        pytest.fail("the roll-ups did not follow in 20 s")


async def test_a_database_that_is_gone_is_503_until_it_is_back(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, symbol: str
) -> None:
    with fresh_database(request, tmp_path_factory, "native") as own:
        address, _, name = own.url.rpartition("/")
        async with in_process(own.url) as running:
            assert counts(await send(running, trade(symbol, 1))) == (1, 1, 0, 0)
            with psycopg.connect(f"{address}/postgres", autocommit=True) as other:
                other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    (name,),
                )
                response = await send(running, trade(symbol, 2))
                assert (response.status_code, code(response)) == (503, "DATABASE_UNAVAILABLE")
                assert response.headers["retry-after"].isdecimal()
                assert name not in response.text
                other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
            assert counts(await send(running, trade(symbol, 2))) == (1, 1, 0, 0)
