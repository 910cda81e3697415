"""Exactly once, whatever is killed: consumers, importers, the database, Redis; dozens of times."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from app.query.window import Window
from app.rollups.refresh import refresh
from app.storage.database import Connection
from app.storage.migrate import migrate
from tests.ingestion.imports import write_rows, writing
from tests.ingestion.kill_child import Nursery, import_once, nursery
from tests.ingestion.streaming import Feed, Fields
from tests.parts.postgres import NativeServer, native_timescaledb
from tests.parts.redis import RedisServer, native_redis
from tests.query.reading import as_expected, candles_of, reading
from tests.query.recompute import RawTrade, from_trades

ROUNDS = 24
NEW_PER_ROUND = 150
SYMBOLS = ("KILL.A", "KILL.B", "KILL.C", "KILL.D")
START = datetime(2026, 3, 5, 21, 7, 13, tzinfo=UTC)
HEADER = ("symbol", "time", "price", "size", "trade_id")
EVERYTHING = Window(start=datetime(1990, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC))


class Scene:
    """The servers, what runs on them, and all that was ever sent."""

    def __init__(
        self,
        rng: random.Random,
        folder: Path,
        database: NativeServer,
        redis: RedisServer,
        children: Nursery,
    ) -> None:
        self.rng = rng
        self.folder = folder
        self.database = database
        self.redis = redis
        self.children = children
        self.url = database.url
        self.feed = Feed(redis.url, "kill")
        self._keep_all()
        self.sent: list[tuple[str, ...]] = []
        self.files: list[Path] = []
        self.entries = 0
        self.poison: list[str] = []
        self.consumers: dict[str, psutil.Process | None] = {"one": None, "two": None}
        self.importers: list[psutil.Process] = []
        self.harmed: Counter[str] = Counter()

    def send(self) -> None:
        """Send new records to the stream, to a file or to both; and some old ones once more."""
        first = len(self.sent)
        new = [self._trade(number) for number in range(first, first + NEW_PER_ROUND)]
        self.sent += new
        split = [self.rng.choice(("stream", "stream", "both", "file")) for _ in new]
        old = self.rng.sample(self.sent, 20)
        streamed = [trade for trade, way in zip(new, split, strict=True) if way != "file"]
        filed = [trade for trade, way in zip(new, split, strict=True) if way != "stream"]
        poison = [f"poison {first} {n}" for n in range(2)]
        self.poison += poison
        entries: list[Fields] = [dict(zip(HEADER, trade, strict=True)) for trade in streamed + old]
        entries += [{"data": words} for words in poison]
        self.rng.shuffle(entries)
        self.feed.add(*entries)
        self.entries += len(entries)
        path = self.folder / f"{first}.csv"
        self.files.append(write_rows(path, HEADER, filed + self.rng.sample(old, 10)))

    def work(self) -> None:
        """Have two consumers run, and import the newest file and some other one, perhaps twice."""
        for name, process in self.consumers.items():
            if process is None or not process.is_running():
                self.consumers[name] = self.children.start(
                    "consume", self.url, self.redis.url, self.feed.stream, name
                )
        for path in (self.files[-1], self.rng.choice(self.files), self.rng.choice(self.files)):
            started = self.children.start("import", self.url, str(path))
            self.importers += [started] if started is not None else []

    def harm(self) -> None:
        """Kill something, or restart a server."""
        harms: list[Callable[[], None]] = [
            self._kill_consumer,
            self._kill_consumer,
            self._kill_importers,
            self._kill_database,
            self._kill_redis,
            self._stop_redis,
        ]
        self.rng.choice(harms)()

    def settle(self) -> None:
        """Let the consumers come to the end; then they end too, and every file comes once more."""
        give_up = time.monotonic() + 60
        self.work()
        while self.feed.undone:
            assert time.monotonic() < give_up, (
                self.feed.undone,
                self.feed.client.xinfo_groups(self.feed.stream),
                self.feed.client.xinfo_consumers(self.feed.stream, self.feed.group),
            )
            time.sleep(0.05)
        self._kill(*self.consumers.values())
        psutil.wait_procs(self.importers, timeout=30)
        for path in self.files:
            import_once(self.url, str(path))

    def _trade(self, number: int) -> tuple[str, ...]:
        # Ids that do not follow time, and several trades of one instant.
        time_ = START + timedelta(milliseconds=number // 2 * 1_370)
        price = Decimal(self.rng.randint(1, 10**9)).scaleb(-self.rng.choice((0, 2, 6, 9)))
        size = Decimal(self.rng.randint(0, 5_000)).scaleb(-self.rng.choice((0, 3)))
        trade_id = (number * 7_919) % 1_000_003
        symbol = self.rng.choice(SYMBOLS)
        return symbol, time_.isoformat(), f"{price:f}", f"{size:f}", str(trade_id)

    def _kill(self, *processes: psutil.Process | None) -> int:
        killed = 0
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                if process is not None:
                    process.kill()
                    process.wait(10)  # else it might still count as running
                    killed += 1
        return killed

    def _kill_consumer(self) -> None:
        names = self.rng.sample(sorted(self.consumers), self.rng.choice((1, 1, 2)))
        self.harmed["consumer"] += self._kill(*(self.consumers[name] for name in names))

    def _kill_importers(self) -> None:
        self.harmed["importer"] += self._kill(*self.importers)
        self.importers.clear()

    def _kill_database(self) -> None:
        self.database.kill()
        time.sleep(self.rng.uniform(0, 0.3))
        self.database.start()
        self.harmed["database"] += 1

    def _kill_redis(self) -> None:
        self.redis.kill()
        time.sleep(self.rng.uniform(0, 0.3))
        self._start_redis()
        self.harmed["redis"] += 1

    def _stop_redis(self) -> None:
        self.redis.stop()
        self._start_redis()
        self.harmed["redis"] += 1

    def _start_redis(self) -> None:
        self.redis.start()
        self._keep_all()

    def _keep_all(self) -> None:
        """Have Redis write before it answers: by default a crash may lose the last seconds."""
        self.feed.client.config_set("appendfsync", "always")


@contextmanager
def scene(rng: random.Random, folder: Path) -> Iterator[Scene]:
    for name in ("database", "redis", "files"):
        (folder / name).mkdir()
    with (
        # What a process has written outlives its SIGKILL, also where it was not synced.
        native_timescaledb(folder / "database", fsync=False) as database,
        native_redis(folder / "redis", append_only=True) as redis,
        nursery(folder / "children.log") as children,
    ):
        migrate(database.url)
        yield Scene(rng, folder / "files", database, redis, children)


async def test_every_record_is_stored_exactly_once_whatever_is_killed(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown where the test fails
    with scene(random.Random(seed), tmp_path) as played:
        for _ in range(ROUNDS):
            played.send()
            played.work()
            time.sleep(played.rng.uniform(0, 0.5))  # noqa: ASYNC251 - nothing else runs here
            played.harm()
        played.settle()
        print(f"harmed {dict(played.harmed)}")  # noqa: T201
        with writing(played.url) as connection:
            _check_rows(connection, played)
            _check_batches(connection)
            _check_entries(connection, played)
            refresh(connection)
        await _check_candles(played)
        # The rounds were no idyll.
        assert sum(played.harmed.values()) >= ROUNDS / 2


def _check_rows(connection: Connection, played: Scene) -> None:
    rows = connection.execute(
        """
        SELECT symbol, event_time, price, size, trade_id
        FROM trade JOIN instrument USING (instrument_id)
        """
    ).fetchall()
    stored = Counter((symbol, at, price, size, number) for symbol, at, price, size, number in rows)
    sent = Counter(
        (symbol, datetime.fromisoformat(at), Decimal(price), Decimal(size), int(number))
        for symbol, at, price, size, number in played.sent
    )
    assert len(sent) == len(played.sent)
    assert stored == sent


def _check_batches(connection: Connection) -> None:
    batches = connection.execute(
        """
        SELECT batch_id, received, stored, duplicate, rejected, committed_at,
               (SELECT count(*) FROM quarantine AS q WHERE q.batch_id = batch.batch_id)
        FROM batch ORDER BY batch_id
        """
    ).fetchall()
    assert [row[0] for row in batches] == list(range(1, len(batches) + 1))
    assert [row[5] for row in batches] == sorted(row[5] for row in batches)
    for batch_id, received, stored, duplicate, rejected, _, quarantined in batches:
        assert received == stored + duplicate + rejected, batch_id
        assert rejected == quarantined, batch_id
    (rows,) = _one(connection, "SELECT count(*) FROM trade")
    assert sum(row[2] for row in batches) == rows


def _check_entries(connection: Connection, played: Scene) -> None:
    """Each entry was in one batch, and each poisonous one is in quarantine once."""
    (received,) = _one(connection, "SELECT sum(received) FROM batch WHERE source LIKE 'redis:%'")
    assert received == played.entries == played.feed.client.xlen(played.feed.stream)
    records = connection.execute("SELECT record FROM quarantine").fetchall()
    assert sorted(bytes(record).decode() for (record,) in records) == sorted(played.poison)


async def _check_candles(played: Scene) -> None:
    async with reading(played.url) as market:
        for symbol in SYMBOLS:
            trades = [
                RawTrade(
                    time=datetime.fromisoformat(at),
                    trade_id=int(number),
                    price=Decimal(price),
                    size=Decimal(size),
                    trading_date=datetime.fromisoformat(at).date(),
                )
                for name, at, price, size, number in played.sent
                if name == symbol
            ]
            for interval in ("10s", "1m", "7m", "1h", "1d"):
                found = as_expected(await candles_of(market, symbol, interval, EVERYTHING))
                assert found == from_trades(trades, interval), (symbol, interval)


def _one(connection: Connection, question: str) -> tuple[Any, ...]:
    row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return row
