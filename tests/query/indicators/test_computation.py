"""Values on a part of the history equal TA-Lib on all of it; what else was read does not count."""

from typing import Any

import numpy as np
import pytest
import talib

from app.query.indicators.calls import lookback, talib_call
from app.query.indicators.catalogue import TALIB, ParameterType, function
from app.query.indicators.computation import columns_of, output_names, values_of
from app.query.indicators.warm_up import CUMULATIVE, warm_up
from tests.query.indicators.history import assert_close, directly, history

CANDLES, SHOWN = 16_000, 300
PLACES = {"MAXINDEX", "MININDEX", "MINMAXINDEX"}
NAMES: list[str] = TALIB.get_functions()


def parameter_sets(name: str) -> list[dict[str, Any]]:
    """Give the defaults and a few others."""
    rng = np.random.default_rng(len(name) + sum(map(ord, name)))
    sets: list[dict[str, Any]] = [{}]
    for _ in range(3):
        own: dict[str, Any] = {}
        for each in function(name).parameters:
            if each.type is ParameterType.INTEGER:
                own[each.name] = int(
                    rng.integers(max(2, int(each.minimum)), min(60, int(each.maximum)))
                )
            elif each.type is ParameterType.AVERAGE:
                own[each.name] = int(rng.choice([option.value for option in each.options]))
        if "maxperiod" in own:
            own["maxperiod"] = max(own["minperiod"], own["maxperiod"])
        sets += [own] if own else []
    return sets


@pytest.mark.parametrize("name", NAMES)
def test_a_part_equals_the_whole(name: str) -> None:
    candles = history(7, CANDLES)
    for given in parameter_sets(name):
        call = talib_call(name, given)
        whole = directly(name, given, candles)
        for begin in (9_000, 15_000):
            first = 0 if name in CUMULATIVE else begin - warm_up(call)
            part = {each: candles[each][first : begin + SHOWN] for each in columns_of(call)}
            found = values_of(call, part, begin - first)
            if name in CUMULATIVE:
                own = {each: column[begin : begin + SHOWN] for each, column in candles.items()}
                whole_shown = directly(name, given, own)
            else:
                whole_shown = [each[begin : begin + SHOWN] for each in whole]
            assert tuple(found) == output_names(call)
            for ours, theirs in zip(found.values(), whole_shown, strict=True):
                assert_close(ours, theirs - begin if name in PLACES else theirs)


@pytest.mark.parametrize("name", ["EMA", "RSI", "MACD", "OBV", "MAXINDEX", "CDLDOJI", "MAVP", "AD"])
def test_more_candles_before_change_nothing(name: str) -> None:
    candles, begin = history(3, 5_000), 4_500
    call = talib_call(name, {})
    needed = {each: column[begin - warm_up(call) :] for each, column in candles.items()}
    exactly = values_of(call, needed, warm_up(call))
    more = values_of(call, candles, begin)
    for output, values in exactly.items():
        np.testing.assert_array_equal(values, more[output])


@pytest.mark.parametrize("name", NAMES)
def test_a_short_history_begins_where_talib_begins(name: str) -> None:
    call = talib_call(name, {})
    for count in (0, 1, 2, lookback(call), lookback(call) + 1, lookback(call) + 20):
        candles = history(5, count)
        found = values_of(call, candles, 0)
        assert all(len(each) == count for each in found.values())
        if count <= lookback(call):
            assert all(np.isnan(each).all() for each in found.values())
            continue
        for ours, theirs in zip(found.values(), directly(name, {}, candles), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_flat_prices_without_volume_give_no_infinity(name: str) -> None:
    flat = {each: np.full(400, 0.0 if each == "volume" else 7.0) for each in history(1, 1)}
    for values in values_of(talib_call(name, {}), flat, 100).values():
        assert not np.isinf(values).any()


def test_other_sources_are_those_prices() -> None:
    candles = history(9, 200)
    middle = (candles["high"] + candles["low"]) / 2
    every = (candles["open"] + candles["high"] + candles["low"] + candles["close"]) / 4
    typical = (candles["high"] + candles["low"] + candles["close"]) / 3
    for source, prices in (
        ("hl2", middle), ("ohlc4", every), ("hlc3", typical), ("volume", candles["volume"]),
    ):  # fmt: skip
        call = talib_call("SMA", {"timeperiod": 5}, {"price": source})
        (found,) = values_of(call, candles, 0).values()
        assert_close(found, talib.SMA(prices, 5), 1e-12)
    two = talib_call("CORREL", {"timeperiod": 9}, {"price0": "close", "price1": "volume"})
    (found,) = values_of(two, candles, 0).values()
    assert_close(found, talib.CORREL(candles["close"], candles["volume"], 9), 1e-12)
