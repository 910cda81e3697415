"""Statistics over a window that moves with time, of many series at once.

The series are laid one behind the other: each begins with a time that has no return, so that
whatever window reaches over an edge has no number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from app.query.statistics.returns import Floats, Micros, Values, in_common, returns_of
from app.query.statistics.tails import NOISE
from app.query.statistics.terms import Terms
from app.query.statistics.windows import comoments, extremes, falls, moments, sums, windowed

_LAID = 200_000  # so many values at a time keep the memory small


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rolling:
    """One number for each time, of the returns up to it; NaN where there are too few."""

    periods_per_year: float
    time: Micros
    total_return: Floats
    volatility: Floats
    sharpe: Floats
    sortino: Floats
    max_drawdown: Floats
    beta: Floats
    alpha: Floats
    correlation: Floats

    @property
    def time_ms(self) -> Micros:
        """The times in milliseconds since 1970 UTC."""
        return self.time // 1000

    def part(self, start: int, end: int | None = None) -> "Rolling":
        """Give the times from the place `start` to before `end`."""
        return replace(self, **{name: getattr(self, name)[start:end] for name in _COLUMNS})


_COLUMNS = [each.name for each in fields(Rolling) if each.name != "periods_per_year"]


def rolling_of(
    values: Values,
    window: int,
    terms: Terms,
    periods_per_year: float,
    benchmark: Values | None = None,
) -> Rolling:
    """Measure the `window` returns up to each value.

    Against a benchmark: the `window` returns between the times that both have; NaN at others.
    """
    (found,) = rolling_of_many([values], window, terms, [periods_per_year], benchmark)
    return found


def rolling_of_many(
    series: Sequence[Values],
    window: int,
    terms: Terms,
    periods_per_year: Sequence[float],
    benchmark: Values | None = None,
) -> list[Rolling]:
    """Measure each of many series against one benchmark; see rolling_of."""
    found: list[Rolling] = []
    begin, laid = 0, 0
    for place, each in enumerate(series):
        laid += len(each)
        if laid >= _LAID or place == len(series) - 1:
            found += _measured(
                series[begin : place + 1],
                window,
                terms,
                periods_per_year[begin : place + 1],
                benchmark,
            )
            begin, laid = place + 1, 0
    return found


def _measured(
    series: Sequence[Values],
    window: int,
    terms: Terms,
    periods_per_year: Sequence[float],
    benchmark: Values | None,
) -> list[Rolling]:
    edges = np.cumsum([0, *(len(each) for each in series)])
    with np.errstate(all="ignore"):
        returns = _laid([each.level for each in series], terms)
        level = np.concatenate([each.level for each in series])
        level = np.where(level > 0, level, np.nan)
        sizes = np.diff(edges)
        year = np.repeat(np.sqrt(periods_per_year), sizes)
        free = np.repeat([terms.risk_free_of(each) for each in periods_per_year], sizes)
        mean, power = _led(windowed(np.stack((returns, returns * 0)), window, moments), returns)
        spread = np.where(_spreads(returns, window), np.sqrt(power / (window - 1)), power * 0)
        (below,) = _led(windowed(np.minimum(returns - free, 0)[None] ** 2, window, sums), returns)
        _, _, fall = _led(windowed(np.stack((level, level, level * 0)), window + 1, falls), returns)
        (before,) = _led(level[None, :-window], returns)
        ahead = (mean - free) * year
        beta, alpha, correlation = _against(series, benchmark, window, terms, periods_per_year)
        whole = Rolling(
            periods_per_year=0,
            time=np.concatenate([each.time for each in series]),
            total_return=np.where(np.isnan(mean), np.nan, level / before - 1),
            volatility=spread * year,
            sharpe=ahead / np.where(spread > 0, spread, np.nan),
            sortino=ahead / np.sqrt(np.where(below > 0, below / window, np.nan)),
            max_drawdown=np.where(np.isnan(mean), np.nan, fall),
            beta=beta,
            alpha=alpha,
            correlation=correlation,
        )
    return [
        replace(whole.part(start, end), periods_per_year=periods)
        for start, end, periods in zip(edges[:-1], edges[1:], periods_per_year, strict=True)
    ]


def _laid(levels: Sequence[Floats], terms: Terms) -> Floats:
    """Lay returns one series behind the other, each after a NaN: as many as levels."""
    alone = np.full(1, np.nan)
    return np.concatenate(
        [part for level in levels for part in (alone, returns_of(level, terms.returns))]
    )


def _led(found: Floats, like: Floats) -> Floats:
    """Put NaN before the first, so that each stands at the last of what it is of."""
    rows, count = found.shape
    return np.concatenate((np.full((rows, len(like) - count), np.nan), found), axis=1)


def _spreads(returns: Floats, window: int) -> Floats:
    """Tell which windows hold returns that differ by more than rounding."""
    high, low = _led(windowed(np.stack((returns, returns)), window, extremes), returns)
    found: Floats = high - low > NOISE * (1 + np.maximum(high, -low))
    return found


def _against(
    series: Sequence[Values],
    benchmark: Values | None,
    window: int,
    terms: Terms,
    periods_per_year: Sequence[float],
) -> Floats:
    """Give beta, alpha and correlation at each of the series' times, one behind the other."""
    found = np.full((3, sum(len(each) for each in series)), np.nan)
    if benchmark is None:
        return found
    pairs = [in_common(each, benchmark) for each in series]
    starts = np.cumsum([0, *(len(each) for each in series)])
    places = np.concatenate(
        [
            start + np.searchsorted(each.time, mine.time)
            for start, each, (mine, _) in zip(starts[:-1], series, pairs, strict=True)
            if len(mine)
        ]
        or [np.empty(0, dtype=np.int64)]
    )
    pairs_of = [(mine, other) for mine, other in pairs if len(mine)]
    if not pairs_of:
        return found
    returns = _laid([mine.level for mine, _ in pairs_of], terms)
    others = _laid([other.level for _, other in pairs_of], terms)
    nothing = returns * others * 0
    mean, other_mean, power, other_power, product = _led(
        windowed(np.stack((returns, others, nothing, nothing, nothing)), window, comoments), returns
    )
    alive = np.where(_spreads(returns, window), power, np.nan)
    other_alive = np.where(_spreads(others, window), other_power, np.nan)
    slope = product / other_alive
    sizes = [len(mine) for mine, _ in pairs]
    free = np.repeat([terms.risk_free_of(each) for each in periods_per_year], sizes)
    excess = mean - slope * other_mean - free * (1 - slope)
    found[0, places] = slope
    found[1, places] = terms.compounded(excess, np.repeat(periods_per_year, sizes))
    found[2, places] = np.clip(product / np.sqrt(alive) / np.sqrt(other_alive), -1, 1)
    return found
