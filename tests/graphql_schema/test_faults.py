"""What clients and the log see when the database fails."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from app.storage.migrate import migrate
from tests.graphql_schema.market import add_instruments, add_trades, writing
from tests.parts.postgres import NativeServer, native_timescaledb
from tests.serving import Api, in_process

SYMBOLS = ["A", "B", "C"]
CANDLES = """
query ($symbols: [String!]!) {
  instruments(symbols: $symbols) { symbol candles(interval: "1m", last: 1) { time } }
}
"""
INSTRUMENT = '{ instrument(symbol: "A") { symbol } }'
UNSEEN = '{ instrument(symbol: "never asked for") { symbol } }'
# Nothing is ready below a minute: this reads the trades themselves.
SECONDS = CANDLES.replace('"1m"', '"1s"')
SERVER_LOG = "tickgraph.graphql"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeServer]:
    """A server of this module's own, to be stopped and started."""
    with native_timescaledb(tmp_path_factory.mktemp("faults"), fsync=False) as running:
        yield running


@pytest.fixture
def url(server: NativeServer) -> Iterator[str]:
    """A scratch database with three traded instruments, to be broken."""
    made = server.create_database("scratch")
    migrate(made)
    add_instruments(made, [{"symbol": symbol} for symbol in SYMBOLS])
    add_trades(made, [(symbol, "2024-01-02T10:00:00Z", "1.5", "2") for symbol in SYMBOLS])
    yield made
    server.drop_database("scratch")


@pytest.fixture
async def api(url: str) -> AsyncIterator[Api]:
    async with in_process(url, refresh_interval_s=3600, statement_timeout_s=0.5) as running:
        await running.data(CANDLES, symbols=SYMBOLS)
        yield running


def errors_logged(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_unexpected_error_is_masked_and_logged_once_with_its_id(
    api: Api, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with writing(url) as connection:
        connection.execute("ALTER TABLE instrument RENAME TO gone")
    response = await api.client.post("/graphql", json={"query": UNSEEN})
    (error,) = response.json()["errors"]
    assert response.status_code == 200
    assert response.json()["data"] == {"instrument": None}
    assert error["path"] == ["instrument"]
    assert error["extensions"].keys() == {"code", "id"}
    assert error["extensions"]["code"] == "INTERNAL"
    for secret in ("postgres", "relation", "SELECT", "127.0.0.1", "asyncpg", "Traceback"):
        assert secret not in response.text
    (record,) = errors_logged(caplog)
    assert record.name == SERVER_LOG
    assert error["extensions"]["id"] in record.getMessage()
    assert record.exc_info is not None
    assert 'relation "instrument" does not exist' in str(record.exc_info[1])


async def test_one_cause_of_many_fields_is_logged_once_under_one_id(
    api: Api, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with writing(url) as connection:
        connection.execute("ALTER TABLE trade RENAME TO gone")
    answer = await api.ask(SECONDS, symbols=SYMBOLS)
    assert answer["data"] == {"instruments": [None] * 3}
    paths = [error["path"] for error in answer["errors"]]
    assert paths == [["instruments", place, "candles"] for place in range(3)]
    assert len({error["extensions"]["id"] for error in answer["errors"]}) == 1
    assert len(errors_logged(caplog)) == 1


async def test_each_failure_has_an_id_of_its_own(api: Api, url: str) -> None:
    with writing(url) as connection:
        connection.execute("ALTER TABLE instrument RENAME TO gone")
    answers = [await api.ask(UNSEEN) for _ in range(2)]
    assert len({answer["errors"][0]["extensions"]["id"] for answer in answers}) == 2


async def test_stopped_database_is_unavailable_and_back_when_it_is_back(
    api: Api, server: NativeServer, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(server.stop)
    try:
        response = await api.client.post(
            "/graphql", json={"query": CANDLES, "variables": {"symbols": SYMBOLS}}
        )
        ready = await api.client.get("/readyz")
        health = await api.client.get("/healthz")
    finally:
        await asyncio.to_thread(server.start)
    (error,) = response.json()["errors"]
    assert error["extensions"] == {"code": "DATABASE_UNAVAILABLE"}
    assert ready.status_code == 503
    assert ready.json()["code"] == "DATABASE_UNAVAILABLE"
    for text in (response.text, ready.text):
        assert "127.0.0.1" not in text
        assert "Errno" not in text
    assert errors_logged(caplog) == []
    warnings = [record.getMessage() for record in caplog.records if record.name == SERVER_LOG]
    assert len(warnings) == 1
    assert "127.0.0.1" in warnings[0]
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    data = await api.data(CANDLES, symbols=SYMBOLS)
    assert [len(each["candles"]) for each in data["instruments"]] == [1, 1, 1]
    assert (await api.client.get("/readyz")).status_code == 200


async def test_killed_database_is_unavailable_and_back_when_it_is_back(
    api: Api, server: NativeServer
) -> None:
    await asyncio.to_thread(server.kill)
    try:
        answer = await api.ask(INSTRUMENT)
    finally:
        await asyncio.to_thread(server.start)
    assert answer["errors"][0]["extensions"] == {"code": "DATABASE_UNAVAILABLE"}
    assert await api.data(INSTRUMENT) == {"instrument": {"symbol": "A"}}


async def test_statement_over_its_time_is_a_query_timeout(
    api: Api, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with writing(url) as connection, connection.transaction():
        connection.execute("LOCK TABLE instrument IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(5):
            answer = await api.ask(UNSEEN)
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "QUERY_TIMEOUT"}
    assert error["path"] == ["instrument"]
    assert errors_logged(caplog) == []
    assert await api.data(INSTRUMENT) == {"instrument": {"symbol": "A"}}


async def test_ready_server_says_how_far_the_roll_ups_are(api: Api) -> None:
    response = await api.client.get("/readyz")
    assert response.status_code == 200
    assert response.json().keys() == {"status", "pendingBatches"}
    assert response.json()["status"] == "ok"


async def test_broken_schema_is_not_ready(api: Api, url: str) -> None:
    with writing(url) as connection:
        connection.execute("ALTER TABLE rollup_state RENAME TO gone")
    response = await api.client.get("/readyz")
    assert (response.status_code, response.json()["code"]) == (503, "INTERNAL")
    assert "rollup_state" not in response.text
