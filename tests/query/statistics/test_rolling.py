"""Rolling statistics equal pandas and empyrical, and each window measured by itself."""

from typing import Any

import empyrical  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.statistics import rolling as module
from app.query.statistics.performance import statistics_of
from app.query.statistics.returns import Floats, Values
from app.query.statistics.rolling import Rolling, rolling_of, rolling_of_many
from app.query.statistics.terms import ReturnKind, Terms
from tests.query.statistics.returns import sample_values, values_of, walk

COLUMNS = {
    "total_return": "total_return",
    "volatility": "annualized_volatility",
    "sharpe": "sharpe",
    "sortino": "sortino",
    "beta": "beta",
    "alpha": "alpha",
    "correlation": "correlation",
}


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("window", [2, 20, 63, 252])
def test_columns_equal_pandas_and_empyrical(window: int) -> None:
    mine, other = values_of(walk(5, 700)), values_of(walk(6, 700))
    found = rolling_of(mine, window, Terms(risk_free=0.02), 252, other)
    returns = pd.Series(mine.level).pct_change()
    others = pd.Series(other.level).pct_change()
    free = 1.02 ** (1 / 252) - 1
    close(found.volatility, returns.rolling(window).std().to_numpy() * 252**0.5)
    close(found.total_return, pd.Series(mine.level).pct_change(window).to_numpy())
    for column, function, named in [
        (found.max_drawdown, empyrical.roll_max_drawdown, {}),
        (found.sharpe, empyrical.roll_sharpe_ratio, {"risk_free": free}),
        (found.sortino, empyrical.roll_sortino_ratio, {"required_return": free}),
    ]:
        assert np.isnan(column[:window]).all()
        expected = function(returns[1:].to_numpy(), window, **named)
        # With two returns nothing may lie below the risk-free one: no ratio there.
        close(column[window:], np.where(np.isfinite(expected), expected, np.nan))
    for column, function, named in [
        (found.beta, empyrical.roll_beta, {}),
        (found.alpha, empyrical.roll_alpha, {"risk_free": free}),
    ]:
        assert np.isnan(column[:window]).all()
        if window > 2:
            rolled = function(returns[1:].to_numpy(), others[1:].to_numpy(), window, **named)
            close(column[window:], rolled)
    if window > 2:
        close(found.correlation, returns.rolling(window).corr(others).to_numpy())


@pytest.mark.parametrize("kind", ReturnKind)
def test_each_window_equals_its_own_statistics(kind: ReturnKind) -> None:
    mine, other = sample_values("FB"), sample_values("GOOG")
    terms, window = Terms(returns=kind, risk_free=0.01), 30
    found = rolling_of(mine, window, terms, 252, other)
    for end in range(window, len(mine), 17):
        span = np.arange(end - window, end + 1)
        expected = statistics_of(mine.at(span), terms, 252, other)
        for column, name in COLUMNS.items():
            assert getattr(found, column)[end] == pytest.approx(getattr(expected, name), rel=1e-9)
        assert expected.max_drawdown is not None
        assert found.max_drawdown[end] == pytest.approx(expected.max_drawdown.value, rel=1e-9)


def test_an_outlier_leaves_nothing_behind() -> None:
    rng = np.random.default_rng(7)
    returns = rng.normal(0, 1e-7, 400)
    returns[100] = 1e6
    levels = np.cumprod(1 + np.concatenate(([0.0], returns)))
    found = rolling_of(values_of(levels), 20, Terms(), 252)
    ratios = levels[1:] / levels[:-1] - 1
    expected = [np.std(ratios[end - 20 : end], ddof=1) for end in range(130, 400)]
    np.testing.assert_allclose(found.volatility[130:400], np.array(expected) * 252**0.5, rtol=1e-9)


