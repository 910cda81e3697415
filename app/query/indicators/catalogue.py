"""TA-Lib's functions with their inputs, parameters and outputs, as its abstract interface has them.

The interface does not tell which values a parameter may have. They are found by trying: TA-Lib
refuses what is out of range before it computes anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import talib
from talib import abstract

from app.errors import BadInput

Floats = npt.NDArray[np.float64]

# Its own stubs leave out what is used here.
TALIB: Any = talib
ABSTRACT: Any = abstract

# What stands for no bound in TA-Lib.
_MOST, _MOST_WHOLE = 3e37, 1_000_000
_TRIAL = np.full(3, 1.0)

# MAVP's periods are no price: they are the dominant cycle of the same price, as HT_DCPERIOD has it.
CYCLE = "cycle"
_PERIODS = "periods"

AVERAGES = {
    name: getattr(TALIB.MA_Type, name)
    for name in (
        "SMA", "EMA", "WMA", "DEMA", "TEMA", "TRIMA", "KAMA", "MAMA", "T3", "HMA", "DISABLED",
        "DEFAULT", "ZLEMA", "RMA",
    )
}  # fmt: skip


class ParameterType(StrEnum):
    """What a parameter is."""

    INTEGER = "INTEGER"
    REAL = "REAL"
    AVERAGE = "AVERAGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A value with a name: a kind of moving average."""

    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A number that a function takes, from `minimum` to `maximum`."""

    name: str
    type: ParameterType
    default: float
    minimum: float
    maximum: float
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Columns that a function is fed with; `choosable`: one, and any other may be given for it."""

    name: str
    columns: tuple[str, ...]
    choosable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A column of the result."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function; `lookback` candles come before the first value, with the defaults."""

    name: str
    title: str
    group: str
    inputs: tuple[Input, ...]
    parameters: tuple[Parameter, ...]
    outputs: tuple[Output, ...]
    lookback: int


def functions(group: str | None = None) -> list[Function]:
    """Give the functions of a group, or all; the first time takes some tenths of a second.

    Raises:
        BadInput: there is no such group.
    """
    known = TALIB.get_function_groups()
    if group is not None and group not in known:
        raise BadInput(f"group {group!r} is not one of {', '.join(map(repr, known))}")
    wanted = known.values() if group is None else (known[group],)
    return [function(name) for names in wanted for name in names]


@cache
def function(name: str) -> Function:
    """Describe a function.

    Raises:
        BadInput: there is none of that name.
    """
    groups = TALIB.get_function_groups()
    group = next((each for each, names in groups.items() if name in names), None)
    if group is None:
        raise BadInput(f"indicator {name!r} is not one of those that `indicators` lists")
    described = ABSTRACT.Function(name)
    described_inputs = described.info["input_names"]
    inputs = tuple(_input(each, columns) for each, columns in described_inputs.items())
    width = sum(len(each.columns) for each in inputs)
    return Function(
        name=name,
        title=described.info["display_name"],
        group=group,
        inputs=inputs,
        parameters=tuple(
            _parameter(name, width, each, default)
            for each, default in described.info["parameters"].items()
        ),
        outputs=tuple(Output(name=each) for each in described.output_names),
        lookback=described.lookback,
    )


def _input(name: str, columns: str | list[str]) -> Input:
    if name == _PERIODS:
        return Input(name=name, columns=(CYCLE,), choosable=False)
    if isinstance(columns, str):
        return Input(name=name, columns=(columns,), choosable=True)
    return Input(name=name, columns=tuple(columns), choosable=False)


def _parameter(function: str, width: int, name: str, default: float) -> Parameter:
    def accepts(value: float) -> bool:
        return accepted(function, width, {name: value})

    if name.endswith("matype"):
        options = tuple(
            Option(name=each, value=value) for each, value in AVERAGES.items() if accepts(value)
        )
        values = [each.value for each in options]
        return Parameter(
            name=name, type=ParameterType.AVERAGE, default=default, minimum=min(values),
            maximum=max(values), options=options,
        )  # fmt: skip
    whole = isinstance(default, int)
    most = _MOST_WHOLE if whole else _MOST
    return Parameter(
        name=name,
        type=ParameterType.INTEGER if whole else ParameterType.REAL,
        default=default,
        minimum=_furthest(accepts, default, -most),
        maximum=_furthest(accepts, default, most),
    )


def accepted(name: str, width: int, parameters: Mapping[str, float]) -> bool:
    """Tell whether a function of `width` columns takes these parameters, with its own others."""
    try:
        getattr(TALIB, name)(*[_TRIAL] * width, **parameters)
    except Exception as error:  # TA-Lib raises nothing more special
        if "TA_BAD_PARAM" not in str(error):
            raise
        return False
    return True


def _furthest(accepts: Callable[[float], bool], inside: float, outside: float) -> float:
    """Give the last value on the way outside that is accepted; values are of inside's type."""
    whole = isinstance(inside, int)
    if accepts(outside):
        return outside + 0
    while True:
        middle = (inside + outside) // 2 if whole else (inside + outside) / 2
        if middle in (inside, outside):
            return inside + 0  # no negative zero
        if accepts(middle):
            inside = middle
        else:
            outside = middle
