"""A storm: clients cut off, and the API, the ingesters and the database killed, under a live feed.

The same code runs small in the tests and in full as `make bench NAME=live_storm`.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.ingestion.imports import load, new_instruments, write_rows, writing
from tests.live.storm_clients import Client, ask_base
from tests.live.storm_verdict import amiss, rows_of
from tests.parts.guarded import GuardedProcess, free_port, start_guarded
from tests.parts.postgres import NativeServer

ROOT = Path(__file__).parents[2]
SYMBOLS = [f"STORM.{letter}" for letter in "ABCDE"]
_START_S = 40.0
_SETTLE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """How hard it blows."""

    seed: int
    clients: int
    disconnects: int
    kills: int
    quiet_s: float = 2.0
    life_s: float = 1.0  # of a connection, on average
    calm_s: float = 0.6  # between two kills, on average
    pause_s: float = 0.03  # of each ingester, on average
    apis: int = 2
    ingesters: int = 2
    limit_s: float = 600.0


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of it; `problems` is empty where nothing was missing and nothing came twice."""

    problems: list[str] = field(default_factory=list)
    disconnects: int = 0
    lost: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    versions: int = 0
    events: int = 0
    seconds: float = 0.0
    quiet_ms: list[float] = field(default_factory=list)
    storm_ms: list[float] = field(default_factory=list)


