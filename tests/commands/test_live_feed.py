"""The demo's market moves, in the database and before whoever watches, and ends when told."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from app.commands.demo import load_demo
from app.commands.live_feed import Walk, live_feed
from app.commands.simulation import SIMULATED
from app.market.calendar import TradingCalendar
from app.market.schedule import exchange_of
from app.storage.database import connect as connect_database
from tests.commands.cli_process import Running, running
from tests.conftest import TestDatabase
from tests.live.live_server import PROTOCOL

CANDLES = """subscription { candles(symbols: ["SIM.BTC", "SIM.ETH"], interval: "1m") {
  symbol time revision candle { open high low close trades }
} }"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("demo", port=0, data_dir=tmp_path_factory.mktemp("demo")) as process:
        process.wait_for("Ctrl-C ends everything.")
        yield process


def test_candles_move_before_a_subscriber_to_the_demo(demo: Running) -> None:
    address = demo.address().replace("http", "ws", 1) + "/graphql"
    assert "subscription { candles(" in demo.out
    events: list[dict[str, Any]] = []
    with connect(address, subprotocols=[PROTOCOL]) as socket:
        socket.send('{"type":"connection_init"}')
        socket.recv(10)
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": CANDLES}}))
        while len({each["revision"] for each in events}) < 6:
            events.append(json.loads(socket.recv(20))["payload"]["data"]["candles"])
    assert {each["symbol"] for each in events} == {"SIM.BTC", "SIM.ETH"}
    assert [each["revision"] for each in events] == sorted(each["revision"] for each in events)
    answer = httpx.post(
        f"{demo.address()}/graphql",
        json={"query": '{ instrument(symbol: "SIM.BTC") { latest { time } } }'},
        timeout=20,
    ).json()
    newest = datetime.fromisoformat(answer["data"]["instrument"]["latest"]["time"])
    assert abs((datetime.now(UTC) - newest).total_seconds()) < 20


def test_late_trades_and_corrections_come_too_and_the_feed_ends_promptly(
    native_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.commands.live_feed._LATE_EVERY_S", 1.0)
    monkeypatch.setattr("app.commands.live_feed._CORRECTED_EVERY_S", 1.0)
    with connect_database(native_database.url, timeout_s=10, statement_timeout_s=120) as connection:
        load_demo(connection, lambda message: None)

        def count(what: str) -> int:
            row = connection.execute(f"SELECT count(*) FROM {what}".encode()).fetchone()
            assert row is not None
            return int(row[0])

        late = "trade WHERE received_at - event_time > INTERVAL '50 seconds' AND trade_id > 1e15"
        corrected = "batch WHERE source = 'trade changes'"
        with live_feed(native_database.url):
            give_up = time.monotonic() + 30
            while not (count(late) and count(corrected)):
                assert time.monotonic() < give_up
                time.sleep(0.1)
            ending = time.monotonic()
        assert time.monotonic() - ending < 10
        stored = count("trade")
        time.sleep(1.5)
        assert count("trade") == stored
        assert count("quarantine") == 0


def test_the_feed_stops_by_itself(
    native_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.commands.live_feed._LASTS_S", 2.0)
    with connect_database(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:

        def newest() -> int:
            row = connection.execute("SELECT max(batch_id) FROM batch").fetchone()
            assert row is not None
            return int(row[0])

        before = newest()
        with live_feed(native_database.url):
            time.sleep(4)
            after = newest()
            assert after > before
            time.sleep(1.5)
            assert newest() == after


def test_a_venue_that_is_closed_has_no_trades() -> None:
    acme = next(each for each in SIMULATED if each.symbol == "SIM.ACME")
    walk = Walk(acme, acme.price, TradingCalendar(exchange_of(acme.mic), 2026, 2026))
    night = datetime(2026, 3, 5, 3, tzinfo=UTC)
    noon = datetime(2026, 3, 5, 17, tzinfo=UTC)
    assert walk.trades(night, night.replace(minute=10)) == []
    assert len(walk.trades(noon, noon.replace(minute=10))) > 600


def test_a_database_without_the_instruments_is_left_alone(tmp_path: Path) -> None:
    """Nor does one that is not there keep anybody from ending."""
    began = time.monotonic()
    with live_feed("postgresql://nobody@127.0.0.1:1/none"):
        time.sleep(0.3)
    assert time.monotonic() - began < 6
