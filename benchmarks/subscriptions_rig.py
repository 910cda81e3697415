"""Servers, feeds and subscribers of a measurement, each a process, and what one of them came to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.rejects import Rejects
from app.market.instrument import AssetClass
from app.market.schedule import exchange_of
from app.storage.batches import BatchKind
from app.storage.database import connect
from app.storage.instrument_writes import NewInstruments
from app.storage.migrate import migrate
from benchmarks.measure import cpu_seconds
from benchmarks.pinning import Cores, pinned
from tests.parts.guarded import GuardedProcess, free_port, start_guarded
from tests.parts.postgres import NativeServer

ROOT = Path(__file__).parents[1]
SYMBOLS = [f"S{number:03}" for number in range(100)]
TRADES = """subscription ($symbols: [String!]!) {
  trades(symbols: $symbols) {
    symbol revision cursor trade { tradeId time price size }
  }
}"""
_START_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What some subscribers were told in some seconds."""

    seconds: float
    messages: int
    expected: float
    bytes: int
    gone: int
    errors: dict[str, int]
    p50_ms: float
    p99_ms: float
    server_cpu: float  # cores
    database_cpu: float
    load_cpu: float
    steps: float  # a second
    statements: float

    @property
    def per_second(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def whole(self) -> float:
        """The share of the messages that came."""
        return self.messages / self.expected if self.expected else 1.0

    @property
    def keeps_up(self) -> bool:
        """Whether it is fast enough, and complete."""
        return self.p99_ms < 50 and self.whole > 0.98 and not self.gone and not self.errors


class NotJoined(Exception):
    """Subscribers had not joined after a long time."""


class Subscribers:
    """A process of subscribers."""

    def __init__(self, process: "subprocess.Popen[bytes]", joined: dict[str, Any]) -> None:
        self.join_s: float = joined["seconds"]
        self.pid = process.pid
        self._process = process

    def tell(self, word: bytes) -> dict[str, Any]:
        """Ask for what came; `begin` forgets it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + b"\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server."""

    port: int
    process: GuardedProcess

    def hub(self) -> dict[str, Any]:
        """Ask what its hub has done."""
        told: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.port}/hub", timeout=30).json()
        return told

    @property
    def rss_mb(self) -> float:
        """The memory that it holds."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / (1 << 20)


class Rig:
    """A database with SYMBOLS, and what runs around it."""

    def __init__(self, server: NativeServer, cores: Cores, folder: Path) -> None:
        self.url = server.create_database("live")
        self._server = server
        self._cores = cores
        self._folder = folder
        migrate(self.url)
        path = folder / "first.csv"
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
        rows = "".join(f"{each},{stamp},100,1,1\n" for each in SYMBOLS)
        path.write_text(f"symbol,time,price,size,trade_id\n{rows}")
        create = NewInstruments(
            exchange=exchange_of("24/7"), asset_class=AssetClass.CRYPTO, currency="USD"
        )
        delivery = Delivery(kind=BatchKind.TRADES, source="first", actor="benchmark", create=create)
        with connect(self.url, timeout_s=10, statement_timeout_s=60) as connection:
            import_file(connection, path, delivery, Rejects(), lambda _: None)

    @contextmanager
    def serve(self, kind: str, *more: str) -> Iterator[Served]:
        """Run a server."""
        port = free_port()
        with pinned(self._cores.server):
            process = start_guarded(
                [*_module("subscriptions_server"), kind, str(port), self.url, *more],
                account=None,
                abandon_signal=signal.SIGKILL,
                environment={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
                folder=ROOT,
                log=self._folder / f"{kind}.log",
            )
        served = Served(port=port, process=process)
        try:
            give_up_at = time.monotonic() + _START_S
            while True:
                try:
                    served.hub()
                    break
                except httpx.TransportError:
                    if time.monotonic() > give_up_at or not process.running():
                        raise RuntimeError(process.log_tail()) from None
                    time.sleep(0.1)
            yield served
        finally:
            process.stop(signal.SIGINT, timeout_s=30)

    @contextmanager
    def feed(
        self, trades: float, batches: float, symbols: Sequence[str] = SYMBOLS
    ) -> Iterator[dict[str, Any]]:
        """Run a feed; what it told at its end is put into what this gives."""
        told: dict[str, Any] = {"rate": trades}
        with pinned(self._cores.load):
            process = subprocess.Popen(
                [
                    *_module("subscriptions_feed"),
                    *(self.url, str(trades), str(batches), ",".join(symbols)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=ROOT,
            )
        try:
            time.sleep(2.5)  # it has begun, and keeps its rate
            assert process.poll() is None
            told["pid"] = process.pid
            yield told
            out, _ = process.communicate(timeout=30)
            told |= json.loads(out)
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def subscribers(
        self, served: Served, count: int, symbols: Sequence[str] = SYMBOLS
    ) -> Iterator[Subscribers]:
        """Run subscribers; each follows one of the symbols, or several joined by `+`."""
        with pinned(self._cores.load):
            process = subprocess.Popen(
                [
                    *_module("subscriptions_load"),
                    *(str(served.port), str(count), ",".join(symbols), TRADES),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=ROOT,
            )
        try:
            assert process.stdout is not None
            joined = process.stdout.readline()
            if not joined:
                raise NotJoined
            yield Subscribers(process, json.loads(joined))
        finally:
            process.kill()
            process.wait()

    def measure(
        self, served: Served, subscribers: Subscribers, each: float, *, seconds: float
    ) -> Found:
        """Listen for some seconds; `each` is how many messages the subscribers are due a second."""
        pids = [served.process.pid, self._server.pid]
        before, cpu = served.hub(), [cpu_seconds([pid]) for pid in pids]
        began, begun = time.time(), subscribers.tell(b"begin")
        time.sleep(seconds)
        ended, told = time.time(), subscribers.tell(b"end")
        used = [cpu_seconds([pid]) - old for pid, old in zip(pids, cpu, strict=True)]
        took, after = ended - began, served.hub()
        p50, p99 = self._delays(told["at"])
        return Found(
            seconds=took,
            messages=told["messages"],
            expected=each * took,
            bytes=told["bytes"],
            gone=told["gone"],
            errors=told["errors"],
            p50_ms=p50,
            p99_ms=p99,
            server_cpu=used[0] / took,
            database_cpu=used[1] / took,
            load_cpu=(told["cpu_s"] - begun["cpu_s"]) / took,
            steps=(after["steps"] - before["steps"]) / took,
            statements=(after["statements"] - before["statements"]) / took,
        )

    def _delays(self, arrivals: Sequence[tuple[int, int, int]]) -> tuple[float, float]:
        """Give median and 99th percentile of the time from just before the commit to arrival."""
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                "SELECT batch_id, extract(epoch FROM committed_at)::float8 * 1000 FROM batch"
            ).fetchall()
        committed: dict[int, float] = dict(rows)
        delays = sorted((ms - committed[revision], count) for revision, ms, count in arrivals)
        total, passed, found = sum(count for _, count in delays), 0, []
        wanted = [total * 0.5, total * 0.99]
        for delay, count in delays:
            passed += count
            while wanted and passed >= wanted[0]:
                found.append(max(0.0, delay))
                wanted.pop(0)
        return (found[0], found[1]) if total else (0.0, 0.0)


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{name}"]
