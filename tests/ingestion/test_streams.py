"""The stream consumer: what is stored, refused, waited for and taken over."""

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import pytest

from app.errors import DatabaseUnavailable
from app.ingestion import streams
from app.ingestion.delivery import Delivery
from app.ingestion.redis_stream import RedisStream
from app.ingestion.stream_table import open_entries
from app.ingestion.streams import Entry, Pace
from app.storage.batches import BatchKind
from app.storage.database import Connection
from tests.conftest import TestDatabase
from tests.ingestion.imports import bars_of, new_instruments, trades_of, writing
from tests.ingestion.streaming import (
    NOON,
    Draining,
    Feed,
    Fields,
    bars_delivery,
    drain,
    ids_of,
    quarantined,
    received,
    trade_fields,
)
from tests.parts.redis import RedisServer


@pytest.fixture(scope="module")
def connection(native_database: TestDatabase) -> Iterator[Connection]:
    with writing(native_database.url) as connection:
        yield connection


def test_fields_and_json_are_stored_with_every_digit(
    url: str, connection: Connection, feed: Feed, symbol: str
) -> None:
    exact = "12345678901234567.000000000000000001"
    time_ = NOON.isoformat()
    feed.add(
        {"symbol": symbol, "time": time_, "price": exact, "size": "1", "trade_id": "1"},
        {"data": f'{{"symbol": "{symbol}", "time": "{time_}", "price": {exact}, "size": "0.10",'
         f' "trade_id": {2**63 - 1}, "more": [1, {{"size": null}}]}}'},
        {"data": f'{{"symbol": "\\u0054{symbol[1:]}", "time": {int(NOON.timestamp())},'
         ' "price": 1e-7, "size": "2", "trade_id": "3"}'},
    )  # fmt: skip
    broker = Draining(feed)
    (receipt,) = drain(url, broker)
    assert receipt.counts.as_json() == {"received": 3, "stored": 3, "duplicate": 0, "rejected": 0}
    assert trades_of(connection, symbol) == [
        (NOON, 1, Decimal(exact), Decimal(1)),
        (NOON, 3, Decimal("0.0000001"), Decimal(2)),
        (NOON, 2**63 - 1, Decimal(exact), Decimal("0.10")),
    ]
    assert feed.undone == 0
    row = connection.execute(
        "SELECT source, actor, kind FROM batch WHERE batch_id = %s", (receipt.batch_id,)
    ).fetchone()
    assert row == (broker.source, "test", "TRADES")


def test_poison_goes_to_quarantine_and_holds_up_nothing(
    url: str, connection: Connection, feed: Feed, symbol: str
) -> None:
    (good,) = trade_fields(symbol, 1)
    as_json = json.dumps(good)
    poison: list[tuple[Fields, str]] = [
        ({"data": "no JSON"}, "MALFORMED_ROW"),
        ({"data": "[1, 2]"}, "MALFORMED_ROW"),
        ({"data": ""}, "MALFORMED_ROW"),
        ({"data": as_json[:-1]}, "MALFORMED_ROW"),
        ({"data": "[" * 100_000}, "MALFORMED_ROW"),
        ({"data": b'{"symbol": "\xff\xfe"}'}, "MALFORMED_ROW"),
        ({"data": '{"symbol": "\\u0000\\ud800"}'}, "MALFORMED_ROW"),
        ({"data": '{"symbol": "\\u0000"}'}, "BAD_SYMBOL"),
        ({"data": "{}"}, "BAD_SYMBOL"),
        ({"data": as_json.replace('"1"', "true", 1)}, "MALFORMED_ROW"),
        ({"data": as_json.replace("{", '{"size": "2", ')}, "MALFORMED_ROW"),
        ({"data": as_json.replace("{", '{"siz\\u0065": "2", ')}, "MALFORMED_ROW"),
        ({"data": as_json.replace('"1"', "1" * 30)}, "BAD_NUMBER"),
        ({"other": "field"}, "BAD_SYMBOL"),
        ({b"\xff": b"\xfe"}, "BAD_SYMBOL"),
        ({**good, "time": "yesterday"}, "BAD_TIME"),
        ({**good, "price": "x\x00"}, "BAD_NUMBER"),
        ({**good, "trade_id": "-1"}, "BAD_TRADE_ID"),
        ({**good, "trade_id": ""}, "MISSING_TRADE_ID"),
        ({name: good[name] for name in good if name != "trade_id"}, "MISSING_TRADE_ID"),
    ]
    for entry, _ in poison:
        feed.add(entry, good)
    broker = Draining(feed)
    (receipt,) = drain(url, broker)
    assert receipt.counts.received == 2 * len(poison)
    assert receipt.counts.stored == 1
    assert receipt.counts.rejected == len(poison)
    kept = quarantined(connection, broker.source)
    assert [reasons[0] for _, reasons in kept] == [reason for _, reason in poison]
    assert kept[0][0] == b"no JSON"
    assert kept[5][0] == b'{"symbol": "\xff\xfe"}'
    assert json.loads(kept[15][0]) == {**good, "time": "yesterday"}
    assert feed.undone == 0
    assert ids_of(connection, symbol) == [0]


