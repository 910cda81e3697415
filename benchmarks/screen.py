"""What does a screen of 5,000 instruments cost, beside plain SQL that finds the same rows?"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from app.storage.reader import read_settings
from benchmarks.bars import DAY, END, Bars, stage, store
from benchmarks.report import Result
from tests.serving import Api, in_process

ROUNDS = 15
BARS = Bars(symbols=[f"S{number:04}" for number in range(5_000)], count=260, width=DAY)
FLOOR, OURS, CACHED = "floor: plain SQL by asyncpg", "Tickgraph, uncached", "Tickgraph, cached"
STATEMENT_TIMEOUT_S = 60.0
NEWEST = END - DAY  # the day of the last bars

QUERY = """
query ($kind: ScreenKind, $sort: ScreenSort) {
  screen(kind: $kind, sort: $sort, first: 50) {
    edges { node { instrument { symbol } close previousClose changePercent volume high52Week } }
  }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A screen, and the plain SQL of its first 50 symbols; $1 is the day."""

    name: str
    variables: dict[str, Any]
    sql: str


_PREVIOUS = """
SELECT i.symbol, t.close, round((t.close - p.close) * 100 / p.close, 6) AS measure
FROM bar AS t
JOIN bar AS p USING (instrument_id, interval_minutes)
JOIN instrument AS i USING (instrument_id)
WHERE t.interval_minutes = 1440 AND t.bar_start = $1
  AND p.bar_start = $1::timestamptz - INTERVAL '1 day'
"""
_FIRST_50 = 'measure DESC, i.symbol COLLATE "C" LIMIT 50'

CASES = (
    Case(
        name="top gainers",
        variables={"kind": "TOP_GAINERS"},
        sql=f"{_PREVIOUS} AND t.close > p.close ORDER BY {_FIRST_50}",
    ),
    Case(
        name="most active",
        variables={"kind": "MOST_ACTIVE"},
        sql=f"""
SELECT i.symbol, t.close, t.volume AS measure
FROM bar AS t
JOIN instrument AS i USING (instrument_id)
WHERE t.interval_minutes = 1440 AND t.bar_start = $1
ORDER BY {_FIRST_50}
""",
    ),
    Case(
        name="volume against 20 days",
        variables={"sort": {"field": "RELATIVE_VOLUME"}},
        sql=f"""
SELECT i.symbol, t.close, round(t.volume / a.average, 6) AS measure
FROM bar AS t
JOIN (
    SELECT instrument_id, avg(volume) AS average
    FROM bar
    WHERE interval_minutes = 1440
      AND bar_start >= $1::timestamptz - INTERVAL '20 days' AND bar_start < $1
    GROUP BY instrument_id
) AS a USING (instrument_id)
JOIN instrument AS i USING (instrument_id)
WHERE t.interval_minutes = 1440 AND t.bar_start = $1
ORDER BY {_FIRST_50}
""",
    ),
    Case(
        name="new highs of 52 weeks",
        variables={"kind": "NEW_HIGHS"},
        sql=f"""
SELECT i.symbol, t.close, round((t.close - p.close) * 100 / p.close, 6) AS measure
FROM bar AS t
JOIN bar AS p USING (instrument_id, interval_minutes)
JOIN (
    SELECT instrument_id, max(high) AS high
    FROM bar
    WHERE interval_minutes = 1440
      AND bar_start >= $1::timestamptz - INTERVAL '52 weeks' AND bar_start < $1
    GROUP BY instrument_id
) AS h USING (instrument_id)
JOIN instrument AS i USING (instrument_id)
WHERE t.interval_minutes = 1440 AND t.bar_start = $1
  AND p.bar_start = $1::timestamptz - INTERVAL '1 day' AND t.high > h.high
ORDER BY {_FIRST_50}
""",
    ),
)


def run(*, rounds: int = ROUNDS, bars: Bars = BARS) -> Result:
    """Ask in turns, one at a time."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with stage(folder) as (server, cores):
            url = store(server, "screen", folder, [bars])
            found = asyncio.run(_measured(url, rounds))
    return Result(
        name="Screens",
        question=str(__doc__),
        data=f"{bars} on native server, data in memory, {cores}; the first 50 rows, GraphQL in the"
        f" process, one at a time; {rounds} rounds in turns, medians. The floor finds the rows and"
        " their measure only: no 52 weeks, no splits, no calendar, and it is told the day",
        columns=("screen", "who answers", "p50 ms", "times the floor"),
        rows=[
            (case, who, f"{statistics.median(own) * 1000:.3g}", f"{_ratio(times, who):.2f}")
            for case, times in found.items()
            for who, own in times.items()
        ],
        findings=[
            f"{case}: {_ratio(times, OURS):.2f}x the floor uncached, {_ratio(times, CACHED):.3f}x"
            " while no batch comes"
            for case, times in found.items()
        ],
    )


async def _measured(url: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    async with AsyncExitStack() as stack:
        settings = read_settings("floor", STATEMENT_TIMEOUT_S)
        floor = await asyncpg.connect(url, server_settings=settings)
        stack.push_async_callback(floor.close)
        uncached = await stack.enter_async_context(in_process(url, cache_mb=0))
        cached = await stack.enter_async_context(in_process(url))
        for case in CASES:
            contenders = {
                FLOOR: _plain(floor, case),
                OURS: _asked(uncached, case),
                CACHED: _asked(cached, case),
            }
            answers = [await ask() for ask in contenders.values()]
            assert answers[0], case.name
            assert answers == answers[:1] * len(answers), (case.name, answers)
            times = found[case.name] = {who: [] for who in contenders}
            for _ in range(rounds):
                for who, ask in contenders.items():
                    start = time.perf_counter()
                    await ask()
                    times[who].append(time.perf_counter() - start)
    return found


def _plain(connection: Any, case: Case) -> Callable[[], Awaitable[list[str]]]:
    async def ask() -> list[str]:
        return [row["symbol"] for row in await connection.fetch(case.sql, NEWEST)]

    return ask


def _asked(api: Api, case: Case) -> Callable[[], Awaitable[list[str]]]:
    async def ask() -> list[str]:
        data = await api.data(QUERY, **case.variables)
        return [edge["node"]["instrument"]["symbol"] for edge in data["screen"]["edges"]]

    return ask


def _ratio(times: dict[str, list[float]], who: str) -> float:
    return statistics.median(
        own / floor for own, floor in zip(times[who], times[FLOOR], strict=True)
    )
