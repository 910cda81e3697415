"""What does POST /ingest/trades give, and how much memory does a body of 2 GB take?"""

import gzip
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import psycopg

from app.storage.migrate import migrate
from benchmarks.report import Result
from tests.parts.guarded import GuardedProcess, free_port, start_guarded
from tests.parts.postgres import native_timescaledb

MIB = 1 << 20
SIZES_MIB = (20, 200, 2_048)
GZIPPED_MIB = 200
SYMBOLS = 20
LINES = 10_000  # in one piece of a body
_START_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One upload: its size as NDJSON, and what it took."""

    what: str
    mib: float
    records: int
    seconds: float
    before_mib: float
    peak_mib: float


def run(*, sizes_mib: tuple[int, ...] = SIZES_MIB) -> Result:
    """Send bodies that are made on the fly, of plain NDJSON and gzipped, to one server."""
    found: list[Sent] = []
    with TemporaryDirectory() as folder, native_timescaledb(Path(folder) / "pg") as server:
        url = server.create_database("upload")
        migrate(url)
        bodies = [(size, False) for size in sizes_mib]
        bodies.append((min(GZIPPED_MIB, sizes_mib[-1]), True))
        with (
            psycopg.connect(url, autocommit=True) as connection,
            _serving(url, Path(folder)) as (process, port),
        ):
            _send(process, port, "warm", 1, zipped=False)
            for size, zipped in bodies:
                connection.execute("TRUNCATE trade")
                what = f"{size:,} MiB{', gzipped' if zipped else ''}"
                found.append(_send(process, port, what, size, zipped=zipped))
    small, large = found[0], max(found, key=lambda each: each.mib)
    return Result(
        name="Upload of trades",
        question=str(__doc__),
        data=f"trades of {SYMBOLS} instruments made while they are sent, about"
        f" {large.mib * MIB / large.records:.0f} bytes each, into an empty hypertable; native"
        " server, fsync on; one server process",
        columns=("body", "records", "seconds", "records/s", "before MiB", "peak MiB"),
        rows=[
            (
                each.what,
                f"{each.records:,}",
                f"{each.seconds:.1f}",
                f"{each.records / each.seconds:,.0f}",
                f"{each.before_mib:.0f}",
                f"{each.peak_mib:.0f}",
            )
            for each in found
        ],
        findings=[
            f"a body of {large.what} takes at its peak {large.peak_mib - small.peak_mib:.0f} MiB"
            f" more memory than one of {small.what}, {large.mib / small.mib:.0f} times smaller"
        ],
    )


def _send(process: GuardedProcess, port: int, what: str, mib: int, *, zipped: bool) -> Sent:
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    before = _memory_mib(process.pid, "VmRSS")
    sent = [0, 0]
    plain = _pieces(mib * MIB, sent)
    pieces = (gzip.compress(piece, 1) if zipped else piece for piece in plain)
    headers = {"content-type": "application/x-ndjson"}
    if zipped:
        headers["content-encoding"] = "gzip"
    address = f"http://127.0.0.1:{port}/ingest/trades?create=true&asset_class=CRYPTO"
    began = time.perf_counter()
    with httpx.Client(timeout=3_600) as client:
        response = client.post(address, content=pieces, headers=headers)
    seconds = time.perf_counter() - began
    assert response.status_code == 200, response.text
    assert response.json()["stored"] == sent[0], response.text
    return Sent(
        what=what,
        mib=sent[1] / MIB,
        records=sent[0],
        seconds=seconds,
        before_mib=before,
        peak_mib=_memory_mib(process.pid, "VmHWM"),
    )


def _pieces(size: int, sent: list[int]) -> Iterator[bytes]:
    while sent[1] < size:
        piece = b"".join(map(_line, range(sent[0], sent[0] + LINES)))
        sent[0] += LINES
        sent[1] += len(piece)
        yield piece


def _line(number: int) -> bytes:
    seconds, milliseconds = divmod(number * 17, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (
        b'{"symbol":"S%d","time":"2026-11-%02dT%02d:%02d:%02d.%03dZ","price":%d.%02d,"size":%d,'
        b'"trade_id":%d}\n'
        % (
            *(number % SYMBOLS, days + 1, hours, minutes, seconds, milliseconds),
            *(100 + number % 9, number % 100, 1 + number % 5, number),
        )
    )


@contextmanager
def _serving(url: str, folder: Path) -> Iterator[tuple[GuardedProcess, int]]:
    """Run `tickgraph serve` for as long as the block; gives it and its port."""
    port = free_port()
    process = start_guarded(
        [Path(sys.executable).parent / "tickgraph", "serve"],
        account=None,
        abandon_signal=signal.SIGKILL,
        environment={
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ["PATH"],
            "TICKGRAPH_DATABASE_URL": url,
            "TICKGRAPH_PORT": str(port),
            "TICKGRAPH_REFRESH_INTERVAL_S": "3600",
            "TICKGRAPH_INGEST_DIR": str(folder),
        },
        folder=Path(__file__).parents[1],
        log=folder / "server.log",
    )
    try:
        give_up_at = time.monotonic() + _START_TIMEOUT_S
        while not _listens(process.pid, port):
            if not process.running() or time.monotonic() > give_up_at:
                raise RuntimeError(f"the server did not start: {process.log_tail()}")
            time.sleep(0.1)
        httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=_START_TIMEOUT_S)
        yield process, port
    finally:
        process.stop(signal.SIGTERM, timeout_s=30)


def _listens(pid: int, port: int) -> bool:
    try:
        sockets = psutil.Process(pid).net_connections("tcp4")
    except psutil.NoSuchProcess:
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in sockets)


def _memory_mib(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024
