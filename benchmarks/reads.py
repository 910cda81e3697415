"""How much does an answer over HTTP cost beside its SQL: 500 candles of 1, 10, 50 instruments?"""

import statistics
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.answers import candles_of
from benchmarks.bars import DAILY, LONG, WIDE, stage, store
from benchmarks.contenders import (
    CACHED,
    FLOOR,
    ORDINARY,
    OURS,
    PEER,
    PEER_BOUNDED,
    READY,
    Contender,
    contenders,
)
from benchmarks.load import CONNECTIONS, Driver, Load
from benchmarks.measure import spread
from benchmarks.questions import BATCHES, Question
from benchmarks.reads_profile import profile
from benchmarks.report import Result

ROUNDS = 5
SECONDS = 3.0
LEAST_REQUESTS = 24
NAMES = (FLOOR, OURS, READY, CACHED, ORDINARY, PEER, PEER_BOUNDED)

Loads = dict[str, list[Load]]


def run(*, rounds: int = ROUNDS, seconds: float = SECONDS) -> Result:
    """Ask each contender in turns, one question after the other."""
    found: dict[str, Loads] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        with stage(folder) as (server, cores):
            url = store(server, "reads", folder, [WIDE, LONG, DAILY])
            spent = profile(url, BATCHES[1])
            driver = Driver(core=cores.load, folder=folder, database_pid=server.pid)
            with contenders(NAMES, url, BATCHES, folder, cores.server) as running:
                for question in BATCHES:
                    compare(running, question)
                    found[str(question)] = in_turns(
                        running, driver, question, rounds=rounds, seconds=seconds
                    )
    return Result(
        name="Reads over HTTP",
        question=str(__doc__),
        data=f"{WIDE}, {LONG}, {DAILY}, in one hypertable; native server, data in memory;"
        f" {CONNECTIONS} connections, one process each, {cores}; {rounds} rounds of"
        f" {seconds:.0f} s in turns, medians",
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
            *(line for question, each in found.items() for line in _findings(question, each)),
            *_batching(found),
            spent,
        ],
    )


def compare(running: dict[str, Contender], question: Question) -> None:
    """See that all give the same candles, and those of the same shape the same bytes."""
    answers = {name: contender.answers(question) for name, contender in running.items()}
    ours = answers[OURS]
    for name in (FLOOR, READY, CACHED):
        assert answers.get(name, ours) == ours, f"{name} answers {question} with other bytes"
    for place, own in enumerate(ours):
        expected = candles_of(own)
        assert len(expected) == len(question.groups[0]), question
        assert all(len(candles) == question.last for candles in expected.values()), question
        for name in {ORDINARY, PEER, PEER_BOUNDED} & set(answers):
            assert candles_of(answers[name][place]) == expected, f"{name} has other candles"


def in_turns(
    running: dict[str, Contender],
    driver: Driver,
    question: Question,
    *,
    rounds: int,
    seconds: float,
) -> Loads:
    """Measure each contender once a round; slow ones for longer, so that they answer enough."""
    found: Loads = {name: [] for name in running}
    for contender in running.values():
        # Unmeasured: opens the connections, and each plans for the first time.
        contender.measure(
            driver, question, seconds=max(1, 2 * CONNECTIONS * contender.seconds[str(question)])
        )
    for _ in range(rounds):
        for name, contender in running.items():
            enough_s = LEAST_REQUESTS * contender.seconds[str(question)]
            load = contender.measure(driver, question, seconds=max(seconds, enough_s))
            found[name].append(load)
    return found


def row(question: str, name: str, loads: Sequence[Load]) -> tuple[str, ...]:
    """Write the medians of a contender."""
    return (
        question,
        name,
        spread([load.per_second for load in loads]),
        f"{statistics.median(load.p50_ms for load in loads):.3g}",
        f"{statistics.median(load.server_ms for load in loads):.3g}",
        f"{statistics.median(load.database_ms for load in loads):.3g}",
    )


def cpu_ratio(loads: Sequence[Load], floor: Sequence[Load]) -> float:
    """Give the median, over the rounds, of one's CPU per request to another's."""
    return statistics.median(
        own.cpu_ms / other.cpu_ms for own, other in zip(loads, floor, strict=True)
    )


def rate_ratio(loads: Sequence[Load], others: Sequence[Load]) -> float:
    """Give the median, over the rounds, of one's requests per second to another's."""
    return statistics.median(
        own.per_second / other.per_second for own, other in zip(loads, others, strict=True)
    )


_GOALS = {"1 x 500": (1.3, 3), "10 x 500": (1.15, 6)}


def _findings(question: str, found: Loads) -> list[str]:
    most, least = _GOALS.get(question, (None, None))
    ours = found[OURS]
    return [
        f"{question} uncached: {cpu_ratio(ours, found[FLOOR]):.2f}x the floor's CPU"
        + (f" (goal: at most {most}x)" if most else ""),
        f"{question} uncached: {rate_ratio(ours, found[PEER]):.1f}x PostGraphile's requests per"
        " second"
        + (f" (goal: at least {least}x)" if least else "")
        + f", {rate_ratio(ours, found[PEER_BOUNDED]):.1f}x where its client knows a bound of time;"
        f" the floor: {rate_ratio(found[FLOOR], found[PEER]):.1f}x",
        f"{question} uncached: {rate_ratio(ours, found[ORDINARY]):.1f}x the requests per second of"
        " the ordinary strawberry path",
        f"{question} cached: {rate_ratio(found[CACHED], found[READY]):.2f}x the requests per second"
        " of ready bytes (goal: at least 0.9x)",
    ]


def _batching(found: dict[str, Loads]) -> list[str]:
    cost = {
        question: statistics.median(load.cpu_ms for load in each[OURS])
        for question, each in found.items()
    }
    instruments = {question: int(question.split(" ")[0]) for question in cost}
    words = [
        f"{cost[question] / instruments[question]:.2f} ms with {instruments[question]} in a request"
        for question in cost
    ]
    return [f"CPU of server and database per instrument, uncached: {', '.join(words)}"]
