"""Statistics equal empyrical-reloaded, scipy and pandas; their definitions hold in odd cases."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import empyrical  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pytest
import scipy.stats  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from app.query.statistics.performance import Statistics, statistics_of
from app.query.statistics.returns import Floats, Values
from app.query.statistics.terms import ReturnKind, Terms
from tests.query.statistics.returns import sample_values, values_of, walk

SIMPLE = Terms()
START = datetime(2020, 1, 1, tzinfo=UTC)
PAIRS = {
    "random": (values_of(walk(1, 1_500)), values_of(walk(2, 1_500))),
    "few": (values_of(walk(3, 5)), values_of(walk(4, 5))),
    "AAPL, IBM": (sample_values("AAPL"), sample_values("IBM")),
    "FB, MSFT": (sample_values("FB"), sample_values("MSFT")),
}
NUMBERS = [
    each.name
    for each in fields(Statistics)
    if each.name not in {"since", "until", "max_drawdown", "observations", "benchmark_observations"}
]


def joined(values: Values, benchmark: Values) -> tuple[Floats, Floats, Floats]:
    """Give returns of one, and of both over their common times, as pandas makes them."""
    mine = pd.Series(values.level, index=values.time)
    other = pd.Series(benchmark.level, index=benchmark.time)
    both = pd.concat([mine, other], axis=1, join="inner").pct_change().iloc[1:]
    alone = mine.pct_change().iloc[1:]
    return np.asarray(alone), np.asarray(both[0]), np.asarray(both[1])


@pytest.mark.parametrize("risk_free", [0.0, 0.03])
@pytest.mark.parametrize("year", [252.0, 52.0])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_numbers_equal_empyrical(
    pair: tuple[Values, Values], year: float, risk_free: float
) -> None:
    found = statistics_of(pair[0], Terms(risk_free=risk_free), year, pair[1])
    returns, mine, other = joined(*pair)
    free = (1 + risk_free) ** (1 / year) - 1
    fall = empyrical.max_drawdown(returns)
    expected = {
        "total_return": empyrical.cum_returns_final(returns),
        "annualized_return": empyrical.annual_return(returns, annualization=year),
        "annualized_volatility": empyrical.annual_volatility(returns, annualization=year),
        "downside_deviation": empyrical.downside_risk(returns, free, annualization=year),
        "sharpe": empyrical.sharpe_ratio(returns, free, annualization=year),
        "sortino": empyrical.sortino_ratio(returns, free, annualization=year),
        "calmar": empyrical.calmar_ratio(returns, annualization=year),
        "value_at_risk": empyrical.value_at_risk(returns, 0.05),
        "conditional_value_at_risk": empyrical.conditional_value_at_risk(returns, 0.05),
        "skew": scipy.stats.skew(returns),
        "kurtosis": scipy.stats.kurtosis(returns),
        "beta": empyrical.beta_aligned(mine, other, free),
        "alpha": empyrical.alpha_aligned(mine, other, free, annualization=year),
        "correlation": scipy.stats.pearsonr(mine, other).statistic,
        "tracking_error": empyrical.annual_volatility(mine - other, annualization=year),
        # empyrical's is of one period.
        "information_ratio": empyrical.excess_sharpe(mine, other) * year**0.5,
        "mean": np.mean(returns),
        "best": np.max(returns),
        "worst": np.min(returns),
        "positive_share": (pd.Series(returns) > 0).mean(),
    }
    assert set(expected) | {"periods_per_year"} == set(NUMBERS)
    assert {name: getattr(found, name) for name in expected} == pytest.approx(
        expected, rel=1e-9, abs=1e-9
    )
    assert found.max_drawdown is not None
    assert found.max_drawdown.value == pytest.approx(fall, rel=1e-9)
    assert (found.observations, found.benchmark_observations) == (len(returns), len(mine))


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_log_returns_equal_empyrical_on_logarithms(pair: tuple[Values, Values]) -> None:
    found = statistics_of(pair[0], Terms(returns=ReturnKind.LOG, risk_free=0.02), 252, pair[1])
    returns, mine, other = (np.log1p(each) for each in joined(*pair))
    free = np.log(1.02) / 252
    expected = {
        "annualized_volatility": empyrical.annual_volatility(returns),
        "downside_deviation": empyrical.downside_risk(returns, free),
        "sharpe": empyrical.sharpe_ratio(returns, free),
        "sortino": empyrical.sortino_ratio(returns, free),
        "value_at_risk": empyrical.value_at_risk(returns),
        "skew": scipy.stats.skew(returns),
        "kurtosis": scipy.stats.kurtosis(returns),
        "beta": empyrical.beta_aligned(mine, other),
        "correlation": scipy.stats.pearsonr(mine, other).statistic,
        "tracking_error": empyrical.annual_volatility(mine - other),
        "mean": np.mean(returns),
        # What is of growth is the same for both kinds.
        "total_return": np.expm1(returns.sum()),
        "annualized_return": np.expm1(returns.mean() * 252),
    }
    assert {name: getattr(found, name) for name in expected} == pytest.approx(
        expected, rel=1e-9, abs=1e-9
    )
    line = scipy.stats.linregress(other - free, mine - free)
    assert found.alpha == pytest.approx(np.expm1(line.intercept * 252), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("count", [2, 11, 21, 101, 1_001])
def test_tails_equal_empyrical_at_every_confidence(confidence: float, count: int) -> None:
    values = values_of(walk(count, count))
    found = statistics_of(values, Terms(confidence=confidence), 252)
    returns = pd.Series(values.level).pct_change().to_numpy()[1:]
    cutoff = {0.5: 0.5, 0.9: 0.1, 0.95: 0.05, 0.99: 0.01, 0.999: 0.001}[confidence]
    assert found.value_at_risk == pytest.approx(empyrical.value_at_risk(returns, cutoff))
    expected = empyrical.conditional_value_at_risk(returns, cutoff)
    assert found.conditional_value_at_risk == pytest.approx(expected)


def drawdown(levels: list[float]) -> tuple[float, int | None, int | None, int | None, int]:
    found = statistics_of(values_of(np.array(levels)), SIMPLE, 252).max_drawdown
    assert found is not None
    days = [
        None if each is None else (each - START) // timedelta(days=1)
        for each in (found.peak, found.trough, found.recovery)
    ]
    return found.value, days[0], days[1], days[2], found.length


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([100, 120, 60, 90, 120, 130], (-0.5, 1, 2, 4, 3)),
        ([100, 50, 60], (-0.5, 0, 1, None, 2)),  # from the value before the first return
        ([100, 120, 120, 90, 121], (-0.25, 2, 3, 4, 2)),  # from the last day at the peak
        ([100, 90, 100, 90, 100], (-0.1, 0, 1, 2, 2)),  # the first of equal ones
        ([100, 110, 120], (0.0, None, None, None, 0)),
    ],
)
def test_drawdown_tells_when(levels: list[float], expected: tuple[float, ...]) -> None:
    assert drawdown(levels) == pytest.approx(expected)


def test_nothing_is_divided_by_no_spread() -> None:
    still = statistics_of(values_of(np.full(10, 7.0)), SIMPLE, 252, values_of(np.full(10, 7.0)))
    assert (still.total_return, still.annualized_volatility, still.tracking_error) == (0, 0, 0)
    for name in ("sharpe", "sortino", "calmar", "skew", "kurtosis", "beta", "correlation"):
        assert getattr(still, name) is None, name
    # Returns of a steady 1 % differ in their last bits only.
    steady = statistics_of(values_of(np.cumprod(np.full(300, 1.01))), SIMPLE, 252)
    assert (steady.annualized_volatility, steady.sharpe, steady.skew) == (0, None, None)
    assert steady.mean == pytest.approx(0.01)


def test_too_few_returns_have_no_numbers() -> None:
    one = values_of(np.array([100.0]))
    alone = statistics_of(one, SIMPLE, 252, one)
    assert (alone.observations, alone.benchmark_observations) == (0, 0)
    known = {"periods_per_year"}
    assert all(getattr(alone, name) is None for name in set(NUMBERS) - known)
    assert alone.max_drawdown is None
    single = statistics_of(values_of(np.array([100.0, 110.0])), SIMPLE, 252)
    assert single.total_return == pytest.approx(0.1)
    assert (single.observations, single.annualized_volatility, single.sharpe) == (1, None, None)
    assert single.sortino is None


@pytest.mark.parametrize("kind", ReturnKind)
def test_prices_of_zero_and_below_have_no_returns_beside_them(kind: ReturnKind) -> None:
    oil = values_of(np.array([20.0, 18.0, -37.0, 9.0, 10.0, 0.0, 12.0, 13.0]))
    found = statistics_of(oil, Terms(returns=kind), 252, oil)
    assert (found.observations, found.benchmark_observations) == (3, 3)
    growth = (found.total_return, found.annualized_return, found.max_drawdown, found.calmar)
    assert growth == (None, None, None, None)
    assert found.best is not None
    assert found.beta == pytest.approx(1)


def test_overflow_is_null() -> None:
    found = statistics_of(values_of(np.array([1.0, 9.0, 50.0])), SIMPLE, 525_600)
    assert (found.annualized_return, found.calmar) == (None, None)


def test_benchmark_returns_span_the_same_time() -> None:
    mine = values_of(np.array([100.0, 110.0, 121.0]), np.array([0, 3, 4]))
    other = values_of(np.array([50.0, 51.0, 52.0, 60.0, 66.0]))
    found = statistics_of(mine, SIMPLE, 252, other)
    assert (found.observations, found.benchmark_observations) == (2, 2)
    # 60/50 - 1 and 66/60 - 1 against 0.1 and 0.1.
    assert found.tracking_error == pytest.approx(np.std([-0.1, 0.0], ddof=1) * 252**0.5)


LEVELS = st.lists(st.floats(0.5, 2.0), min_size=3, max_size=60).map(np.array)


@given(levels=LEVELS, scale=st.floats(1e-6, 1e6))
def test_scale_does_not_matter(levels: Floats, scale: float) -> None:
    one, other = (statistics_of(values_of(each), SIMPLE, 252) for each in (levels, levels * scale))
    for name in ("total_return", "annualized_volatility", "best", "value_at_risk", "mean"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-9, abs=1e-9)


@given(levels=LEVELS)
def test_anything_against_itself(levels: Floats) -> None:
    values = values_of(levels)
    found = statistics_of(values, SIMPLE, 252, values)
    if found.beta is not None:
        assert found.beta == pytest.approx(1, rel=1e-12)
        assert found.correlation == pytest.approx(1, rel=1e-12)
        assert found.alpha == pytest.approx(0, abs=1e-9)
    assert found.tracking_error == 0
    assert found.information_ratio is None


@given(levels=LEVELS, others=LEVELS)
def test_numbers_stay_in_their_ranges(levels: Floats, others: Floats) -> None:
    found = statistics_of(values_of(levels), SIMPLE, 252, values_of(others))
    assert found.correlation is None or -1 <= found.correlation <= 1
    assert found.max_drawdown is not None
    assert -1 < found.max_drawdown.value <= 0
    assert found.conditional_value_at_risk is not None
    assert found.value_at_risk is not None
    assert found.conditional_value_at_risk <= found.value_at_risk + 1e-12
    numbers = [getattr(found, name) for name in NUMBERS]
    assert all(each is None or np.isfinite(each) for each in numbers)
