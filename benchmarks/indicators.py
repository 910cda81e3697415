"""What do five indicators on 50 x 2,000 candles cost beside TA-Lib on arrays in memory?"""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import talib

from benchmarks.bars import MINUTE, Bars, stage, store
from benchmarks.contenders import CACHED, OURS, Contender, contenders
from benchmarks.load import Driver, Load
from benchmarks.measure import spread
from benchmarks.pinning import pinned
from benchmarks.questions import Question, body
from benchmarks.report import Result

ROUNDS = 9
SECONDS = 3.0
LAST = 2_000
BARS = Bars(symbols=[f"I{number:02}" for number in range(50)], count=4_000, width=MINUTE)
FLOOR = "TA-Lib alone, arrays in memory"
WRITTEN = "the same, and its JSON written by orjson"
PLAIN = "the same candles without indicators, uncached"
COLUMNS = "time close"
INDICATORS = """
    sma(period: 20) ema(period: 50) rsi(period: 14)
    macd { macd signal histogram } bbands(period: 20) { upper middle lower }
"""
QUERY = """
query ($symbols: [String!]!, $last: Int!) {
  instruments(symbols: $symbols) { series(interval: "1m", last: $last) { FIELDS } }
}
"""

Floats = npt.NDArray[np.float64]
Arrays = Mapping[str, tuple[npt.NDArray[np.int64], Floats]]  # times in ms and closes by symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts(Question):
    """A question for series with some fields."""

    fields: str

    def __str__(self) -> str:
        """Name it."""
        return "with indicators" if INDICATORS in self.fields else "plain"

    def ours(self) -> list[bytes]:
        """Write the bodies."""
        query = QUERY.replace("FIELDS", self.fields)
        return [body(query, symbols=group, last=self.last) for group in self.groups]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One measurement: time and CPU time of one answer in milliseconds."""

    took_ms: float
    cpu_ms: float
    database_ms: float = 0.0


def run(*, rounds: int = ROUNDS, seconds: float = SECONDS) -> Result:
    """Ask over HTTP, one request after the other, in turns with TA-Lib."""
    charts, plain = (
        Charts(groups=[BARS.symbols], last=LAST, fields=fields)
        for fields in (COLUMNS + INDICATORS, COLUMNS)
    )
    arrays = _arrays()
    found: dict[str, list[Turn]] = {each: [] for each in (FLOOR, WRITTEN, OURS, CACHED, PLAIN)}
    with TemporaryDirectory() as name:
        folder = Path(name)
        with stage(folder) as (server, cores):
            url = store(server, "indicators", folder, [BARS])
            driver = Driver(core=cores.load, folder=folder, database_pid=server.pid)
            with contenders((OURS, CACHED), url, [], folder, cores.server) as running:
                for contender in running.values():
                    _compare(contender.answers(charts)[0], arrays)
                running[OURS].answers(plain)
                for _ in range(rounds):
                    with pinned(cores.server):
                        found[FLOOR].append(_timed(arrays, written=False))
                        found[WRITTEN].append(_timed(arrays, written=True))
                    for who in (OURS, CACHED):
                        found[who].append(_turn(running[who], driver, charts, seconds))
                    found[PLAIN].append(_turn(running[OURS], driver, plain, seconds))
    floor = statistics.median(each.cpu_ms for each in found[WRITTEN])
    return Result(
        name="Indicators on many instruments",
        question=str(__doc__),
        data=f"{BARS}; the newest {LAST:,} of each, sma, ema, rsi, macd and bbands: 11 columns,"
        f" {50 * LAST * 11:,} numbers an answer; native server, data in memory; one connection,"
        f" {cores}; {rounds} rounds in turns, medians",
        columns=(
            "who answers",
            "ms (min to max)",
            "CPU ms of the process",
            "CPU ms of the database",
            "CPU of both, to TA-Lib and its JSON",
        ),
        rows=[_row(who, turns, floor) for who, turns in found.items()],
        findings=[
            f"uncached: {_cpu(found[OURS]) / floor:.2f}x the CPU of TA-Lib on arrays in memory with"
            " its JSON; the server's own part"
            f" {statistics.median(each.cpu_ms for each in found[OURS]) / floor:.2f}x",
            f"cached: {_cpu(found[CACHED]) / floor:.3f}x",
        ],
    )


def _arrays() -> Arrays:
    frame = BARS.rows().select(
        "symbol", pl.col("time").dt.epoch("ms"), pl.col("close").cast(pl.Float64)
    )
    return {
        str(symbol): (own["time"].to_numpy().copy(), own["close"].to_numpy().copy())
        for (symbol,), own in frame.group_by("symbol", maintain_order=True)
    }


def _computed(times: npt.NDArray[np.int64], close: Floats) -> dict[str, Any]:
    macd, signal, histogram = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    columns = {
        "time": times,
        "close": close,
        "sma": talib.SMA(close, 20),
        "ema": talib.EMA(close, 50),
        "rsi": talib.RSI(close, 14),
        "macd": {"macd": macd, "signal": signal, "histogram": histogram},
        "bbands": {"upper": upper, "middle": middle, "lower": lower},
    }
    return {name: _newest(column) for name, column in columns.items()}


def _newest(column: Any) -> Any:
    if isinstance(column, dict):
        return {name: _newest(each) for name, each in column.items()}
    return column[-LAST:]


def _answer(arrays: Arrays) -> list[dict[str, Any]]:
    return [{"series": _computed(*arrays[symbol])} for symbol in BARS.symbols]


def _timed(arrays: Arrays, *, written: bool) -> Turn:
    began, used = time.perf_counter(), time.process_time()
    answer = _answer(arrays)
    if written:
        orjson.dumps({"data": {"instruments": answer}}, option=orjson.OPT_SERIALIZE_NUMPY)
    cpu_s, took_s = time.process_time() - used, time.perf_counter() - began
    return Turn(took_ms=took_s * 1000, cpu_ms=cpu_s * 1000)


def _turn(contender: Contender, driver: Driver, question: Question, seconds: float) -> Turn:
    # One connection: equal requests at one time would be answered by one read.
    load: Load = contender.measure(driver, question, seconds=seconds, connections=1)
    return Turn(took_ms=1000 / load.per_second, cpu_ms=load.server_ms, database_ms=load.database_ms)


def _cpu(turns: Sequence[Turn]) -> float:
    return statistics.median(each.cpu_ms + each.database_ms for each in turns)


def _row(who: str, turns: Sequence[Turn], floor: float) -> tuple[str, ...]:
    return (
        who,
        spread([each.took_ms for each in turns]),
        f"{statistics.median(each.cpu_ms for each in turns):.3g}",
        f"{statistics.median(each.database_ms for each in turns):.3g}",
        f"{_cpu(turns) / floor:.2f}",
    )


def _compare(answer: bytes, arrays: Arrays) -> None:
    """See that the answer is what TA-Lib gives on all of the history."""
    ours = orjson.loads(answer)["data"]["instruments"]
    for own, direct in zip(ours, _answer(arrays), strict=True):
        pairs = list(zip(_flat(own["series"]), _flat(direct["series"]), strict=True))
        assert len(pairs) == 11
        for one, other in pairs:
            np.testing.assert_allclose(np.array(one, dtype=np.float64), other, rtol=1e-9, atol=1e-9)


def _flat(columns: Mapping[str, Any]) -> list[Any]:
    return [
        each
        for column in columns.values()
        for each in (_flat(column) if isinstance(column, dict) else [column])
    ]
