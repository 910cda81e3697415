"""What an indicator with a field of its own is: arguments, the function behind it, the type."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import strawberry

from app.errors import BadInput
from app.query.indicators.calls import Call, talib_call
from app.query.indicators.catalogue import function
from app.query.indicators.vwap import anchored_vwap, rolling_vwap

Numbers = list[float | None]


@strawberry.enum(description="What an indicator is computed from.")
class PriceSource(StrEnum):
    """The sources of app.query.indicators.calls."""

    OPEN = "OPEN"
    HIGH = "HIGH"
    LOW = "LOW"
    CLOSE = "CLOSE"
    VOLUME = "VOLUME"
    HL2 = "HL2"
    HLC3 = "HLC3"
    OHLC4 = "OHLC4"


@strawberry.type(description="Moving average convergence and divergence.")
class Macd:
    """Outputs of MACD."""

    macd: Numbers = strawberry.field(description="The fast average less the slow one.")
    signal: Numbers = strawberry.field(description="The average of `macd`.")
    histogram: Numbers = strawberry.field(description="`macd` less `signal`.")


@strawberry.type(description="A band around prices.")
class Bands:
    """Outputs of BBANDS, KC and DONCHIAN."""

    upper: Numbers = strawberry.field(description="The upper edge.")
    middle: Numbers = strawberry.field(description="The middle.")
    lower: Numbers = strawberry.field(description="The lower edge.")


@strawberry.type(description="Stochastic oscillator, from 0 to 100.")
class Stochastic:
    """Outputs of STOCH and STOCHRSI."""

    k: Numbers = strawberry.field(description="%K: where the close is in its range.")
    d: Numbers = strawberry.field(description="%D, the average of %K.")


@strawberry.type(description="How long ago the extremes were, from 0 to 100.")
class Aroon:
    """Outputs of AROON."""

    up: Numbers = strawberry.field(description="100 where the highest high is the newest.")
    down: Numbers = strawberry.field(description="100 where the lowest low is the newest.")


@strawberry.type(description="A trailing stop and its side.")
class Supertrend:
    """Outputs of SUPERTREND."""

    value: Numbers = strawberry.field(description="The stop.")
    trend: Numbers = strawberry.field(description="1 in a rise, -1 in a fall.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An argument: TA-Lib's name for it, the default, and what it is."""

    name: str
    default: float
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """An indicator with a field of its own.

    `result` is the type of several outputs, with `outputs` naming TA-Lib's by field; None: a list.
    `fixed` are parameters that are not asked for.
    """

    function: str
    description: str
    arguments: Mapping[str, Given] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    source: bool = False
    result: type | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)

    def call(self, field: str, given: Mapping[str, Any]) -> Call:
        """Check the arguments of the field of that name, by their names in GraphQL.

        Raises:
            BadInput: one is out of range.
        """
        if self.function == "rolling":
            return rolling_vwap(given["period"])
        if self.function == "anchored":
            return anchored_vwap()
        parameters = {each.name: given[name] for name, each in self.arguments.items()}
        accepted = {each.name: each for each in function(self.function).parameters}
        for name, each in self.arguments.items():
            bounds = accepted[each.name]
            if not bounds.minimum <= given[name] <= bounds.maximum:
                raise BadInput(
                    f"{field} {name} is {given[name]!r}: it must be from {bounds.minimum!r} to"
                    f" {bounds.maximum!r}"
                )
        sources = {"price": str(given["source"]).lower()} if self.source else {}
        return talib_call(self.function, {**self.fixed, **parameters}, sources)

    def shown(self, outputs: Mapping[str, Numbers]) -> Any:
        """Give the field's value."""
        if self.result is None:
            (only,) = outputs.values()
            return only
        return self.result(**{name: outputs[each] for name, each in self.outputs.items()})

    @property
    def signature(self) -> inspect.Signature:
        """What strawberry reads the field's arguments and type from."""
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter(
                name, kind, default=each.default,
                annotation=Annotated[
                    type(each.default), strawberry.argument(description=each.description)
                ],
            )
            for name, each in self.arguments.items()
        ]  # fmt: skip
        if self.source:
            of = Annotated[PriceSource, strawberry.argument(description="What it is computed of.")]
            parameters.append(
                inspect.Parameter("source", kind, default=PriceSource.CLOSE, annotation=of)
            )
        root = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        returned = Numbers if self.result is None else self.result
        return inspect.Signature([root, *parameters], return_annotation=returned)
