"""Returns against a benchmark's over the same periods."""

from dataclasses import dataclass
from math import nan

import numpy as np

from app.query.statistics.returns import Floats
from app.query.statistics.tails import deviation
from app.query.statistics.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """Annualised where a name says so in docs/statistics.md; NaN where there is no number."""

    observations: int
    beta: float = nan
    alpha: float = nan
    correlation: float = nan
    tracking_error: float = nan
    information_ratio: float = nan


def relative_of(
    returns: Floats, benchmark: Floats, terms: Terms, periods_per_year: float
) -> Relative:
    """Compare returns of the same periods, pair by pair; pairs that lack one are left out."""
    present = np.isfinite(returns) & np.isfinite(benchmark)
    mine, other = returns[present], benchmark[present]
    count = len(mine)
    if count < 2:
        return Relative(observations=count)
    active = mine - other
    tracking = deviation(active)
    mine_off, other_off = mine - mine.mean(), other - other.mean()
    covariance = float(mine_off @ other_off)
    mine_power, other_power = float(mine_off @ mine_off), float(other_off @ other_off)
    alive, benchmark_alive = deviation(mine) > 0, deviation(other) > 0
    beta = covariance / other_power if benchmark_alive and other_power > 0 else nan
    free = terms.risk_free_of(periods_per_year)
    excess = float((mine - free).mean()) - beta * float((other - free).mean())
    both = alive and benchmark_alive and mine_power > 0 and other_power > 0
    return Relative(
        observations=count,
        beta=beta,
        alpha=float(terms.compounded(np.array(excess), periods_per_year)),
        correlation=_bounded(covariance / np.sqrt(mine_power) / np.sqrt(other_power))
        if both
        else nan,
        tracking_error=tracking * periods_per_year**0.5,
        information_ratio=float(active.mean()) / tracking * periods_per_year**0.5
        if tracking > 0
        else nan,
    )


def _bounded(correlation: float) -> float:
    """Take off what rounding has put on."""
    return max(-1.0, min(1.0, float(correlation)))
