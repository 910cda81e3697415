"""The servers that are compared, each one process on a core that they take turns on."""

import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from operator import methodcaller
from pathlib import Path

import httpx
import psutil

from benchmarks.load import Driver, Load
from benchmarks.pinning import pinned
from benchmarks.postgraphile import postgraphile_command
from benchmarks.questions import Question
from benchmarks.recording import Recording, record
from tests.parts.guarded import GuardedProcess, free_port, start_guarded

FLOOR = "floor: bare Starlette, same SQL"
OURS = "Tickgraph, uncached"
CACHED = "Tickgraph, cached"
READY = "bare Starlette, ready bytes"
ORDINARY = "Tickgraph, ordinary strawberry path"
PEER = "PostGraphile 5"
PEER_BOUNDED = "PostGraphile 5, told a bound of time"

_START_TIMEOUT_S = 60
_REQUEST_TIMEOUT_S = 120
# How each request to Tickgraph must have been answered.
_OUTCOMES = {OURS: "fast", CACHED: "cached"}
_BODIES: Mapping[str, Callable[[Question], list[bytes]]] = {
    ORDINARY: methodcaller("ordinary"),
    PEER: methodcaller("postgraphile"),
    PEER_BOUNDED: methodcaller("postgraphile_bounded"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A running server, and how it is asked."""

    name: str
    port: int
    process: GuardedProcess
    bodies_of: Callable[[Question], list[bytes]]
    sizes: dict[str, float] = field(default_factory=dict)  # of an answer, mean bytes
    seconds: dict[str, float] = field(default_factory=dict)  # of an answer, asked one by one

    @property
    def url(self) -> str:
        """Where it answers GraphQL."""
        return f"http://127.0.0.1:{self.port}/graphql"

    def answers(self, question: Question) -> list[bytes]:
        """Ask each of a question's bodies, twice: the first time may have more to do."""
        headers = {"content-type": "application/json"}
        bodies = self.bodies_of(question)
        with httpx.Client(timeout=_REQUEST_TIMEOUT_S, headers=headers) as client:
            for _ in range(2):
                began = time.perf_counter()
                try:
                    found = [client.post(self.url, content=body) for body in bodies]
                except httpx.TransportError as error:
                    raise RuntimeError(f"{self.name}: {self.process.log_tail()}") from error
        self.seconds[str(question)] = (time.perf_counter() - began) / len(bodies)
        assert all(each.status_code == 200 for each in found), [each.text[:500] for each in found]
        answers = [each.content for each in found]
        self.sizes[str(question)] = sum(map(len, answers)) / len(answers)
        return answers

    def measure(self, driver: Driver, question: Question, *, seconds: float, **more: int) -> Load:
        """Put load on it; Tickgraph must have answered in the way that is to be measured."""
        before = self._outcomes()
        load = driver.drive(
            self.url,
            self.process.pid,
            self.bodies_of(question),
            answer_bytes=self.sizes[str(question)],
            seconds=seconds,
            **more,
        )
        if self.name in _OUTCOMES:
            after = self._outcomes()
            ways = {way for way, count in after.items() if count > before.get(way, 0)}
            assert ways == {_OUTCOMES[self.name]}, (before, after)
        return load

    def peak_rss_mb(self) -> float:
        """Give the most memory that the process has held since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> float:
        """Let the peak begin anew, and give the memory that the process holds now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self._status("VmRSS")

    def _status(self, name: str) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (line,) = [line for line in lines if line.startswith(f"{name}:")]
        return int(line.split()[1]) / 1024

    def _outcomes(self) -> Mapping[str, int]:
        if self.name not in _OUTCOMES:
            return {}
        outcomes: dict[str, int] = httpx.get(f"http://127.0.0.1:{self.port}/outcomes").json()
        return outcomes


@contextmanager
def contenders(
    names: Sequence[str], url: str, questions: Sequence[Question], folder: Path, core: int
) -> Iterator[dict[str, Contender]]:
    """Start servers over a database, and stop them."""
    recording = Recording(session={}, recorded=[])
    if FLOOR in names or READY in names:
        recording = record(url, [body for question in questions for body in question.ours()])
    file = folder / "recording.pickle"
    file.write_bytes(pickle.dumps(recording))
    python = {
        FLOOR: ("floor", str(file)),
        READY: ("ready", str(file)),
        OURS: ("ours", "0"),
        ORDINARY: ("ours", "0"),
        CACHED: ("ours", "256"),
    }
    started: dict[str, Contender] = {}
    with ExitStack() as stack:
        for name in names:
            port = free_port()
            environment = _environment()
            if name in {PEER, PEER_BOUNDED}:
                node, script = postgraphile_command()
                command: list[str | Path] = [node, script]
                environment |= {"PORT": str(port), "DATABASE_URL": url, "NODE_ENV": "production"}
            else:
                kind, more = python[name]
                command = [sys.executable, "-m", "benchmarks.servers", kind, str(port), url, more]
            log = folder / f"{len(started)}.log"
            process = _start(command, environment, log, core)
            stack.callback(process.stop, signal.SIGTERM, timeout_s=30)
            contender = Contender(
                name=name,
                port=port,
                process=process,
                bodies_of=_BODIES.get(name, methodcaller("ours")),
            )
            _wait_for(contender)
            started[name] = contender
        yield started


def _environment() -> dict[str, str]:
    return {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}


def _start(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path, core: int
) -> GuardedProcess:
    with pinned(core):
        return start_guarded(
            command,
            account=None,
            abandon_signal=signal.SIGKILL,
            environment=environment,
            folder=Path(__file__).parents[1],
            log=log,
        )


def _wait_for(contender: Contender) -> None:
    give_up_at = time.monotonic() + _START_TIMEOUT_S
    while not _listens(contender):
        if not contender.process.running() or time.monotonic() > give_up_at:
            raise RuntimeError(f"{contender.name} did not start: {contender.process.log_tail()}")
        time.sleep(0.1)
    # Answered once it has begun; any answer will do.
    httpx.get(contender.url, timeout=_START_TIMEOUT_S)


def _listens(contender: Contender) -> bool:
    """Tell whether it is this process, and no other, that has the port."""
    try:
        sockets = psutil.Process(contender.process.pid).net_connections("tcp4")
    except psutil.NoSuchProcess:
        return False
    return any(
        each.status == psutil.CONN_LISTEN and each.laddr.port == contender.port for each in sockets
    )
