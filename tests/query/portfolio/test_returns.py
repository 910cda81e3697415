"""Time-weighted and money-weighted returns of small cases, and of scipy's roots."""

import random
from decimal import Decimal

import numpy as np
import pytest
from scipy.optimize import brentq  # type: ignore[import-untyped]

from app.query.portfolio.journal import Step
from app.query.portfolio.returns import growth, money_weighted

DAY_US = 86_400_000_000
NAN = float("nan")


def step(day: int, flow: str) -> Step:
    zero = Decimal(0)
    return Step(
        bucket=day * DAY_US, instrument_id=None, held=zero, cost=zero, cash=zero,
        flow=Decimal(flow), realised=zero, income=zero, fees=zero,
    )  # fmt: skip


def days(*numbers: int) -> np.typing.NDArray[np.int64]:
    return np.array(numbers, dtype=np.int64) * DAY_US


@pytest.mark.parametrize(
    ("opening", "values", "flows", "level"),
    [
        # Bought in the bucket: it worked from its beginning.
        (0.0, [110, 121], [(0, "100")], [1, 1.1, 1.21]),
        # Doubled by new money, no gain.
        (100.0, [200, 220], [(0, "100")], [1, 1, 1.1]),
        # All sold in the bucket: what went out worked until its end.
        (100.0, [0, 0], [(0, "-105")], [1, 1.05, 1.05]),
        # Bought and sold within a bucket.
        (0.0, [0], [(0, "100"), (0, "-104")], [1, 1.04]),
        # One sold to buy another: no new capital.
        (1000.0, [1010], [(0, "-500"), (0, "500")], [1, 1.01]),
        # The first value is what counts, where nothing is known before it.
        (None, [NAN, 100, 105], [(0, "70")], [1, 1.05]),
        # Money that came between two known values counts with the second.
        (None, [100, NAN, 220], [(1, "100")], [1, 1.1]),
        # Gained on nothing.
        (0.0, [0, 5], [(0, "-5")], [1, NAN, NAN]),
        # More lost than there was.
        (100.0, [-5, 7], [], [1, NAN, NAN]),
        # Nothing there, and nothing happens.
        (0.0, [0, 0], [], [1, 1, 1]),
    ],
)
def test_growth(
    opening: float | None, values: list[float], flows: list[tuple[int, str]], level: list[float]
) -> None:
    time = days(*range(len(values)))
    steps = [step(day, flow) for day, flow in flows]
    grown = growth(time, np.array(values, dtype=float), steps, opening)
    np.testing.assert_allclose(grown.level, level, rtol=1e-14)


@pytest.mark.parametrize("seed", range(20))
def test_money_weighted_return_is_the_root_that_scipy_finds(seed: int) -> None:
    rng = random.Random(seed)
    at = sorted(rng.sample(range(1500), 30))
    flows = {day: rng.randint(50, 1000) for day in rng.sample(at[:-1], 8)}
    end = sum(flows.values()) * rng.uniform(0.4, 2.5)
    opening = rng.choice([0.0, 500.0])
    found = money_weighted(
        days(*at),
        np.array([*[1.0] * 29, end]),
        [step(day, str(flow)) for day, flow in sorted(flows.items())],
        opening,
    )

    def worth(rate: float) -> float:
        own: float = sum(flow * (1 + rate) ** ((at[-1] - day) / 365) for day, flow in flows.items())
        early: float = opening * (1 + rate) ** ((at[-1] - at[0]) / 365)
        return end - own - early

    assert found == pytest.approx(brentq(worth, -0.99, 50, xtol=1e-14), abs=1e-10)


@pytest.mark.parametrize(
    ("flows", "end"),
    [
        ([(0, "100")], -5.0),  # nothing came out
        ([(0, "100"), (365, "-230"), (730, "132")], 0.0),  # 10 % and 20 %
    ],
)
def test_no_single_rate_is_none(flows: list[tuple[int, str]], end: float) -> None:
    steps = [step(day, flow) for day, flow in flows]
    assert money_weighted(days(0, 365, 730), np.array([1, 1, end]), steps, 0.0) is None


def test_one_bucket_has_no_yearly_rate() -> None:
    assert money_weighted(days(3), np.array([5.0]), [step(3, "4")], 0.0) is None


def test_a_year_of_a_tenth_is_a_tenth() -> None:
    found = money_weighted(days(0, 365), np.array([100.0, 110]), [step(0, "100")], 0.0)
    assert found == pytest.approx(0.1, abs=1e-13)
