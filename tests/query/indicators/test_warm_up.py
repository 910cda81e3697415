"""Run-ins are as long as the memory of the averages inside, and no longer."""

from math import comb

import pytest

from app.query.indicators.calls import lookback, talib_call
from app.query.indicators.warm_up import warm_up

LEFT = 1e-11


def left(constant: float, stages: int, candles: int) -> float:
    """Give the weight of what `stages` averages one behind the other began with."""
    return sum(
        comb(candles, hits) * constant**hits * (1 - constant) ** (candles - hits)
        for hits in range(stages)
    )


@pytest.mark.parametrize(
    ("name", "parameters", "constant", "stages"),
    [
        ("EMA", {"timeperiod": 2}, 2 / 3, 1),
        ("EMA", {"timeperiod": 200}, 2 / 201, 1),
        ("RSI", {"timeperiod": 14}, 1 / 14, 1),
        ("DEMA", {"timeperiod": 30}, 2 / 31, 2),
        ("TEMA", {"timeperiod": 10}, 2 / 11, 3),
        ("ADX", {"timeperiod": 14}, 1 / 14, 2),
        ("T3", {"timeperiod": 5}, 2 / 6, 6),
        ("MA", {"timeperiod": 20, "matype": 13}, 1 / 20, 1),
    ],
)
def test_just_so_much_is_left(
    name: str, parameters: dict[str, float], constant: float, stages: int
) -> None:
    call = talib_call(name, parameters)
    run_in = warm_up(call) - lookback(call)
    assert left(constant, stages, run_in) <= LEFT < left(constant, stages, run_in - 1)


@pytest.mark.parametrize("name", ["SMA", "WMA", "BBANDS", "STOCH", "AROON", "CDLHAMMER", "WILLR"])
def test_windows_need_their_look_back_alone(name: str) -> None:
    call = talib_call(name, {})
    assert warm_up(call) == lookback(call)


def test_a_period_of_one_remembers_nothing() -> None:
    assert warm_up(talib_call("EMA", {"timeperiod": 1})) <= 1


@pytest.mark.parametrize("name", ["OBV", "AD", "VWAP", "CUMSUM"])
def test_sums_since_the_beginning_look_at_nothing_before_the_range(name: str) -> None:
    assert warm_up(talib_call(name, {})) == 0
