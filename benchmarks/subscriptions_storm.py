"""Is anything missing, or told twice, when everything falls over and over under a live feed?

Clients follow candles of two intervals, trades and newest prices of five instruments; their
connections are cut at random, also in the midst of a batch, and they go on from their cursors with
whichever of two servers. Servers, ingesters and the database get SIGKILL. At the end each client's
merged stream is held to the database.
"""

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from app.storage.migrate import migrate
from benchmarks.report import Result
from tests.live.storm import Storm, blow
from tests.parts.postgres import native_timescaledb

CLIENTS, DISCONNECTS, KILLS = 15, 1000, 36


def run() -> Result:
    """Let it blow once, with a new seed.

    Raises:
        AssertionError: something was missing, came twice, or was wrong.
    """
    seed = random.SystemRandom().randrange(1 << 30)
    storm = Storm(
        seed=seed, clients=CLIENTS, disconnects=DISCONNECTS, kills=KILLS, quiet_s=10.0, limit_s=900
    )
    with TemporaryDirectory() as name, native_timescaledb(Path(name) / "pg") as server:
        url = server.create_database("storm")
        migrate(url)
        report = asyncio.run(blow(url, storm, Path(name), server))
    assert not report.problems, (storm, report.problems[:20])
    return Result(
        name="A storm over subscriptions",
        question=str(__doc__),
        data=f"{CLIENTS} clients, 2 servers, 2 ingesters, native server with fsync on, all on the"
        f" same cores; seed {seed}; {report.seconds:.0f} s; load average of the machine at the end"
        f" {os.getloadavg()[1]:.1f}",
        columns=("from commit to client", "messages", "p50 ms", "p99 ms"),
        rows=[_row("quiet", report.quiet_ms), _row("in the storm", report.storm_ms)],
        findings=[
            f"connections cut: {report.disconnects:,}; lost, or attempts that failed while"
            f" something was down: {report.lost:,}",
            f"killed: {', '.join(f'{kind} {n}' for kind, n in sorted(report.kills.items()))}",
            f"{report.batches:,} batches; {report.versions:,} versions of trades told, of"
            f" {report.events:,} events: 0 missing, 0 twice, every candle and price as in the"
            " database",
        ],
    )


def _row(name: str, delays_ms: Sequence[float]) -> tuple[str, ...]:
    ordered = sorted(delays_ms)
    return (
        name,
        f"{len(ordered):,}",
        f"{ordered[len(ordered) // 2]:.0f}",
        f"{ordered[len(ordered) * 99 // 100]:.0f}",
    )
