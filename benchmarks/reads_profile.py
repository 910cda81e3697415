"""Where the database's time of a candle list goes, found by asking for less and less of it."""

import asyncio
import time

import asyncpg

from benchmarks.questions import OURS, Question, body
from benchmarks.recording import record

_FIELDS = "time open high low close volume"
_REPETITIONS = 80
# What a list is asked with; each step adds what the one before does not need.
STEPS = (
    ("finding the rows and joining a text of them", "__typename"),
    ("times as text", "time"),
    ("five exact decimals as text", _FIELDS),
)


def profile(url: str, question: Question) -> str:
    """Give each step's share of the statement's time, the fastest of some repetitions."""
    group = question.groups[0]
    bodies = [
        body(OURS.replace(_FIELDS, fields), symbols=group, last=question.last)
        for _, fields in STEPS
    ]
    recording = record(url, bodies)
    spent = asyncio.run(
        _spent(url, recording.session, [(r.sql, r.values) for r in recording.recorded])
    )
    shares, before = [], 0.0
    for (what, _), seconds in zip(STEPS, spent, strict=True):
        shares.append(f"{what} {(seconds - before) / spent[-1]:.0%}")
        before = seconds
    return (
        f"of the {spent[-1] * 1000:.1f} ms that the statement of {question} takes alone:"
        f" {', '.join(shares)}"
    )


async def _spent(
    url: str, session: dict[str, str], statements: list[tuple[str, tuple[object, ...]]]
) -> list[float]:
    connection = await asyncpg.connect(url, server_settings=session)
    spent = []
    for sql, values in statements:
        prepared = await connection.prepare(sql)
        best = float("inf")
        for _ in range(_REPETITIONS):
            began = time.perf_counter()
            await prepared.fetch(*values)
            best = min(best, time.perf_counter() - began)
        spent.append(best)
    await connection.close()
    return spent
