"""How much memory does an answer of 50,000 points take?"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bars import LONG, stage, store
from benchmarks.contenders import FLOOR, ORDINARY, OURS, contenders
from benchmarks.load import Driver
from benchmarks.questions import GROWTH
from benchmarks.report import Result

SECONDS = 10.0
CONNECTIONS = (1, 4)
LEAST_ANSWERS = 3  # over each connection
SMALL, LARGE = GROWTH[1], GROWTH[-1]
NAMES = (FLOOR, OURS, ORDINARY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """What a server held before large answers, the most it held while giving them, and how many."""

    before_mb: float
    peak_mb: float
    answers: int

    @property
    def more_mb(self) -> float:
        """What the answers took."""
        return self.peak_mb - self.before_mb


def run(*, seconds: float = SECONDS) -> Result:
    """Ask new servers for small answers, then for large ones over one and over four connections."""
    peaks: dict[tuple[str, int], Peak] = {}
    sizes_mb: dict[str, float] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        with stage(folder) as (server, cores):
            url = store(server, "memory", folder, [LONG])
            driver = Driver(core=cores.load, folder=folder, database_pid=server.pid)
            for who in NAMES:
                for connections in CONNECTIONS:
                    with contenders((who,), url, [SMALL, LARGE], folder, cores.server) as running:
                        contender = running[who]
                        contender.answers(SMALL)
                        contender.measure(driver, SMALL, seconds=2)
                        before_mb = contender.forget_peak()
                        contender.answers(LARGE)
                        each_s = contender.seconds[str(LARGE)]
                        load = contender.measure(
                            driver,
                            LARGE,
                            seconds=max(seconds, LEAST_ANSWERS * connections * each_s),
                            connections=connections,
                        )
                        peaks[who, connections] = Peak(
                            before_mb=before_mb,
                            peak_mb=contender.peak_rss_mb(),
                            answers=load.requests,
                        )
                        sizes_mb[who] = contender.sizes[str(LARGE)] / (1 << 20)
    return Result(
        name="Memory of a large answer",
        question=str(__doc__),
        data=f"{LONG}; native server; new servers for each row, warm from small answers, then"
        f" {seconds:.0f} s or more of answers of {LARGE.points:,} candles,"
        f" {sizes_mb[OURS]:.1f} MiB each",
        columns=("who answers", "connections", "before MiB", "peak MiB", "more, MiB", "answers"),
        rows=[
            (
                who,
                str(connections),
                f"{peak.before_mb:.0f}",
                f"{peak.peak_mb:.0f}",
                f"{peak.more_mb:.0f}",
                str(peak.answers),
            )
            for (who, connections), peak in peaks.items()
        ],
        findings=[
            f"at {connections} at a time Tickgraph takes {peaks[OURS, connections].more_mb:.0f} MiB"
            f" more than at rest: {_times(peaks, OURS, FLOOR, connections)}x the floor's,"
            f" {_times(peaks, OURS, ORDINARY, connections)}x the ordinary strawberry path's"
            for connections in CONNECTIONS
        ],
    )


def _times(peaks: dict[tuple[str, int], Peak], who: str, other: str, connections: int) -> str:
    return f"{peaks[who, connections].more_mb / peaks[other, connections].more_mb:.2f}"