class Stage:
    """The processes of a storm; each can be killed and comes again at its place."""

    def __init__(self, url: str, storm: Storm, folder: Path, server: NativeServer | None) -> None:
        self.ports = [free_port() for _ in range(storm.apis)]
        self._url = url
        self._storm = storm
        self._folder = folder
        self._server = server
        self._seed = storm.seed
        self._running: dict[str, GuardedProcess] = {}

    @property
    def names(self) -> list[str]:
        """What can be killed."""
        apis = [f"api {place}" for place in range(self._storm.apis)]
        ingesters = [f"ingester {place}" for place in range(self._storm.ingesters)]
        return [*apis, *ingesters, *(["database"] if self._server else [])]

    async def start(self, name: str) -> None:
        """Start one; an API is there when it answers."""
        kind, _, place = name.partition(" ")
        if kind == "database":
            assert self._server is not None
            await asyncio.to_thread(self._server.start)
        elif kind == "ingester":
            self._seed += 1
            command = [*_module("tests.live.storm_ingester"), self._url, str(self._seed)]
            await self._run(name, [*command, str(self._storm.pause_s), *SYMBOLS], {})
        else:
            await self._start_api(name, self.ports[int(place)])

    async def kill(self, name: str) -> None:
        """SIGKILL one."""
        if name == "database":
            assert self._server is not None
            await asyncio.to_thread(self._server.kill)
        else:
            await asyncio.to_thread(self._running.pop(name).kill)

    def end(self) -> None:
        """Leave nothing running."""
        for process in self._running.values():
            with suppress(Exception):
                process.kill()

    def end_feed(self) -> None:
        """Stop what writes."""
        for name in [each for each in self._running if each.startswith("ingester")]:
            self._running.pop(name).kill()

    def logs(self) -> str:
        """Give the end of each log."""
        return "\n".join(f"{name}:\n{each.log_tail()}" for name, each in self._running.items())

    async def _start_api(self, name: str, port: int) -> None:
        environment = {"TICKGRAPH_DATABASE_URL": self._url, "TICKGRAPH_PORT": str(port)}
        code = "from app.cli import cli; cli(['serve'])"
        async with asyncio.timeout(_START_S):
            while True:
                await self._run(name, [sys.executable, "-c", code], environment)
                while self._running[name].running():
                    with suppress(OSError):
                        if await _answers(port):
                            return
                    await asyncio.sleep(0.05)
                await asyncio.to_thread(self._running[name].kill)  # the database was not there

    async def _run(self, name: str, command: Sequence[str], environment: dict[str, str]) -> None:
        self._running[name] = await asyncio.to_thread(
            start_guarded,
            command,
            account=None,
            abandon_signal=signal.SIGKILL,
            environment={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"], **environment},
            folder=ROOT,
            log=self._folder / f"{name}.log",
        )


def prepare(url: str, folder: Path) -> None:
    """Make the instruments, each with a trade of an hour ago."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    rows = [(symbol, stamp, 100, 1, place) for place, symbol in enumerate(SYMBOLS)]
    path = write_rows(folder / "first.csv", ("symbol", "time", "price", "size", "trade_id"), rows)
    with writing(url) as connection:
        load(connection, path, create=new_instruments())


async def blow(url: str, storm: Storm, folder: Path, server: NativeServer | None = None) -> Report:
    """Let it blow, wait for calm, and hold each client to the database."""
    rng = random.Random(storm.seed)
    report = Report()
    began = time.monotonic()
    prepare(url, folder)
    stage = Stage(url, storm, folder, server)
    clients = [
        Client(random.Random(rng.random()), stage.ports, SYMBOLS) for _ in range(storm.clients)
    ]
    tasks: list[asyncio.Task[None]] = []
    with ExitStack() as ending:
        ending.callback(stage.end)
        async with asyncio.timeout(storm.limit_s):
            await asyncio.gather(*(stage.start(n) for n in stage.names if n != "database"))
            blowing = asyncio.Event()

            def life_s() -> float | None:
                return rng.expovariate(1 / storm.life_s) if blowing.is_set() else None

            tasks += [asyncio.create_task(client.live(life_s)) for client in clients]
            await _until(lambda: all(client.begun for client in clients), _START_S)
            base = await ask_base(stage.ports, SYMBOLS)
            for client in clients:
                client.seen.begin(base)
            await asyncio.sleep(storm.quiet_s)
            turned = time.time()
            blowing.set()
            for client in clients:  # their connections were made to last
                client.cut()
            await asyncio.gather(
                _kill(stage, storm, rng, report),
                _until(lambda: sum(c.aborted for c in clients) >= storm.disconnects, storm.limit_s),
            )
            blowing.clear()
            stage.end_feed()
            await _hold(url, stage, clients, report)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if report.problems:
            report.problems.append(stage.logs())
    _count(url, clients, turned, report)
    report.seconds = time.monotonic() - began
    return report


async def _kill(stage: Stage, storm: Storm, rng: random.Random, report: Report) -> None:
    """Kill one after the other; each kind in its turn, so that each has its share."""
    kinds = sorted({name.split(" ")[0] for name in stage.names})
    for number in range(storm.kills):
        await asyncio.sleep(rng.expovariate(1 / storm.calm_s))
        kind = kinds[number % len(kinds)]
        name = rng.choice([each for each in stage.names if each.startswith(kind)])
        await stage.kill(name)
        report.kills[kind] += 1
        await asyncio.sleep(rng.random() * 0.3)
        await stage.start(name)


async def _hold(url: str, stage: Stage, clients: Sequence[Client], report: Report) -> None:
    """Wait until every client has what the database has, and say what is amiss if that fails."""
    await asyncio.sleep(0.5)
    base = await ask_base(stage.ports, SYMBOLS)
    rows = await asyncio.to_thread(rows_of, url)
    give_up_at = time.monotonic() + _SETTLE_S
    while time.monotonic() < give_up_at:
        if not any(amiss(client, base, rows) for client in clients):
            return
        await asyncio.sleep(0.25)
    for place, client in enumerate(clients):
        report.problems += [f"client {place}: {each}" for each in amiss(client, base, rows)]


def _count(url: str, clients: Sequence[Client], turned: float, report: Report) -> None:
    """Count what happened, and the time from commit to client of those that listened then."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT batch_id, extract(epoch FROM committed_at)::float8 FROM batch"
        ).fetchall()
    committed: dict[int, float] = dict(rows)
    report.batches = len(committed)
    for client in clients:
        report.disconnects += client.aborted
        report.lost += client.lost
        report.errors += client.errors
        report.versions += len(client.seen.versions)
        report.events += len(client.seen.arrivals)
        for since, revision, arrived in client.seen.arrivals:
            moment = committed[revision]
            if moment > since:
                within = report.storm_ms if arrived > turned else report.quiet_ms
                within.append((arrived - moment) * 1000)


async def _until(done: Callable[[], bool], timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        while not done():  # noqa: ASYNC110 - many things to look at
            await asyncio.sleep(0.02)


async def _answers(port: int) -> bool:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    writer.close()
    return True


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]
