"""A call of an indicator: which function, its parameters, and what it is fed with."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from app.errors import BadInput
from app.query.indicators.catalogue import (
    ABSTRACT,
    TALIB,
    Function,
    ParameterType,
    accepted,
    function,
)

# What an input may be, and the columns that it is made of.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
    "hl2": ("high", "low"),
    "hlc3": ("high", "low", "close"),
    "ohlc4": ("open", "high", "low", "close"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """A function, all of its parameters in order, and the source of each input column."""

    name: str
    parameters: tuple[tuple[str, float], ...]
    sources: tuple[str, ...]

    @property
    def given(self) -> dict[str, float]:
        """The parameters by name."""
        return dict(self.parameters)


def talib_call(
    name: str, parameters: Mapping[str, float], sources: Mapping[str, str] | None = None
) -> Call:
    """Check a call of a TA-Lib function; what is not given is as the function has it.

    Raises:
        BadInput: there is no such function, parameter or input, or a value is out of range.
    """
    known = function(name)
    given = {each.name: each.default for each in known.parameters}
    for each, value in parameters.items():
        if each not in given:
            raise BadInput(f"{name} has no parameter {each!r}: {_listed(list(given))}")
        given[each] = value
    for parameter in known.parameters:
        value = given[parameter.name]
        if parameter.type is not ParameterType.REAL:
            if value != int(value):
                raise BadInput(f"{name} {parameter.name} {value!r} is not a whole number")
            given[parameter.name] = int(value)
    fed = _sources(known, sources or {})
    if not _accepted(name, len(fed), tuple(given.items())):
        raise BadInput(_refusal(known, given))
    return Call(name=name, parameters=tuple(given.items()), sources=fed)


@lru_cache(maxsize=1000)
def _accepted(name: str, width: int, parameters: tuple[tuple[str, float], ...]) -> bool:
    return accepted(name, width, dict(parameters))


def _refusal(known: Function, given: Mapping[str, float]) -> str:
    for each in known.parameters:
        if not each.minimum <= given[each.name] <= each.maximum:
            return (
                f"{known.name} {each.name} is {given[each.name]!r}: it must be from"
                f" {each.minimum!r} to {each.maximum!r}"
            )
    values = ", ".join(f"{name} {value!r}" for name, value in given.items())
    return f"{known.name} cannot be computed with {values} together"


def _sources(known: Function, given: Mapping[str, str]) -> tuple[str, ...]:
    choosable = [each.name for each in known.inputs if each.choosable]
    for name, source in given.items():
        if name not in choosable:
            raise BadInput(f"{known.name} has no input {name!r} to choose: {_listed(choosable)}")
        if source not in SOURCES:
            raise BadInput(f"input {source!r} is not one of {', '.join(SOURCES)}")
    fed: list[str] = []
    for each in known.inputs:
        fed += (given[each.name],) if each.name in given else each.columns
    return tuple(fed)


def _listed(names: list[str]) -> str:
    return f"it has {', '.join(map(repr, names))}" if names else "it has none"


@lru_cache(maxsize=1000)
def lookback(call: Call) -> int:
    """Give the number of candles before the first value, of ours too."""
    if call.name not in TALIB.get_functions():
        return int(call.given.get("timeperiod", 1)) - 1
    described = ABSTRACT.Function(call.name)
    described.set_function_args(**call.given)
    candles: int = described.lookback
    return candles
