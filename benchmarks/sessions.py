"""Do candles counted from a session's open, or in a zone's calendar, cost more than plain ones?"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from app.market.schedule import exchange_of, schedule_of
from benchmarks.bars import END, MINUTE, Bars, stage, store
from benchmarks.contenders import OURS, contenders
from benchmarks.load import Driver
from benchmarks.questions import Question, body, question
from benchmarks.reads import Loads, cpu_ratio, in_turns, row
from benchmarks.report import Result

ROUNDS = 5
SECONDS = 3.0
LAST, DAYS = 100, 15
MIC = "XNYS"
QUERY = """
query ($symbols: [String!]!, $last: Int!) {
  instruments(symbols: $symbols) {
    symbol
    candles(interval: "INTERVAL"MORE, last: $last) { time open high low close volume }
  }
}
"""
REGULAR, BERLIN = ", session: REGULAR", ', timezone: "Europe/Berlin"'
# What is compared with what: both are made of equally many rows of the same roll-ups.
PAIRS = (
    (("65m", ""), ("65m", REGULAR)),
    (("30m", ""), ("30m", REGULAR)),
    (("1h", ""), ("1h", REGULAR)),
    (("4h", ""), ("4h", BERLIN)),
    (("1d", ""), ("1d", REGULAR)),
    (("1d", ""), ("1d", BERLIN)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBars(Bars):
    """One-minute bars of the regular sessions before END."""

    exchange: str = MIC

    def rows(self) -> pl.DataFrame:
        """Write them as Bars does, at the minutes of the sessions."""
        schedule = schedule_of(exchange_of(MIC), END.year - 2, END.year)
        minutes = np.concatenate(
            [
                np.arange(opens, closes, MINUTE // timedelta(microseconds=1))
                for opens, closes in zip(schedule.opens, schedule.closes, strict=True)
            ]
        )
        end = np.datetime64(END.replace(tzinfo=None), "us").astype(np.int64)
        own = minutes[minutes < end][-self.count :]
        times = pl.Series(np.repeat(own, len(self.symbols))).cast(pl.Datetime("us", "UTC"))
        return super(SessionBars, self).rows().with_columns(time=times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Question):
    """A question for candles of one kind."""

    interval: str
    more: str

    def __str__(self) -> str:
        """Name the kind."""
        return f"{self.interval}{self.more}"

    def ours(self) -> list[bytes]:
        """Write the bodies."""
        query = QUERY.replace("INTERVAL", self.interval).replace("MORE", self.more)
        return [body(query, symbols=group, last=self.last) for group in self.groups]


BARS = SessionBars(symbols=[f"S{number:02}" for number in range(100)], count=8_000, width=MINUTE)


def run(*, rounds: int = ROUNDS, seconds: float = SECONDS) -> Result:
    """Ask for each kind in turn."""
    plain = question(BARS, 5, LAST)
    kinds = {
        each: Kind(
            groups=plain.groups,
            last=DAYS if each[0] == "1d" else LAST,
            interval=each[0],
            more=each[1],
        )
        for pair in PAIRS
        for each in pair
    }
    found: dict[str, Loads] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        with stage(folder) as (server, cores):
            url = store(server, "sessions", folder, [BARS])
            driver = Driver(core=cores.load, folder=folder, database_pid=server.pid)
            with contenders((OURS,), url, [], folder, cores.server) as running:
                for kind in kinds.values():
                    running[OURS].answers(kind)
                for each in kinds.values():
                    found[str(each)] = in_turns(
                        running, driver, each, rounds=rounds, seconds=seconds
                    )
    return Result(
        name="Candles of sessions and zones",
        question=str(__doc__),
        data=f"{BARS}, of regular sessions of {MIC}; the newest {LAST} candles ({DAYS} of days)"
        f" of 5 instruments a request; native server (roll-ups are plain views), data in memory;"
        f" {cores}; {rounds} rounds, medians",
        columns=(
            "candles",
            "who answers",
            "requests/s (min to max)",
            "p50 ms",
            "server CPU ms/request",
            "database CPU ms/request",
        ),
        rows=[row(kind, OURS, each[OURS]) for kind, each in found.items()],
        findings=[
            f"{kinds[own]} against {kinds[other]}:"
            f" {cpu_ratio(found[str(kinds[own])][OURS], found[str(kinds[other])][OURS]):.2f}x"
            " the CPU"
            for other, own in PAIRS
        ],
    )
