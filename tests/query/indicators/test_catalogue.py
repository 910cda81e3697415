"""The catalogue has every function of TA-Lib, with bounds that TA-Lib itself holds to."""

import itertools

import pytest

from app.errors import BadInput
from app.query.indicators.calls import talib_call
from app.query.indicators.catalogue import TALIB, ParameterType, accepted, function, functions


def test_every_function_is_there_once_by_group() -> None:
    names = [each.name for each in functions()]
    assert sorted(names) == sorted(TALIB.get_functions())
    assert len(names) == len(set(names)) > 150
    for group, own in TALIB.get_function_groups().items():
        assert [each.name for each in functions(group)] == own
        assert {each.group for each in functions(group)} == {group}


def test_functions_are_as_the_abstract_interface_has_them() -> None:
    for each in functions():
        described = TALIB.abstract.Function(each.name)
        assert each.title == described.info["display_name"]
        assert {p.name: p.default for p in each.parameters} == dict(described.parameters)
        assert [output.name for output in each.outputs] == described.output_names
        assert [given.name for given in each.inputs] == list(described.input_names)
        assert each.lookback == described.lookback


def test_what_lies_beyond_a_bound_is_refused_by_talib() -> None:
    checked = 0
    for each in functions():
        width = sum(len(given.columns) for given in each.inputs)
        for parameter in each.parameters:
            name = parameter.name
            for bound in (parameter.minimum, parameter.maximum):
                assert accepted(each.name, width, {name: bound})
            if parameter.type is ParameterType.INTEGER:
                outside = [parameter.minimum - 1, parameter.maximum + 1]
                assert not any(accepted(each.name, width, {name: value}) for value in outside)
                checked += 1
    assert checked > 80


def test_kinds_of_moving_average_have_names() -> None:
    (kind,) = [each for each in function("MA").parameters if each.name == "matype"]
    assert kind.type is ParameterType.AVERAGE
    assert {option.name: option.value for option in kind.options}["EMA"] == TALIB.MA_Type.EMA
    assert kind.minimum == 0 < kind.maximum == max(option.value for option in kind.options)


@pytest.mark.parametrize(
    ("name", "parameters", "inputs", "words"),
    [
        ("SMA", {"timeperiod": 0}, {}, "SMA timeperiod is 0: it must be from 1 to 100000"),
        ("RSI", {"timeperiod": 1}, {}, "RSI timeperiod is 1: it must be from 2 to 100000"),
        ("T3", {"vfactor": 1.5}, {}, "T3 vfactor is 1.5: it must be from 0.0 to 1.0"),
        ("EMA", {"timeperiod": 2.5}, {}, "EMA timeperiod 2.5 is not a whole number"),
        ("EMA", {"period": 2}, {}, "EMA has no parameter 'period': it has 'timeperiod'"),
        ("OBV", {"timeperiod": 2}, {}, "OBV has no parameter 'timeperiod': it has none"),
        ("NOPE", {}, {}, "indicator 'NOPE' is not one of those that `indicators` lists"),
        ("ema", {}, {}, "indicator 'ema' is not one of those that `indicators` lists"),
        ("MA", {"matype": 14}, {}, "MA matype is 14: it must be from 0 to 13"),
        ("ATR", {}, {"price": "close"}, "ATR has no input 'price' to choose: it has none"),
        ("BETA", {}, {"price": "close"}, "BETA has no input 'price' to choose: it has 'price0',"),
        ("EMA", {}, {"price": "bid"}, "input 'bid' is not one of open, high, low, close"),
    ],
)
def test_bad_calls_are_refused_with_what_is_accepted(
    name: str, parameters: dict[str, float], inputs: dict[str, str], words: str
) -> None:
    with pytest.raises(BadInput) as refused:
        talib_call(name, parameters, inputs)
    assert words in refused.value.message


def test_an_unknown_group_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadInput, match="'Nope' is not one of 'Cycle Indicators'"):
        functions("Nope")


def test_equal_calls_are_one_whatever_was_left_out() -> None:
    calls = [
        talib_call("BBANDS", {}),
        talib_call("BBANDS", {"matype": 0, "timeperiod": 20.0}),
        talib_call("BBANDS", {"nbdevup": 2.0}, {"price": "close"}),
    ]
    for one, other in itertools.pairwise(calls):
        assert one == other
        assert hash(one) == hash(other)
