"""Drive a server with wrk, a load driver from Debian's packages; count what each request costs."""

import json
import math
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import cpu_seconds
from benchmarks.pinning import pinned
from tests.parts.debian import Part, unpacked
from tests.parts.loader import give_own_loader

WRK = Part(
    name="wrk",
    suite="trixie",
    packages=("wrk", "libc6", "libgcc-s1", "libluajit-5.1-2", "libssl3t64", "libzstd1", "zlib1g"),
)
CONNECTIONS = 4
TIMEOUT_S = 60
_HEADERS_BYTES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a server did under load; CPU time of one request in milliseconds, by who spent it."""

    requests: int
    per_second: float
    p50_ms: float
    server_ms: float
    database_ms: float

    @property
    def cpu_ms(self) -> float:
        """CPU time of server and database."""
        return self.server_ms + self.database_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """How load is put on servers."""

    core: int
    folder: Path
    database_pid: int

    def drive(
        self,
        url: str,
        pid: int,
        bodies: Sequence[bytes],
        *,
        answer_bytes: float,
        seconds: float,
        connections: int = CONNECTIONS,
    ) -> Load:
        """Send bodies in turn for some seconds; `answer_bytes` is the mean size of the answers.

        Raises:
            AssertionError: a response was an error, or not what was asked for.
        """
        path = self.folder / "bodies"
        path.write_bytes(b"\n".join(bodies) + b"\n")
        settle([pid, self.database_pid])
        server_s, database_s = cpu_seconds([pid]), cpu_seconds([self.database_pid])
        with pinned(self.core):
            printed = subprocess.run(
                [
                    *(wrk_program(), "--threads", "1", "--connections", str(connections)),
                    *("--duration", f"{math.ceil(seconds)}s", "--timeout", f"{TIMEOUT_S}s"),
                    *("--script", Path(__file__).with_name("wrk.lua"), url, "--", path),
                ],
                stdout=subprocess.PIPE,
                timeout=seconds + TIMEOUT_S,
                check=True,
                text=True,
            ).stdout
        server_s = cpu_seconds([pid]) - server_s
        database_s = cpu_seconds([self.database_pid]) - database_s
        found = json.loads(printed.strip().splitlines()[-1])
        requests = found["requests"]
        assert requests > 0, found
        assert found["errors"] == 0, found
        size = found["bytes"] / requests
        # wrk counts bytes as they come: at the end each connection has part of an answer.
        few = answer_bytes * connections / requests
        assert abs(size - answer_bytes) < 0.02 * answer_bytes + _HEADERS_BYTES + few, (
            size,
            answer_bytes,
        )
        return Load(
            requests=requests,
            per_second=requests * 1e6 / found["duration_us"],
            p50_ms=found["p50_us"] / 1000,
            server_ms=server_s * 1000 / requests,
            database_ms=database_s * 1000 / requests,
        )


def wrk_program() -> Path:
    """Return wrk; fetch it the first time."""

    def finish(building: Path, final: Path) -> None:
        program = building / "root/usr/bin/wrk"
        give_own_loader(building / "root", [program], final_root=final / "root")

    return unpacked(WRK, reader=None, finish=finish) / "root/usr/bin/wrk"


def settle(pids: Sequence[int], *, timeout_s: float = 60) -> None:
    """Wait until processes have done what was left to do."""
    give_up_at = time.monotonic() + timeout_s
    while time.monotonic() < give_up_at:
        before = cpu_seconds(pids)
        time.sleep(0.25)
        if cpu_seconds(pids) - before < 0.02:
            return
