"""Feed a Redis stream in tests, and consume it to its end in this process."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import redis

from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.redis_stream import RedisStream
from app.ingestion.streams import Consumer, Entry, Pace
from app.market.interval import Interval
from app.storage.batches import BatchKind
from app.storage.database import Connection
from tests.ingestion.imports import new_instruments, trades_of, writing

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
Fields = Mapping[Any, str | bytes]


class Feed:
    """A stream of Redis, and its group `tickgraph`, as the producer and the operator see them."""

    def __init__(self, url: str, stream: str, group: str = "tickgraph") -> None:
        self.url = url
        self.stream = stream
        self.group = group
        self.client: Any = redis.Redis.from_url(url, decode_responses=True)

    def add(self, *records: Fields) -> list[str]:
        pipeline = self.client.pipeline(transaction=False)
        for record in records:
            pipeline.xadd(self.stream, dict(record))
        return list(pipeline.execute())

    @property
    def pending(self) -> int:
        return int(self.client.xpending(self.stream, self.group)["pending"])

    @property
    def undone(self) -> int:
        """How many entries are not acknowledged, delivered or not."""
        groups = self.client.xinfo_groups(self.stream)
        (group,) = [each for each in groups if each["name"] == self.group]
        behind = self.client.xrange(self.stream, min=f"({group['last-delivered-id']}")
        return int(group["pending"]) + len(behind)

    def rewind(self) -> None:
        """Have the whole stream come again."""
        self.client.xgroup_setid(self.stream, self.group, "0")


class Draining(RedisStream):
    """A consumer that stops where the stream ends; `before_store` is called with new entries."""

    def __init__(self, feed: Feed, consumer: str = "one") -> None:
        super().__init__(feed.url, stream=feed.stream, group=feed.group, consumer=consumer)
        self.stop = threading.Event()
        self.floors = 0
        self.before_store: Callable[[list[Entry]], None] = lambda entries: None

    def read(self, limit: int, wait_s: float) -> list[Entry]:
        entries = super().read(limit, 0)
        if not entries and wait_s:
            self.stop.set()
        if entries:
            self.before_store(entries)
        return entries

    def floor(self) -> str:
        self.floors += 1
        return super().floor()


def trades_delivery(**options: Any) -> Delivery:
    return Delivery(
        kind=BatchKind.TRADES, source="", actor="test", create=new_instruments(), **options
    )


def bars_delivery(interval: str) -> Delivery:
    return Delivery(
        kind=BatchKind.BARS,
        source="",
        actor="test",
        create=new_instruments(),
        interval=Interval.parse(interval),
    )


def drain(
    url: str,
    broker: Draining,
    delivery: Delivery | None = None,
    *,
    pace: Pace | None = None,
    connecting: Callable[[], AbstractContextManager[Connection]] | None = None,
) -> list[Receipt]:
    """Consume until nothing is left; give the receipts."""
    receipts: list[Receipt] = []
    broker.stop.clear()
    with broker:
        Consumer(
            broker,
            delivery or trades_delivery(),
            connecting or partial(writing, url),
            pace=pace or Pace(linger_s=0),
            stop=broker.stop,
            on_batch=receipts.append,
        ).run()
    return receipts


def trade_fields(symbol: str, count: int, start: int = 0) -> Iterator[dict[str, str]]:
    """Give trades a second apart, ids and prices from `start` on."""
    for number in range(start, start + count):
        yield {
            "symbol": symbol,
            "time": (NOON + timedelta(seconds=number)).isoformat(),
            "price": f"{number + 1}",
            "size": "1",
            "trade_id": str(number),
        }


def received(receipts: Sequence[Receipt]) -> list[int]:
    return [receipt.counts.received for receipt in receipts]


def ids_of(connection: Connection, symbol: str) -> list[int]:
    return [trade_id for _, trade_id, _, _ in trades_of(connection, symbol)]


def quarantined(connection: Connection, source: str) -> list[tuple[bytes, list[str]]]:
    rows = connection.execute(
        """
        SELECT q.record, q.reasons FROM quarantine AS q JOIN batch USING (batch_id)
        WHERE source = %s ORDER BY q.batch_id, q.position
        """,
        (source,),
    ).fetchall()
    return [(bytes(record), reasons) for record, reasons in rows]


def positions(connection: Connection, source: str) -> list[str]:
    rows = connection.execute(
        "SELECT position FROM stream_position WHERE source = %s ORDER BY position", (source,)
    ).fetchall()
    return [position for (position,) in rows]