def test_still_windows_have_no_ratios() -> None:
    levels = np.concatenate((walk(8, 40), np.full(40, 100.0), walk(9, 40)))
    found = rolling_of(values_of(levels), 10, Terms(), 252, values_of(levels))
    still = slice(52, 79)
    assert (found.volatility[still] == 0).all()
    for column in (found.sharpe, found.sortino, found.beta, found.correlation):
        assert np.isnan(column[still]).all()
        assert np.isfinite(column[95:]).all()


def test_a_benchmark_counts_where_both_are() -> None:
    levels = walk(10, 60)
    days = np.delete(np.arange(60), [20, 21, 35])
    mine, other = values_of(levels), values_of(walk(11, 60)[days], days)
    found = rolling_of(mine, 8, Terms(), 252, other)
    assert np.isfinite(found.volatility[8:]).all()
    lacking = np.flatnonzero(np.isnan(found.beta))
    assert lacking.tolist() == [*range(8), 20, 21, 35]
    both = pd.DataFrame({"mine": levels[days], "other": other.level}).pct_change()
    expected = both["mine"].rolling(8).corr(both["other"]).to_numpy()
    close(found.correlation[days], expected)


def test_prices_of_zero_and_below_have_no_windows() -> None:
    levels = walk(12, 60)
    levels[30] = -1.0
    found = rolling_of(values_of(levels), 5, Terms(), 252)
    for column in (found.total_return, found.volatility, found.max_drawdown):
        assert np.flatnonzero(np.isnan(column[5:])).tolist() == list(range(25, 31))


@given(st.integers(2, 40), st.integers(1, 90), st.integers(0, 99))
def test_any_length_of_window_and_range(window: int, count: int, seed: int) -> None:
    values = values_of(walk(seed, count)) if count > 1 else values_of(np.array([1.0]))
    found = rolling_of(values, window, Terms(), 252, values)
    for name in COLUMNS:
        assert getattr(found, name).shape == (count,)
        assert np.isnan(getattr(found, name)[:window]).all()
    expected = pd.Series(values.level).pct_change().rolling(window).std().to_numpy() * 252**0.5
    close(found.volatility, expected)


def test_later_times_do_not_depend_on_earlier_ones() -> None:
    def columns(rolling: Rolling) -> list[Floats]:
        return [getattr(rolling, name) for name in COLUMNS]

    mine, other = values_of(walk(13, 200)), values_of(walk(14, 200))
    whole = rolling_of(mine, 20, Terms(), 252, other)
    part: Values = mine.at(np.arange(83, 200))
    for all_of_it, end in zip(
        columns(whole), columns(rolling_of(part, 20, Terms(), 252, other)), strict=True
    ):
        close(end[20:], all_of_it[103:])


@pytest.mark.parametrize("laid", [1, 100, 10**6])
def test_many_series_at_once_are_as_each_alone(laid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LAID", laid)
    rng = np.random.default_rng(15)
    series = []
    for seed, count in enumerate((150, 1, 9, 10, 2, 80, 77)):
        days = np.sort(rng.choice(160, count, replace=False))
        series.append(values_of(walk(seed, 160)[days], days))
    series[5].level[30] = -1
    series.append(values_of(np.array([1.0, 2.0, 3.0]), np.array([900, 901, 902])))
    years = [252.0, 52.0, 12.0, 365.0, 1.0, 260.0, 26.0, 4.0]
    terms, benchmark = Terms(risk_free=0.03), values_of(walk(99, 160))
    together = rolling_of_many(series, 9, terms, years, benchmark)
    assert [each.periods_per_year for each in together] == years
    for found, values, year in zip(together, series, years, strict=True):
        alone = rolling_of(values, 9, terms, year, benchmark)
        for name in [*COLUMNS, "max_drawdown", "time"]:
            np.testing.assert_allclose(getattr(found, name), getattr(alone, name), rtol=1e-9)
            assert len(getattr(found, name)) == len(values)
    assert rolling_of_many([], 9, terms, [], benchmark) == []
