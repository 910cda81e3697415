"""What a series of values has earned and at what risk: the statistics of one thing over a range."""

from dataclasses import dataclass
from datetime import datetime
from math import nan

import numpy as np

from app.market.grid import moment_of
from app.query.statistics.relative import Relative, relative_of
from app.query.statistics.returns import Floats, Values, in_common, number, returns_of
from app.query.statistics.tails import (
    conditional_value_at_risk,
    deviation,
    kurtosis,
    skew,
    value_at_risk,
)
from app.query.statistics.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The deepest fall from a peak: `value` is 0 or negative, as a share of the peak.

    The dates are None where nothing fell, `recovery` also where the peak was not reached again.
    `length` counts the periods from the peak to the recovery, or to the end.
    """

    value: float
    peak: datetime | None
    trough: datetime | None
    recovery: datetime | None
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Of the returns between values from `since` to `until`; None where no number exists."""

    observations: int
    since: datetime
    until: datetime
    periods_per_year: float
    total_return: float | None
    annualized_return: float | None
    annualized_volatility: float | None
    downside_deviation: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: Drawdown | None
    mean: float | None
    best: float | None
    worst: float | None
    positive_share: float | None
    value_at_risk: float | None
    conditional_value_at_risk: float | None
    skew: float | None
    kurtosis: float | None
    benchmark_observations: int | None
    beta: float | None
    alpha: float | None
    correlation: float | None
    tracking_error: float | None
    information_ratio: float | None


def statistics_of(
    values: Values, terms: Terms, periods_per_year: float, benchmark: Values | None = None
) -> Statistics:
    """Measure at least one value; the first is what the first return counts from.

    Returns are between neighbouring values. Against a benchmark they are between neighbouring
    times that both have. What is not made of growth but of returns is of the terms' kind.
    """
    with np.errstate(all="ignore"):
        measured = returns_of(values.level, terms.returns)
        returns = measured[np.isfinite(measured)]
        count = len(returns)
        growth = _growth(values.level)
        yearly = growth ** np.float64(periods_per_year / max(len(values) - 1, 1)) - 1
        spread = deviation(returns)
        excess = returns - terms.risk_free_of(periods_per_year)
        downside = float(np.sqrt(np.mean(np.minimum(excess, 0) ** 2))) if count else nan
        mean = float(returns.mean()) if count else nan
        ahead = float(excess.mean()) if count else nan
        drawdown = max_drawdown(values) if count else None
        year = periods_per_year**0.5
        relative = _relative(values, benchmark, terms, periods_per_year)
        return Statistics(
            observations=count,
            since=moment_of(int(values.time[0])),
            until=moment_of(int(values.time[-1])),
            periods_per_year=periods_per_year,
            total_return=number(growth - 1),
            annualized_return=number(yearly),
            annualized_volatility=number(spread * year),
            downside_deviation=number(downside * year),
            sharpe=_ratio(ahead * year, spread),
            sortino=_ratio(ahead * year, downside) if count > 1 else None,
            calmar=None if drawdown is None else _ratio(float(yearly), -drawdown.value),
            max_drawdown=drawdown,
            mean=number(mean),
            best=float(returns.max()) if count else None,
            worst=float(returns.min()) if count else None,
            positive_share=float(np.mean(returns > 0)) if count else None,
            value_at_risk=number(value_at_risk(returns, terms.tail)),
            conditional_value_at_risk=number(conditional_value_at_risk(returns, terms.tail)),
            skew=number(skew(returns)),
            kurtosis=number(kurtosis(returns)),
            benchmark_observations=None if benchmark is None else relative.observations,
            beta=number(relative.beta),
            alpha=number(relative.alpha),
            correlation=number(relative.correlation),
            tracking_error=number(relative.tracking_error),
            information_ratio=number(relative.information_ratio),
        )


def max_drawdown(values: Values) -> Drawdown | None:
    """Find the deepest fall, the first of equally deep ones; None where a value is not above 0."""
    levels = values.level
    if not len(levels) or not (levels > 0).all():
        return None
    peaks = np.maximum.accumulate(levels)
    falls = levels / peaks - 1
    trough = int(np.argmin(falls))
    if falls[trough] >= 0:
        return Drawdown(value=0.0, peak=None, trough=None, recovery=None, length=0)
    # The last time that the peak stood: the fall begins there.
    peak = int(np.flatnonzero(levels[: trough + 1] == peaks[trough])[-1])
    back = np.flatnonzero(levels[trough:] >= peaks[trough])
    end = trough + int(back[0]) if len(back) else None
    return Drawdown(
        value=float(falls[trough]),
        peak=moment_of(int(values.time[peak])),
        trough=moment_of(int(values.time[trough])),
        recovery=None if end is None else moment_of(int(values.time[end])),
        length=(len(levels) - 1 if end is None else end) - peak,
    )


def _growth(levels: Floats) -> np.float64:
    """Give what 1 has become; NaN without a return, or where a value is not above zero."""
    if len(levels) < 2 or not (levels > 0).all():
        return np.float64(nan)
    return np.float64(levels[-1] / levels[0])


def _relative(
    values: Values, benchmark: Values | None, terms: Terms, periods_per_year: float
) -> Relative:
    if benchmark is None:
        return Relative(observations=0)
    mine, other = in_common(values, benchmark)
    return relative_of(
        returns_of(mine.level, terms.returns),
        returns_of(other.level, terms.returns),
        terms,
        periods_per_year,
    )


def _ratio(value: float, to: float) -> float | None:
    return number(value / to) if to > 0 else None
