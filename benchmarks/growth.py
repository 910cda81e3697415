"""How does the cost of an uncached answer grow with its size, against the floor's?"""

import statistics
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bars import DAILY, LONG, WIDE, stage, store
from benchmarks.contenders import FLOOR, OURS, contenders
from benchmarks.load import CONNECTIONS, Driver, Load
from benchmarks.questions import GROWTH, WHOLE
from benchmarks.reads import Loads, compare, cpu_ratio, in_turns, row
from benchmarks.report import Result

ROUNDS = 5
SECONDS = 3.0


def run(*, rounds: int = ROUNDS, seconds: float = SECONDS) -> Result:
    """Ask for ever more candles."""
    questions = [*GROWTH, WHOLE]
    found: dict[str, Loads] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        with stage(folder) as (server, cores):
            url = store(server, "growth", folder, [WIDE, LONG, DAILY])
            driver = Driver(core=cores.load, folder=folder, database_pid=server.pid)
            with contenders((FLOOR, OURS), url, questions, folder, cores.server) as running:
                for question in questions:
                    compare(running, question)
                    found[str(question)] = in_turns(
                        running, driver, question, rounds=rounds, seconds=seconds
                    )
    points = {str(question): question.points for question in questions}
    return Result(
        name="Growth of an answer",
        question=str(__doc__),
        data=f"{WIDE}, {LONG}, {DAILY}, in one hypertable; native server, data in memory;"
        f" {CONNECTIONS} connections, {cores}; {rounds} rounds in turns, medians",
        columns=(
            "instruments x candles",
            "who answers",
            "requests/s (min to max)",
            "p50 ms",
            "server CPU ms/request",
            "database CPU ms/request",
        ),
        rows=[
            row(question, name, loads)
            for question, each in found.items()
            for name, loads in each.items()
        ],
        findings=[
            f"{question} ({points[question]:,} points): {cpu_ratio(each[OURS], each[FLOOR]):.2f}x"
            f" the floor's CPU, {_point_us(each[OURS], points[question]):.2f} microseconds a point"
            for question, each in found.items()
        ],
    )


def _point_us(loads: Sequence[Load], points: int) -> float:
    return statistics.median(load.cpu_ms for load in loads) * 1000 / points
