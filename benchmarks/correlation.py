"""What does a correlation matrix of 200 x 1,000 over HTTP cost beside the arithmetic alone?"""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd

from benchmarks.bars import DAY, Bars, stage, store
from benchmarks.contenders import CACHED, OURS, contenders
from benchmarks.measure import in_turns, spread, timed
from benchmarks.report import Result

ROUNDS = 15
RETURNS = 1_000
CLOSES = Bars(symbols=[f"C{number:03}" for number in range(200)], count=RETURNS + 1, width=DAY)
FLOOR = "numpy.corrcoef of arrays in memory"
WRITTEN = "the same, and its JSON written by orjson"
PANDAS = "pandas DataFrame.corr of the same"
QUERY = """
query ($symbols: [String!]!, $last: Int!) {
  correlation(symbols: $symbols, last: $last) { symbols values }
}
"""
_TIMEOUT_S = 60

Floats = npt.NDArray[np.float64]


def run(*, rounds: int = ROUNDS) -> Result:
    """Ask over HTTP, uncached and with the closes in memory, in turns with the libraries."""
    returns = _returns()
    frame = pd.DataFrame(returns)
    body = json.dumps(
        {"query": QUERY, "variables": {"symbols": CLOSES.symbols, "last": RETURNS + 1}}
    ).encode()
    with TemporaryDirectory() as name:
        folder = Path(name)
        with stage(folder) as (server, cores):
            url = store(server, "correlation", folder, [CLOSES])
            with (
                contenders((OURS, CACHED), url, [], folder, cores.server) as running,
                httpx.Client(timeout=_TIMEOUT_S) as client,
            ):
                asking = {
                    who: _asking(client, contender.url, body) for who, contender in running.items()
                }
                for ask in asking.values():
                    _compare(ask(), returns)
                    ask()
                found = in_turns(
                    {
                        FLOOR: lambda: timed(lambda: np.corrcoef(returns.T)),
                        WRITTEN: lambda: timed(
                            lambda: orjson.dumps(np.corrcoef(returns.T).tolist())
                        ),
                        PANDAS: lambda: timed(lambda: frame.corr()),
                        **{who: _timing(ask) for who, ask in asking.items()},
                    },
                    rounds,
                )
    medians = {who: statistics.median(each) for who, each in found.items()}
    return Result(
        name="Correlation of many instruments",
        question=str(__doc__),
        data=f"{CLOSES}; {RETURNS:,} returns each, 40,000 numbers in the answer; native server,"
        f" data in memory; one connection, {cores}; {rounds} rounds in turns",
        columns=("who answers", "ms, median (min to max)", "to the floor"),
        rows=[
            (who, spread([1000 * each for each in seconds]), f"{medians[who] / medians[FLOOR]:.1f}")
            for who, seconds in found.items()
        ],
        findings=[
            f"closes in memory: {medians[CACHED] / medians[PANDAS]:.2f}x pandas,"
            f" {medians[CACHED] / medians[WRITTEN]:.1f}x the floor with its JSON",
            f"uncached: {medians[OURS] / medians[PANDAS]:.2f}x pandas; of it,"
            f" {1 - medians[CACHED] / medians[OURS]:.0%} is reading the closes",
        ],
    )


def _returns() -> Floats:
    """Give the returns as (times x instruments), from the rows that are imported."""
    closes = CLOSES.rows().pivot("symbol", index="time", values="close").sort("time")
    levels = closes.select(CLOSES.symbols).to_numpy().astype(np.float64)
    found: Floats = levels[1:] / levels[:-1] - 1
    return found


def _asking(client: httpx.Client, url: str, body: bytes) -> Callable[[], bytes]:
    def ask() -> bytes:
        answer = client.post(url, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text[:500]
        return answer.content

    return ask


def _timing(ask: Callable[[], bytes]) -> Callable[[], float]:
    return lambda: timed(ask)


def _compare(answer: bytes, returns: Floats) -> None:
    """See that the answer is numpy's."""
    matrix = orjson.loads(answer)["data"]["correlation"]["values"]
    np.testing.assert_allclose(np.array(matrix), np.corrcoef(returns.T), rtol=0, atol=1e-9)
