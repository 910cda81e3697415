"""Volume-weighted averages equal a recomputation in Decimal, on notionals or their stand-ins."""

from decimal import Decimal

import numpy as np
import pytest

from app.errors import BadInput
from app.query.indicators.computation import values_of
from app.query.indicators.vwap import anchored_vwap, rolling_vwap
from app.query.indicators.warm_up import warm_up
from tests.query.indicators.history import Floats, assert_close, history


def recomputed(candles: dict[str, Floats], first: int, last: int) -> float:
    notional = volume = Decimal(0)
    for row in range(first, last + 1):
        high, low, close, size, money = (
            Decimal(float(candles[name][row]))
            for name in ("high", "low", "close", "volume", "notional")
        )
        notional += (high + low + close) / 3 * size if money.is_nan() else money
        volume += size
    return float(notional / volume) if volume else np.nan


@pytest.fixture
def candles() -> dict[str, Floats]:
    made = history(4, 120)
    made["notional"][30:60] = np.nan
    made["volume"][80:95] = 0
    made["notional"][80:95] = 0
    return made


@pytest.mark.parametrize("period", [1, 5, 12, 120, 121])
def test_rolling_equals_the_sums_of_each_window(candles: dict[str, Floats], period: int) -> None:
    (found,) = values_of(rolling_vwap(period), candles, 0).values()
    expected = [
        recomputed(candles, row - period + 1, row) if row >= period - 1 else np.nan
        for row in range(120)
    ]
    assert_close(found, np.array(expected), 1e-12)


def test_rolling_warms_up_on_what_is_before_the_range(candles: dict[str, Floats]) -> None:
    call = rolling_vwap(20)
    assert warm_up(call) == 19
    (found,) = values_of(call, candles, 50).values()
    assert_close(found[:1], np.array([recomputed(candles, 31, 50)]), 1e-12)


def test_anchored_counts_from_the_ranges_first_candle(candles: dict[str, Floats]) -> None:
    (found,) = values_of(anchored_vwap(), candles, 25).values()
    expected = [recomputed(candles, 25, row) for row in range(25, 120)]
    assert_close(found, np.array(expected), 1e-12)


@pytest.mark.parametrize("period", [0, -1, 100_001])
def test_a_bad_period_is_refused(period: int) -> None:
    with pytest.raises(BadInput, match=f"period is {period}: it must be from 1 to 100000"):
        rolling_vwap(period)
