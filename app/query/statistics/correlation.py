"""How alike the returns of many series are, pair by pair, over the times that both have."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from itertools import combinations

import numpy as np
import numpy.typing as npt

from app.query.statistics.ranks import ranks
from app.query.statistics.returns import Floats, Micros, Values, returns_of
from app.query.statistics.tails import NOISE
from app.query.statistics.terms import ReturnKind
from app.query.statistics.uneven import rows_of

Places = npt.NDArray[np.int64]

# With more groups of equal times than this, meeting them pair by pair takes longer.
_MAX_GROUPS = 16


class CorrelationMethod(StrEnum):
    """What is correlated: the returns, or their ranks."""

    PEARSON = "PEARSON"
    SPEARMAN = "SPEARMAN"


class CorrelationTimes(StrEnum):
    """Which times count: all that a pair has in common, or only those that all series have."""

    PAIRWISE = "PAIRWISE"
    COMMON = "COMMON"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correlations:
    """Square and symmetric, in the order of the series; `value` is NaN where there is no number."""

    value: Floats
    observations: Places


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Group:
    """Series with the same times: their places, and the levels as (times x series)."""

    places: Places
    time: Micros
    level: Floats


def correlations_of(
    series: Sequence[Values],
    kind: ReturnKind,
    method: CorrelationMethod,
    times: CorrelationTimes,
) -> Correlations:
    """Correlate each series with each, and with itself.

    A pair's returns are between neighbouring times that both have. Series with the same times go
    through one matrix product; a pair of groups of such series takes another.
    """
    count = len(series)
    value = np.full((count, count), np.nan)
    observations = np.zeros((count, count), dtype=np.int64)
    groups = _grouped(series)
    if times is CorrelationTimes.COMMON and len(groups) > 1:
        shared = reduce(np.intersect1d, [group.time for group in groups])
        groups = _grouped([_at(each, shared) for each in series])
    with np.errstate(all="ignore"):
        for group in groups:
            returns = returns_of(group.level, kind)
            square = np.ix_(group.places, group.places)
            value[square], observations[square] = _between(returns, returns, method)
        if len(groups) > _MAX_GROUPS:
            _fill_unevenly(value, observations, series, kind, method)
            groups = []
        for first, second in combinations(groups, 2):
            _, mine, others = np.intersect1d(
                first.time, second.time, assume_unique=True, return_indices=True
            )
            found, counted = _between(
                returns_of(first.level[mine], kind), returns_of(second.level[others], kind), method
            )
            block, mirrored = (
                np.ix_(first.places, second.places),
                np.ix_(second.places, first.places),
            )
            value[block], observations[block] = found, counted
            value[mirrored], observations[mirrored] = found.T, counted.T
    own = np.diagonal(value)
    np.fill_diagonal(value, np.where(np.isnan(own), np.nan, 1.0))
    return Correlations(value=value, observations=observations)


def _fill_unevenly(
    value: Floats,
    observations: Places,
    series: Sequence[Values],
    kind: ReturnKind,
    method: CorrelationMethod,
) -> None:
    for row in rows_of(series, kind, by_rank=method is CorrelationMethod.SPEARMAN):
        own = slice(row.start, row.end)
        value[row.first, own] = value[own, row.first] = row.value
        observations[row.first, own] = observations[own, row.first] = row.observations


def _grouped(series: Sequence[Values]) -> list[_Group]:
    alike: dict[bytes, list[int]] = {}
    for place, each in enumerate(series):
        alike.setdefault(each.time.tobytes(), []).append(place)
    return [
        _Group(
            places=np.array(places),
            time=series[places[0]].time,
            level=np.column_stack([series[place].level for place in places]),
        )
        for places in alike.values()
    ]


def _at(values: Values, times: Micros) -> Values:
    return values.at(np.searchsorted(values.time, times))


def _between(
    first: Floats, second: Floats, method: CorrelationMethod
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Correlate each column of one with each of another; rows are the same periods."""
    lacking = np.logical_or.outer(np.isnan(first).any(axis=0), np.isnan(second).any(axis=0))
    value, count = _whole(first, second, method), len(first)
    observations = np.full(value.shape, count, dtype=np.int64)
    # Few series lack a return: those whose price was zero or below.
    for mine, other in zip(*np.nonzero(lacking), strict=True):
        both = ~(np.isnan(first[:, mine]) | np.isnan(second[:, other]))
        one = _whole(first[both][:, [mine]], second[both][:, [other]], method)
        value[mine, other], observations[mine, other] = one[0, 0], both.sum()
    return value, observations


def _whole(first: Floats, second: Floats, method: CorrelationMethod) -> Floats:
    """Correlate columns of which none lacks a row."""
    if len(first) < 2:
        return np.full((first.shape[1], second.shape[1]), np.nan)
    same = first is second
    mine = _standardised(first, method)
    others = mine if same else _standardised(second, method)
    found: Floats = np.clip(mine.T @ others, -1, 1)
    return found


def _standardised(returns: Floats, method: CorrelationMethod) -> Floats:
    """Give columns of mean 0 and length 1; NaN where all returns are equal but for rounding."""
    high, low = returns.max(axis=0), returns.min(axis=0)
    spreads = high - low > NOISE * (1 + np.maximum(high, -low))
    measured = ranks(returns) if method is CorrelationMethod.SPEARMAN else returns
    off = measured - measured.mean(axis=0)
    found: Floats = off / np.where(spreads, np.sqrt((off * off).sum(axis=0)), np.nan)
    return found
