"""Every function of TA-Lib: the catalogue of them, and what one of them answers."""

import asyncio
from collections.abc import Mapping, Sequence

import strawberry

from app.query.indicators import catalogue
from app.query.indicators.calls import Call, talib_call
from app.query.indicators.catalogue import ParameterType, functions
from graphql_schema.analytics.indicator_fields import Numbers, PriceSource

strawberry.enum(
    ParameterType,
    name="IndicatorParameterType",
    description="INTEGER and REAL are numbers; AVERAGE is a kind of moving average, by number.",
)


@strawberry.type(description="A value with a name.")
class IndicatorOption:
    """Filled straight from catalogue.Option."""

    name: str = strawberry.field(description="What it means.")
    value: float = strawberry.field(description="What is to be given.")


@strawberry.type(name="IndicatorParameterInfo", description="A number that a function takes.")
class ParameterInfo:
    """Filled straight from catalogue.Parameter."""

    name: str = strawberry.field(description="TA-Lib's name.")
    type: ParameterType = strawberry.field(description="What it is.")
    default: float = strawberry.field(description="The value where none is given.")
    minimum: float = strawberry.field(
        description="The least that is accepted while all others have their defaults."
    )
    maximum: float = strawberry.field(
        description="The most that is accepted while all others have their defaults."
    )
    options: list[IndicatorOption] = strawberry.field(
        description="The kinds of moving average; empty for numbers."
    )


@strawberry.type(name="IndicatorInputInfo", description="What a function is fed with.")
class InputInfo:
    """Filled straight from catalogue.Input."""

    name: str = strawberry.field(description="TA-Lib's name.")
    columns: list[str] = strawberry.field(
        description="Columns of candles; `cycle` is the dominant cycle's period (HT_DCPERIOD)."
    )
    choosable: bool = strawberry.field(description="Another source may be given for it.")


@strawberry.type(name="IndicatorOutputInfo", description="A column of the result.")
class OutputInfo:
    """Filled straight from catalogue.Output."""

    name: str = strawberry.field(description="TA-Lib's name.")


@strawberry.type(description="A function of TA-Lib, to be asked for by `series.indicator`.")
class IndicatorInfo:
    """Filled straight from catalogue.Function."""

    name: str = strawberry.field(description="TA-Lib's name.")
    title: str = strawberry.field(description="What people call it.")
    group: str = strawberry.field(description="What kind it is.")
    inputs: list[InputInfo] = strawberry.field(description="What it is fed with, in order.")
    parameters: list[ParameterInfo] = strawberry.field(description="What it takes, in order.")
    outputs: list[OutputInfo] = strawberry.field(description="What it gives, in order.")
    lookback: int = strawberry.field(
        description="Candles before the first value, with the defaults."
    )


@strawberry.input(description="A parameter of a function of TA-Lib.")
class IndicatorParameter:
    """A name and its value."""

    name: str = strawberry.field(description="TA-Lib's name, as in `indicators`.")
    value: float = strawberry.field(description="The number, or that of a moving average's kind.")


@strawberry.input(description="What an input of a function of TA-Lib is fed with.")
class IndicatorInput:
    """A name and its source."""

    name: str = strawberry.field(description="TA-Lib's name, as in `indicators`.")
    source: PriceSource = strawberry.field(description="The source.")


@strawberry.type(description="One output of an indicator, aligned with the series' `time`.")
class IndicatorOutput:
    """A name and its values."""

    name: str = strawberry.field(description="TA-Lib's name.")
    values: Numbers = strawberry.field(description="Null where there is no number.")


@strawberry.type(description="What a function of TA-Lib gives.")
class IndicatorResult:
    """A function's outputs."""

    name: str = strawberry.field(description="The function's name.")
    outputs: list[IndicatorOutput] = strawberry.field(description="Its outputs, in order.")


@strawberry.type(description="Root fields about indicators.")
class IndicatorQueries:
    """The catalogue."""

    @strawberry.field(description="TA-Lib's functions: of one group, or all.")
    async def indicators(self, group: str | None = None) -> list[IndicatorInfo]:
        """Describe them; the first time TA-Lib is asked what it accepts."""
        found: list[catalogue.Function] = await asyncio.to_thread(functions, group)
        return [_shown(each) for each in found]


def generic_call(
    name: str,
    parameters: Sequence[Mapping[str, float | str]],
    inputs: Sequence[Mapping[str, str]],
) -> Call:
    """Check a call by TA-Lib's names; pairs are of `name` and `value` or `source`.

    Raises:
        BadInput: something in it is not TA-Lib's.
    """
    return talib_call(
        name,
        {str(each["name"]): float(each["value"]) for each in parameters},
        {each["name"]: str(each["source"]).lower() for each in inputs},
    )


def _shown(function: catalogue.Function) -> IndicatorInfo:
    return IndicatorInfo(
        name=function.name,
        title=function.title,
        group=function.group,
        inputs=[
            InputInfo(name=each.name, columns=list(each.columns), choosable=each.choosable)
            for each in function.inputs
        ],
        parameters=[
            ParameterInfo(
                name=each.name,
                type=each.type,
                default=each.default,
                minimum=each.minimum,
                maximum=each.maximum,
                options=[
                    IndicatorOption(name=option.name, value=option.value) for option in each.options
                ],
            )
            for each in function.parameters
        ],
        outputs=[OutputInfo(name=each.name) for each in function.outputs],
        lookback=function.lookback,
    )
