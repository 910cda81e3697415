"""Positions of a stream: what comes again is skipped, and what cannot is forgotten."""

import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from app.ingestion import streams
from app.ingestion.delivery import Receipt
from app.ingestion.redis_stream import RedisStream
from app.ingestion.streams import BrokerUnavailable, Entry, Pace
from app.storage.database import Connection
from app.storage.stream_positions import fence, prune_positions
from tests.conftest import TestDatabase
from tests.ingestion.imports import writing
from tests.ingestion.streaming import (
    Draining,
    Feed,
    drain,
    ids_of,
    positions,
    quarantined,
    received,
    trade_fields,
    trades_delivery,
)


@pytest.fixture(scope="module")
def connection(native_database: TestDatabase) -> Iterator[Connection]:
    with writing(native_database.url) as connection:
        yield connection


def test_a_commit_whose_acknowledgement_was_lost_is_not_repeated(
    url: str, connection: Connection, feed: Feed, symbol: str
) -> None:
    class Deaf(Draining):
        def acknowledge(self, positions: Sequence[str]) -> None:
            self.stop.set()
            raise BrokerUnavailable("the connection broke")

    feed.add(*trade_fields(symbol, 5), {"data": "poison"})
    deaf = Deaf(feed)
    assert received(drain(url, deaf)) == [6]
    assert feed.pending == 6
    assert drain(url, Draining(feed)) == []
    assert feed.undone == 0
    assert len(quarantined(connection, deaf.source)) == 1
    assert ids_of(connection, symbol) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("taken", [6, 2])
def test_of_two_consumers_with_the_same_entries_one_stores_them(
    url: str, connection: Connection, feed: Feed, symbol: str, taken: int
) -> None:
    feed.add(*trade_fields(symbol, 5), {"data": "poison"})
    first, second = Draining(feed), Draining(feed, "two")
    receipts: list[Receipt] = []

    class Taking(Draining):
        done = False

        def reclaim(self, limit: int, idle_s: float) -> list[Entry]:
            entries = [] if self.done else super().reclaim(taken, idle_s)
            self.done = True
            return entries

    def meanwhile(entries: list[Entry]) -> None:
        first.before_store = lambda entries: None
        receipts.extend(drain(url, Taking(feed, "two"), pace=Pace(claim_after_s=0, linger_s=0)))

    first.before_store = meanwhile
    mine = drain(url, first)
    assert received(receipts) == [taken]
    assert received(mine) == ([6 - taken] if taken < 6 else [])
    assert feed.undone == 0
    assert len(quarantined(connection, second.source)) == 1
    assert ids_of(connection, symbol) == [0, 1, 2, 3, 4]


def test_an_entry_that_is_twice_in_a_batch_is_stored_once(
    url: str, connection: Connection, feed: Feed, symbol: str
) -> None:
    feed.add(*trade_fields(symbol, 3))
    broker = Draining(feed)
    broker.before_store = lambda entries: entries.extend(entries[:2])
    assert received(drain(url, broker)) == [3]
    assert ids_of(connection, symbol) == [0, 1, 2]


def test_an_entry_that_comes_again_changes_nothing(
    url: str, connection: Connection, feed: Feed, symbol: str
) -> None:
    feed.add(*trade_fields(symbol, 5))
    assert received(drain(url, Draining(feed))) == [5]
    with Draining(feed):
        feed.rewind()
    assert drain(url, Draining(feed)) == []
    feed.add(*trade_fields(symbol, 5))
    (receipt,) = drain(url, Draining(feed))
    assert receipt.counts.as_json() == {"received": 5, "stored": 0, "duplicate": 5, "rejected": 0}


def keep_draining(
    url: str, broker: Draining, monkeypatch: pytest.MonkeyPatch, until: Callable[[], bool]
) -> None:
    """Drain with short-lived floors until something holds."""
    monkeypatch.setattr(streams, "FLOOR_AGE_S", 0.2)
    give_up = time.monotonic() + 30
    with broker:
        consumer = streams.Consumer(
            broker,
            trades_delivery(),
            lambda: writing(url),
            pace=Pace(linger_s=0),
            stop=broker.stop,
            on_batch=lambda receipt: None,
        )
        while not until():
            assert time.monotonic() < give_up
            broker.stop.clear()
            consumer.run()
            time.sleep(0.02)


def test_positions_that_cannot_come_again_are_forgotten(
    url: str, connection: Connection, feed: Feed, symbol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedisStream(feed.url, stream=feed.stream, group=feed.group, consumer="slow") as slow:
        feed.add(*trade_fields(symbol, 10))
        held = slow.read(3, 0)
        broker = Draining(feed)
        slow.acknowledge([held[0].position])
        drain(url, broker)
        assert len(positions(connection, broker.source)) == 7
        # What the slow one holds may come again, and so may nothing below it.
        keep_draining(url, broker, monkeypatch, lambda: broker.floors > 4)
        assert len(positions(connection, broker.source)) == 7
        slow.acknowledge([entry.position for entry in held[1:]])
        last = positions(connection, broker.source)[-1:]
        keep_draining(
            url, broker, monkeypatch, lambda: len(positions(connection, broker.source)) == 1
        )
        assert positions(connection, broker.source) == last


def test_entries_read_too_long_ago_are_asked_for_again(
    url: str, connection: Connection, feed: Feed, symbol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "FLOOR_AGE_S", 0.2)
    feed.add(*trade_fields(symbol, 3), {"data": "poison"})
    broker = Draining(feed)
    theirs: list[Receipt] = []

    def dawdle(entries: list[Entry]) -> None:
        broker.before_store = lambda entries: None
        theirs.extend(drain(url, Draining(feed, "two"), pace=Pace(linger_s=0, claim_after_s=0)))
        connection.execute("DELETE FROM stream_position WHERE source = %s", (broker.source,))
        time.sleep(0.3)

    broker.before_store = dawdle
    assert drain(url, broker) == []
    assert received(theirs) == [4]
    assert len(quarantined(connection, broker.source)) == 1


def test_no_position_is_forgotten_while_somebody_delivers(
    url: str, connection: Connection, feed: Feed, symbol: str
) -> None:
    feed.add(*trade_fields(symbol, 3))
    broker = Draining(feed)
    drain(url, broker)
    above = "9" * 41
    with writing(url) as other, fence(other, broker.source), fence(other, "another"):
        assert prune_positions(connection, broker.source, below=above) is None
    with writing(url) as other, fence(other, "another"):
        assert prune_positions(connection, broker.source, below=above) == 3
        assert prune_positions(connection, broker.source, below=above) == 0
