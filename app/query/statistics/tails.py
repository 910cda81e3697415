"""The ends of a distribution of returns: value at risk, what lies beyond it, skew and kurtosis.

All take returns without NaN and give NaN where the number does not exist.
"""

from math import nan

import numpy as np

from app.query.statistics.returns import Floats

# Returns are ratios less one: what differs by less is their rounding.
NOISE = 8 * float(np.finfo(np.float64).eps)


def value_at_risk(returns: Floats, tail: float) -> float:
    """Give the return that a share `tail` of the returns is not above, linearly interpolated.

    A return, so negative where there is a loss.
    """
    return float(np.percentile(returns, 100 * tail)) if len(returns) else nan


def conditional_value_at_risk(returns: Floats, tail: float) -> float:
    """Give the mean of the worst returns: int((n - 1) x tail) + 1 of them, as empyrical counts."""
    if not len(returns):
        return nan
    last = int((len(returns) - 1) * tail)
    return float(np.mean(np.partition(returns, last)[: last + 1]))


def skew(returns: Floats) -> float:
    """Give the third standardised moment of the population (scipy's default)."""
    return _moment(returns, 3)


def kurtosis(returns: Floats) -> float:
    """Give the fourth standardised moment of the population, less 3 (scipy's default)."""
    return _moment(returns, 4) - 3


def _moment(returns: Floats, order: int) -> float:
    if len(returns) < 2 or not _spreads(returns):
        return nan
    off = returns - returns.mean()
    # Scaled first: the powers of tiny returns would vanish.
    off = off / np.abs(off).max()
    squares = off * off
    high = np.mean(squares * off) if order == 3 else np.mean(squares * squares)
    return float(high / np.mean(squares) ** (order / 2))


def deviation(returns: Floats) -> float:
    """Give the sample's standard deviation; 0 where all are equal but for rounding."""
    if len(returns) < 2:
        return nan
    return float(np.std(returns, ddof=1)) if _spreads(returns) else 0.0


def _spreads(returns: Floats) -> bool:
    low, high = float(returns.min()), float(returns.max())
    return high - low > NOISE * (1 + max(high, -low))
