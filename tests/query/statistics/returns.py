"""Values to measure: made up, and of the sample package."""

import gzip
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.query.statistics.returns import Floats, Values

Places = npt.NDArray[np.int64]

DAY_US = 86_400_000_000
START_US = 1_577_836_800_000_000  # 2020-01-01


def values_of(levels: Floats, places: Places | None = None) -> Values:
    """Give levels a day each, or the days given."""
    days = np.arange(len(levels)) if places is None else places
    return Values(time=START_US + days.astype(np.int64) * DAY_US, level=np.asarray(levels, float))


def walk(seed: int, count: int, *, spread: float = 0.012, drift: float = 0.0004) -> Floats:
    """Give levels that wander; returns have fat tails."""
    rng = np.random.default_rng(seed)
    steps = np.clip(rng.standard_t(4, count - 1) * spread + drift, -0.5, 1)
    return np.asarray(100 * np.cumprod(np.concatenate(([1.0], 1 + steps))), dtype=np.float64)


def walks(seed: int, count: int, series: int) -> Floats:
    """Give (times x series) levels that share a factor."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 0.01, (count, 1)) * rng.uniform(-1, 2, series)
    steps = shared + rng.normal(0, 0.012, (count, series))
    return np.asarray(100 * np.cumprod(1 + steps, axis=0), dtype=np.float64)


@cache
def sample_closes() -> pd.DataFrame:
    """Give the sample package's adjusted closes: AAPL, FB, GOOG, IBM, MSFT by date."""
    with gzip.open(str(files("bokeh_sampledata") / "_data" / "stocks.csv.gz")) as file:
        rows = pd.read_csv(file, parse_dates=["Date"])
    return rows.pivot(index="Date", columns="Ticker", values="Adj Close")


def sample_values(symbol: str) -> Values:
    """Give one stock's adjusted closes."""
    closes = sample_closes()[symbol].dropna()
    time = closes.index.to_numpy().astype("datetime64[us]").astype(np.int64)
    return Values(time=time, level=closes.to_numpy(dtype=float))


def sample_symbols() -> list[str]:
    """Name the sample's stocks."""
    return [str(symbol) for symbol in sample_closes().columns]
