"""The CandleSeries type: columns of candles, and indicators on them."""

from collections.abc import Mapping
from typing import Annotated, Any

import strawberry

from app.query.downsampling import Method
from app.query.indicators.calls import Call
from app.query.market import Subject
from app.query.series import Wanted, check_warm_up
from app.query.series_rows import Series
from graphql_schema.analytics.indicator_fields import Numbers
from graphql_schema.analytics.indicators import (
    IndicatorInput,
    IndicatorOutput,
    IndicatorParameter,
    IndicatorResult,
    generic_call,
)
from graphql_schema.analytics.usual_indicators import TYPED
from graphql_schema.ready_list import ready_integers, ready_numbers
from graphql_schema.scalars import EpochMillis
from graphql_schema.shared_loader import SharedLoader

strawberry.enum(
    Method,
    name="DownsamplingMethod",
    description="How rows are chosen where there are more than `maxPoints`."
    " M4: the first, last, lowest and highest of each of maxPoints / 4 columns of equal time,"
    " which leaves a candle chart of that width as it is."
    " LTTB: those that make the closing line's largest triangles, one of as many rows each.",
)

MaxPoints = Annotated[
    int | None,
    strawberry.argument(description="Give at most so many rows: as many pixels as there are."),
]
PickedBy = Annotated[
    Method | None, strawberry.argument(description="How rows are chosen for `maxPoints`.")
]
SeriesLoader = SharedLoader[tuple[Subject, Wanted], Any]


def _usual(name: str) -> Any:
    """Make the field of one of the usual indicators."""
    typed = TYPED[name]

    async def resolve(self: "CandleSeries", **given: Any) -> Any:
        return typed.shown(await self.outputs(typed.call(name, given)))

    vars(resolve)["__signature__"] = typed.signature
    return strawberry.field(resolver=resolve, name=name, description=typed.description)


def _column(name: str, of: Any, description: str) -> Any:
    """Make the field of a column of candles."""

    async def resolve(self: "CandleSeries") -> Any:
        return await self.loader.load((self.subject, name))

    resolve.__annotations__["return"] = of
    return strawberry.field(resolver=resolve, description=description)


@strawberry.type(
    description="Candles column by column: equal-length lists, oldest first. Indicators are"
    " aligned with `time` and warmed up on candles from before the range; null where there are"
    " not enough."
)
class CandleSeries:
    """What is asked of one instrument's series, read once for all fields of a request."""

    subject: strawberry.Private[Subject]
    loader: strawberry.Private[SeriesLoader]
    most: strawberry.Private[int]

    time = _column("time", list[EpochMillis], "Bucket starts.")
    open = _column("open", Numbers, "First prices; null in a bucket filled with nulls.")
    high = _column("high", Numbers, "Highest prices.")
    low = _column("low", Numbers, "Lowest prices.")
    close = _column("close", Numbers, "Last prices.")
    volume = _column("volume", list[float], "Sums of sizes.")
    vwap = _column(
        "vwap",
        Numbers,
        "Each candle's own volume-weighted average price; null where a bar source does not give"
        " it.",
    )
    trades = _column(
        "trades", list[int], "How many trades; 0 where a bar source does not count them."
    )

    sma = _usual("sma")
    ema = _usual("ema")
    wma = _usual("wma")
    dema = _usual("dema")
    tema = _usual("tema")
    trima = _usual("trima")
    kama = _usual("kama")
    hma = _usual("hma")
    rma = _usual("rma")
    vwma = _usual("vwma")
    rolling_vwap = _usual("rollingVwap")
    anchored_vwap = _usual("anchoredVwap")
    bbands = _usual("bbands")
    keltner = _usual("keltner")
    donchian = _usual("donchian")
    supertrend = _usual("supertrend")
    sar = _usual("sar")
    rsi = _usual("rsi")
    macd = _usual("macd")
    ppo = _usual("ppo")
    stoch = _usual("stoch")
    stoch_rsi = _usual("stochRsi")
    williams_r = _usual("williamsR")
    cci = _usual("cci")
    mfi = _usual("mfi")
    roc = _usual("roc")
    mom = _usual("mom")
    cmo = _usual("cmo")
    trix = _usual("trix")
    aroon = _usual("aroon")
    adx = _usual("adx")
    plus_di = _usual("plusDi")
    minus_di = _usual("minusDi")
    atr = _usual("atr")
    natr = _usual("natr")
    stddev = _usual("stddev")
    obv = _usual("obv")
    ad = _usual("ad")
    cmf = _usual("cmf")

    @strawberry.field(description="Any function of TA-Lib by its name; `indicators` lists them.")
    async def indicator(
        self,
        name: str,
        parameters: list[IndicatorParameter] | None = None,
        inputs: list[IndicatorInput] | None = None,
    ) -> IndicatorResult:
        """Compute a function of TA-Lib."""
        call = generic_call(
            name,
            [{"name": each.name, "value": each.value} for each in parameters or ()],
            [{"name": each.name, "source": each.source} for each in inputs or ()],
        )
        found = await self.outputs(call)
        return IndicatorResult(
            name=name,
            outputs=[IndicatorOutput(name=each, values=values) for each, values in found.items()],
        )

    async def outputs(self, call: Call) -> Mapping[str, Numbers]:
        """Load a call's outputs.

        Raises:
            RangeTooLarge: it would have to look too far back.
        """
        check_warm_up(call, self.most)
        found: Mapping[str, Numbers] = await self.loader.load((self.subject, call))
        return found


def as_lists(series: Series) -> Mapping[Wanted, Any]:
    """Give what was wanted of a series as GraphQL takes it."""
    lists: dict[Wanted, Any] = {"time": ready_integers(series.time // 1000)}
    for name, column in series.values.items():
        lists[name] = ready_integers(column) if name == "trades" else ready_numbers(column)
    for call, outputs in series.outputs.items():
        lists[call] = {name: ready_numbers(column) for name, column in outputs.items()}
    return lists
