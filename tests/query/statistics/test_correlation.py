"""Matrices equal numpy, pandas and scipy, whichever times the series have."""

import math
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import scipy.stats  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from app.query.statistics import correlation as module
from app.query.statistics.correlation import (
    CorrelationMethod,
    Correlations,
    CorrelationTimes,
    correlations_of,
)
from app.query.statistics.ranks import ranks
from app.query.statistics.returns import Floats, Values
from app.query.statistics.terms import ReturnKind
from tests.query.statistics.returns import (
    sample_closes,
    sample_symbols,
    sample_values,
    values_of,
    walks,
)

PEARSON, SPEARMAN = CorrelationMethod
PAIRWISE, COMMON = CorrelationTimes
SIMPLE = ReturnKind.SIMPLE


def correlate(
    series: list[Values],
    method: CorrelationMethod = PEARSON,
    times: CorrelationTimes = PAIRWISE,
    kind: ReturnKind = SIMPLE,
) -> Correlations:
    return correlations_of(series, kind, method, times)


def by_pandas(
    series: list[Values], method: Literal["pearson", "spearman"], *, log: bool = False
) -> tuple[Floats, Floats]:
    """Join each pair by itself."""
    frames = [pd.Series(each.level, index=each.time) for each in series]
    value, counts = np.full((2, len(series), len(series)), np.nan)
    for first, mine in enumerate(frames):
        for second, other in enumerate(frames):
            both = pd.concat([mine, other], axis=1, join="inner", keys=["mine", "other"])
            returns = both.map(math.log).diff() if log else both.pct_change()
            returns = returns.iloc[1:]
            counts[first, second] = len(returns)
            if len(returns) > 1:
                value[first, second] = returns["mine"].corr(returns["other"], method=method)
    return value, counts


def equal(found: Correlations, value: Floats, counts: Floats) -> None:
    np.testing.assert_allclose(found.value, value, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.observations, counts)


@pytest.fixture(params=["by groups", "one with many"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take either of the ways for series of unlike times."""
    monkeypatch.setattr(module, "_MAX_GROUPS", 1_000 if request.param == "by groups" else 1)


def test_series_of_the_same_times_equal_numpy_and_scipy() -> None:
    levels = walks(1, 300, 40)
    returns = levels[1:] / levels[:-1] - 1
    found = correlate([values_of(column) for column in levels.T])
    equal(found, np.asarray(np.corrcoef(returns.T)), np.full((40, 40), 299))
    ranked = correlate([values_of(column) for column in levels.T], SPEARMAN)
    np.testing.assert_allclose(ranked.value, scipy.stats.spearmanr(returns).statistic, atol=1e-9)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("method", CorrelationMethod)
@pytest.mark.usefixtures("way")
def test_series_with_holes_equal_pandas_pair_by_pair(method: CorrelationMethod, log: bool) -> None:
    rng = np.random.default_rng(2)
    series = []
    for column in walks(3, 120, 9).T:
        days = np.sort(rng.choice(120, rng.integers(60, 121), replace=False))
        series.append(values_of(column[days], days))
    series.append(values_of(series[0].level[:1], np.array([3])))
    found = correlate(series, method, kind=ReturnKind.LOG if log else SIMPLE)
    equal(found, *by_pandas(series, "pearson" if method is PEARSON else "spearman", log=log))


@pytest.mark.usefixtures("way")
def test_sample_stocks_equal_pandas() -> None:
    series = [sample_values(symbol) for symbol in sample_symbols()]
    found = correlate(series)
    equal(found, *by_pandas(series, "pearson"))
    assert found.observations.min() < found.observations.max()


def test_common_times_equal_pandas_on_whole_rows() -> None:
    closes = sample_closes()
    found = correlate([sample_values(symbol) for symbol in sample_symbols()], times=COMMON)
    returns = closes.dropna().pct_change().iloc[1:]
    equal(found, returns.corr().to_numpy(), np.full((5, 5), len(returns)))
    assert np.linalg.eigvalsh(found.value).min() > -1e-12


def test_no_common_times_have_no_numbers() -> None:
    apart = [values_of(np.arange(1.0, 9.0), np.arange(8) + start) for start in (0, 100)]
    for times in CorrelationTimes:
        found = correlate(apart, times=times)
        assert np.isnan(found.value[0, 1])
        assert found.observations[0, 1] == 0


@pytest.mark.usefixtures("way")
def test_still_series_and_prices_below_zero() -> None:
    levels = walks(4, 50, 4)
    levels[:, 1] = 7.0
    levels[20, 2] = -1.0
    days = np.arange(1, 50)
    series = [*(values_of(column) for column in levels.T), values_of(levels[1:, 0], days)]
    found = correlate(series)
    assert np.isnan(found.value[1]).all()
    assert np.isnan(found.value[:, 1]).all()
    assert found.observations[2].tolist() == [47, 47, 47, 47, 46]
    returns = pd.DataFrame(levels).pct_change()
    returns.loc[[20, 21], 2] = np.nan
    assert found.value[0, 2] == pytest.approx(returns[0].corr(returns[2]), abs=1e-12)
    assert found.value[4, 2] == pytest.approx(returns[0][2:].corr(returns[2][2:]), abs=1e-12)
    assert found.value[0, 4] == pytest.approx(1, abs=1e-12)
    assert found.value[2, 2] == 1


@given(st.integers(2, 8), st.integers(3, 40), st.integers(0, 10**6), st.sampled_from([1, 16]))
def test_matrices_are_symmetric_and_bounded(
    series: int, count: int, seed: int, groups: int
) -> None:
    rng = np.random.default_rng(seed)
    made = []
    for column in walks(seed, count, series).T:
        days = np.flatnonzero(rng.random(count) < 0.8)
        made.append(values_of(column[days], days))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MAX_GROUPS", groups)
        for method in CorrelationMethod:
            found = correlate(made, method)
            np.testing.assert_array_equal(found.value, found.value.T)
            np.testing.assert_array_equal(found.observations, found.observations.T)
            present = found.value[np.isfinite(found.value)]
            assert (np.abs(present) <= 1).all()
            own = np.diagonal(found.value)
            assert (own[np.isfinite(own)] == 1).all()


@given(st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1, max_size=20))
def test_ranks_equal_scipy(rows: list[list[int]]) -> None:
    columns = np.array(rows, dtype=float)
    np.testing.assert_array_equal(ranks(columns), scipy.stats.rankdata(columns, axis=0))
