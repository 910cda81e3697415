"""Does an answer cost more where the table has 2,000 chunks instead of 10?"""

import statistics
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from app.storage.migrate import migrate
from benchmarks.bars import DAY, MINUTE, Bars, import_rows, stage, tidy
from benchmarks.contenders import OURS, contenders
from benchmarks.load import Driver, Load
from benchmarks.questions import question
from benchmarks.report import Result
from tests.parts.postgres import NativeServer

P50: Callable[[Load], float] = attrgetter("p50_ms")
DATABASE: Callable[[Load], float] = attrgetter("database_ms")
ROUNDS = 5
SECONDS = 3.0
FEW, MANY = 10, 2_000
# A transaction holds a lock for each chunk that it makes, and its indexes: some hundreds at once.
_CHUNKS_AT_ONCE = 250

RECENT = Bars(symbols=[f"M{number:02}" for number in range(50)], count=2_000, width=MINUTE)
QUESTIONS = [question(RECENT, instruments, 500) for instruments in (1, 10)]


def run(*, rounds: int = ROUNDS, seconds: float = SECONDS) -> Result:
    """Ask the same of two tables, in turns, over one connection."""
    found: dict[tuple[str, int], list[Load]] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        with stage(folder) as (server, cores):
            few, many = (_stored(server, folder, chunks) for chunks in (FEW, MANY))
            driver = Driver(core=cores.load, folder=folder, database_pid=server.pid)
            with (
                contenders((OURS,), few, QUESTIONS, folder, cores.server) as on_few,
                contenders((OURS,), many, QUESTIONS, folder, cores.server) as on_many,
            ):
                sides = {FEW: on_few[OURS], MANY: on_many[OURS]}
                for each in QUESTIONS:
                    assert sides[FEW].answers(each) == sides[MANY].answers(each)
                    for _ in range(rounds):
                        for chunks, contender in sides.items():
                            load = contender.measure(driver, each, seconds=seconds, connections=1)
                            found.setdefault((str(each), chunks), []).append(load)
    return Result(
        name="Many chunks",
        question=str(__doc__),
        data=f"{RECENT} in the newest of chunks of one day, and one instrument with a daily bar in"
        f" each chunk; native server, data in memory; one connection, {cores}, uncached;"
        f" {rounds} rounds of {seconds:.0f} s in turns, medians",
        columns=("instruments x candles", "chunks", "p50 ms", "CPU ms/request of the database"),
        rows=[
            (
                asked,
                f"{chunks:,}",
                f"{_median(loads, P50):.3g}",
                f"{_median(loads, DATABASE):.3g}",
            )
            for (asked, chunks), loads in found.items()
        ],
        findings=[
            f"{each}: from {FEW} to {MANY:,} chunks latency is"
            f" {_ratio(found[str(each), MANY], found[str(each), FEW], P50):.2f}x and the"
            " database's CPU"
            f" {_ratio(found[str(each), MANY], found[str(each), FEW], DATABASE):.2f}x"
            " (goal: at most 1.2x)"
            for each in QUESTIONS
        ],
    )


def _stored(server: NativeServer, folder: Path, chunks: int) -> str:
    """Make a table of so many chunks of a day, the newest ones with the bars asked about."""
    url = server.create_database(f"chunks_{chunks}")
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT set_chunk_time_interval('bar', INTERVAL '1 day')")
    history = Bars(symbols=["HISTORY"], count=chunks, width=DAY)
    rows = history.rows()
    for first in range(0, chunks, _CHUNKS_AT_ONCE):
        import_rows(url, folder, history, rows[first : first + _CHUNKS_AT_ONCE])
    import_rows(url, folder, RECENT)
    with psycopg.connect(url, autocommit=True) as connection:
        made = connection.execute(
            "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'bar'"
        ).fetchone()
        assert made == (chunks,), made
    tidy(url)
    return url


def _median(loads: Sequence[Load], of: Callable[[Load], float]) -> float:
    return statistics.median(map(of, loads))


def _ratio(many: Sequence[Load], few: Sequence[Load], of: Callable[[Load], float]) -> float:
    return statistics.median(of(own) / of(other) for own, other in zip(many, few, strict=True))