def test_bars_and_quotes_come_through_streams_too(
    url: str, connection: Connection, feed: Feed, server: RedisServer, symbol: str
) -> None:
    bar = {"time": NOON.isoformat(), "open": "1", "high": "3", "low": "1", "close": "2"}
    feed.add({"symbol": symbol, **bar, "volume": "5"}, {"symbol": symbol, **bar, "volume": "-5"})
    (receipt,) = drain(url, Draining(feed), bars_delivery("1m"))
    assert (receipt.counts.stored, receipt.counts.rejected) == (1, 1)
    assert len(bars_of(connection, symbol)) == 1
    quotes = Feed(server.url, f"q{uuid.uuid4().hex[:10]}")
    quotes.add(
        {"time": NOON.isoformat(), "bid": "1", "bid_size": "2", "quote_id": "7"},
        {"time": NOON.isoformat(), "bid": "1", "bid_size": "2"},
    )
    delivery = Delivery(
        kind=BatchKind.QUOTES, source="", actor="test", symbol=symbol, create=new_instruments()
    )
    (receipt,) = drain(url, Draining(quotes), delivery)
    assert (receipt.counts.stored, receipt.reasons) == (1, {"BAD_QUOTE_ID": 1})


def test_what_a_dead_consumer_left_is_taken_over(
    url: str, connection: Connection, feed: Feed, symbol: str
) -> None:
    feed.add(*trade_fields(symbol, 5))
    with RedisStream(feed.url, stream=feed.stream, group=feed.group, consumer="dead") as dead:
        dead.read(3, 0)
    assert received(drain(url, Draining(feed), pace=Pace(linger_s=0))) == [2]
    assert feed.pending == 3
    assert received(drain(url, Draining(feed), pace=Pace(linger_s=0, claim_after_s=0.0))) == [3]
    assert feed.undone == 0
    assert ids_of(connection, symbol) == [0, 1, 2, 3, 4]


def test_entries_dropped_before_they_were_stored_are_told(
    url: str, connection: Connection, feed: Feed, symbol: str, caplog: pytest.LogCaptureFixture
) -> None:
    feed.add(*trade_fields(symbol, 5))
    with RedisStream(feed.url, stream=feed.stream, group=feed.group, consumer="one") as held:
        held.read(3, 0)
    feed.client.xtrim(feed.stream, maxlen=3, approximate=False)
    assert received(drain(url, Draining(feed))) == [1, 2]
    assert "the broker dropped 2 entries before they were stored" in caplog.text
    assert feed.pending == 0
    assert ids_of(connection, symbol) == [2, 3, 4]


def test_an_entry_that_spoils_its_batch_is_refused_alone(
    url: str,
    connection: Connection,
    feed: Feed,
    symbol: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing(entries: Sequence[Any], *more: Any, malformed: bool) -> AbstractContextManager[Any]:
        if not malformed and any(entry.get(b"trade_id") == b"3" for entry in entries):
            raise ArithmeticError("nobody thought of this")
        return open_entries(entries, *more, malformed=malformed)

    monkeypatch.setattr(streams, "open_entries", failing)
    feed.add(*trade_fields(symbol, 6))
    broker = Draining(feed)
    assert sum(received(drain(url, broker))) == 6
    assert ids_of(connection, symbol) == [0, 1, 2, 4, 5]
    ((record, reasons),) = quarantined(connection, broker.source)
    assert (json.loads(record)["trade_id"], reasons) == ("3", ["MALFORMED_ROW"])
    assert feed.undone == 0
    assert "nobody thought of this" in caplog.text


def test_nothing_is_read_while_the_database_is_away(
    url: str,
    connection: Connection,
    feed: Feed,
    symbol: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(streams, "_FIRST_DELAY_S", 0.001)
    feed.add(*trade_fields(symbol, 20))
    broker = Draining(feed)
    tries: list[int] = []
    fall = [False]

    def connecting() -> AbstractContextManager[Connection]:
        tries.append(feed.pending if tries else 0)
        if 1 < len(tries) < 6:
            raise DatabaseUnavailable("the database is away")
        return writing(url)

    def break_off(entries: list[Entry]) -> None:
        if not fall[0]:
            fall[0] = True
            raise DatabaseUnavailable("the database went away")

    broker.before_store = break_off
    receipts = drain(url, broker, pace=Pace(batch=4, linger_s=0), connecting=connecting)
    # One batch is held by the consumer at most; the rest stays in Redis.
    assert tries == [0, 4, 4, 4, 4, 4]
    assert sum(received(receipts)) == 20
    assert ids_of(connection, symbol) == list(range(20))
    assert caplog.text.count("the database is away; trying again") == 4


def test_a_batch_waits_a_little_for_more(url: str, feed: Feed, symbol: str) -> None:
    records = list(trade_fields(symbol, 3))
    feed.add(*records[:2])
    broker = Draining(feed)

    def more(entries: list[Entry]) -> None:
        broker.before_store = lambda entries: None
        feed.add(records[2])

    broker.before_store = more
    assert received(drain(url, broker, pace=Pace(linger_s=0.01))) == [3]


def test_batches_are_no_larger_than_asked_for(url: str, feed: Feed, symbol: str) -> None:
    feed.add(*trade_fields(symbol, 10))
    assert received(drain(url, Draining(feed), pace=Pace(batch=4, linger_s=0))) == [4, 4, 2]
