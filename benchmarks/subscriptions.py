"""How many subscribers does one process keep up at 1,000 trades a second over 100 instruments?

Each subscriber follows the trades of one instrument over a WebSocket of its own. The delay is from
just before the batch's commit (`batch.committed_at`) to the client's socket; a process keeps up
where its 99th percentile is below 50 ms, nothing is missing and nobody was let go.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bars import stage
from benchmarks.report import Result
from benchmarks.subscriptions_rig import SYMBOLS, Found, NotJoined, Rig, Served

SECONDS = 10.0
RATE, BATCHES = 1000, 25
OURS, ORDINARY = "Tickgraph", "Tickgraph, ordinary strawberry path"
KINDS = {OURS: "ours", ORDINARY: "ordinary"}
SPREAD = ((OURS, 10), (OURS, 500), (OURS, 3000), (ORDINARY, 50), (ORDINARY, 150))
ON_ONE = ((OURS, 200), (ORDINARY, 2))
MANY, MANY_RATE = 10_000, 20
_GONE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One row: so many subscribers, of so many instruments, at a rate."""

    name: str
    subscribers: int
    instruments: int
    rate: int
    join_s: float
    kb_each: float
    found: Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What came of a subscriber that stopped reading."""

    before: Found
    during: Found
    gone_s: float
    more_mb: float


def run(*, seconds: float = SECONDS) -> Result:
    """Measure one level after the other, each with a new server."""
    levels: list[Level] = []
    with TemporaryDirectory() as name, stage(Path(name)) as (server, cores):
        rig = Rig(server, cores, Path(name))
        with rig.feed(RATE, BATCHES) as feed:
            for who, count in SPREAD:
                levels.extend(_level(rig, who, count, SYMBOLS, RATE, seconds))
            stopped = _stopped(rig, seconds)
        with rig.feed(RATE, BATCHES, SYMBOLS[:1]) as narrow:
            for who, count in ON_ONE:
                levels.extend(_level(rig, who, count, SYMBOLS[:1], RATE, seconds))
        with rig.feed(MANY_RATE, MANY_RATE) as few:
            levels.extend(_level(rig, OURS, MANY, SYMBOLS, MANY_RATE, 2 * seconds))
    fed = ", ".join(f"{each['per_second']:.0f} of {each['rate']}" for each in (feed, narrow, few))
    cpu = ", ".join(f"{each['cpu']:.2f}" for each in (feed, narrow, few))
    return Result(
        name="Subscriptions",
        question=str(__doc__),
        data=f"{len(SYMBOLS)} instruments, {BATCHES} batches a second, written behind the record"
        f" checks of the pipeline: {fed} trades/s came, for {cpu} cores; native server, fsync on;"
        f" {cores}, and so the feed; {seconds:.0f} s each; load average of the machine at the end"
        f" {os.getloadavg()[1]:.1f}",
        columns=(
            "who",
            "subscribers",
            "instruments x trades/s",
            "messages/s",
            "of those due",
            "p50 ms",
            "p99 ms",
            "keeps up",
            "server cores",
            "messages per server CPU s",
            "database cores",
            "driver cores",
            "statements/s",
            "joined in s",
            "KiB each",
        ),
        rows=[_row(level) for level in levels],
        findings=[*_findings(levels), *_of_stopped(stopped)],
    )


def _level(
    rig: Rig, who: str, count: int, symbols: Sequence[str], rate: int, seconds: float
) -> Iterator[Level]:
    """Measure a level; gives nothing where the subscribers do not get in."""
    each = rate / len(symbols) * count
    with suppress(NotJoined), rig.serve(KINDS[who]) as served:
        before_mb = served.rss_mb
        with rig.subscribers(served, count, symbols) as subscribers:
            kb_each = (served.rss_mb - before_mb) * 1024 / count
            level = Level(
                name=who,
                subscribers=count,
                instruments=len(symbols),
                rate=rate,
                join_s=subscribers.join_s,
                kb_each=kb_each,
                found=rig.measure(served, subscribers, each, seconds=seconds),
            )
        print("  ".join(_row(level)), flush=True)
        yield level


def _stopped(rig: Rig, seconds: float) -> Stopped:
    """Stop a process that follows everything, beside some that follow one instrument each."""
    count = 200
    each = RATE / len(SYMBOLS) * count
    with (
        rig.serve("ours") as served,
        rig.subscribers(served, count) as others,
        rig.subscribers(served, 1, ["+".join(SYMBOLS)]) as slow,
    ):
        before = rig.measure(served, others, each, seconds=seconds)
        began, before_mb = time.monotonic(), served.rss_mb
        os.kill(slow.pid, signal.SIGSTOP)
        try:
            during = rig.measure(served, others, each, seconds=seconds / 2)
            gone_s = _wait(served, count, began)
        finally:
            os.kill(slow.pid, signal.SIGCONT)
        return Stopped(
            before=before, during=during, gone_s=gone_s, more_mb=served.rss_mb - before_mb
        )


def _wait(served: Served, count: int, began: float) -> float:
    while served.hub()["members"] > count:
        if time.monotonic() - began > _GONE_S:
            return float("inf")
        time.sleep(0.2)
    return time.monotonic() - began


def _row(level: Level) -> tuple[str, ...]:
    found = level.found
    return (
        level.name,
        f"{level.subscribers:,}",
        f"{level.instruments} x {level.rate / level.instruments:g}",
        f"{found.per_second:,.0f}",
        f"{found.whole:.0%}",
        f"{found.p50_ms:.0f}",
        f"{found.p99_ms:.0f}",
        "yes" if found.keeps_up else "no",
        f"{found.server_cpu:.2f}",
        f"{found.per_second / max(found.server_cpu, 0.001):,.0f}",
        f"{found.database_cpu:.2f}",
        f"{found.load_cpu:.2f}",
        f"{found.statements:.0f}",
        f"{level.join_s:.1f}",
        f"{level.kb_each:.0f}",
    )


def _findings(levels: Sequence[Level]) -> list[str]:
    def most(who: str, narrow: bool) -> int:
        return max(
            (
                each.subscribers
                for each in levels
                if each.name == who
                and (each.instruments == 1) is narrow
                and each.found.keeps_up
                and each.rate == RATE
            ),
            default=0,
        )

    spread = [each for each in levels if each.name == OURS and each.instruments > 1]
    statements = ", ".join(
        f"{each.found.statements:.0f} at {each.subscribers:,}"
        for each in spread
        if each.rate == RATE
    )
    (many,) = [each for each in levels if each.subscribers == MANY]
    return [
        f"most subscribers that were tried and kept up: {most(OURS, False):,}, on the ordinary path"
        f" {most(ORDINARY, False):,} (goal: 3,000 where that keeps 500)",
        f"all on one instrument: {most(OURS, True)}, on the ordinary path {most(ORDINARY, True)}"
        " (goal: 200)",
        f"statements a second by subscribers: {statements} (goal: flat)",
        f"{MANY:,} connections: {many.kb_each:.0f} KiB of the server's memory each,"
        f" {many.found.server_cpu:.2f} cores at {MANY_RATE} trades/s, pings included",
    ]


def _of_stopped(stopped: Stopped) -> list[str]:
    return [
        f"a subscriber of everything stops reading: it was gone after {stopped.gone_s:.1f} s"
        f" (goal: 10 s), the server had {stopped.more_mb:.1f} MiB more, the others' p99 was"
        f" {stopped.during.p99_ms:.0f} ms, before {stopped.before.p99_ms:.0f} ms",
    ]
