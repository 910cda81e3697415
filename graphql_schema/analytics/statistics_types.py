"""Statistics of one instrument as GraphQL shows them."""

from collections.abc import Callable
from datetime import datetime

import strawberry

from app.query.statistics.rolling import Rolling
from app.query.statistics.terms import ReturnKind
from graphql_schema.ready_list import ready_integers, ready_numbers
from graphql_schema.scalars import EpochMillis

strawberry.enum(
    ReturnKind,
    description="How the change from one close to the next is measured: as a share of the first"
    " (SIMPLE), or as the logarithm of their ratio (LOG).",
)

_YEARLY = "annualised by the square root of `periodsPerYear`"


@strawberry.type(description="The deepest fall from a peak.")
class Drawdown:
    """See app.query.statistics.performance."""

    value: float = strawberry.field(description="As a share of the peak: -0.25 is a fall by 25 %.")
    peak: datetime | None = strawberry.field(
        description="The candle that it fell from; null where nothing fell."
    )
    trough: datetime | None = strawberry.field(
        description="The candle of the lowest close; null where nothing fell."
    )
    recovery: datetime | None = strawberry.field(
        description="The first candle that closed at the peak or above; null where none has yet."
    )
    length: int = strawberry.field(
        description="Candles from the peak to the recovery, or to the end."
    )


@strawberry.type(
    description="What the returns between closes amount to. Null where a number does not exist:"
    " no spread to divide by, too few returns."
)
class Statistics:
    """See app.query.statistics.performance."""

    observations: int = strawberry.field(description="How many returns there are.")
    since: datetime = strawberry.field(
        name="from", description="The candle whose close the first return counts from."
    )
    until: datetime = strawberry.field(name="to", description="The candle of the last return.")
    periods_per_year: float = strawberry.field(
        description="How many such candles count as a year; what is annualised is by this."
    )
    total_return: float | None = strawberry.field(
        description="The last close over the first, less 1; the same for both kinds of returns."
    )
    annualized_return: float | None = strawberry.field(
        description="The yearly growth that gives `totalReturn`, compounded."
    )
    annualized_volatility: float | None = strawberry.field(
        description=f"Sample standard deviation of the returns, {_YEARLY}."
    )
    downside_deviation: float | None = strawberry.field(
        description="Root mean square of what returns are below the risk-free one, over all"
        f" returns, {_YEARLY}."
    )
    sharpe: float | None = strawberry.field(
        description="Mean return above the risk-free one over its standard deviation, annualised."
    )
    sortino: float | None = strawberry.field(
        description="Mean return above the risk-free one over the downside deviation, annualised."
    )
    calmar: float | None = strawberry.field(
        description="`annualizedReturn` over the size of `maxDrawdown`."
    )
    max_drawdown: Drawdown | None = strawberry.field(
        description="The deepest fall of closes from an earlier high; null without returns."
    )
    mean: float | None = strawberry.field(description="Mean of the returns, not annualised.")
    best: float | None = strawberry.field(description="The highest return.")
    worst: float | None = strawberry.field(description="The lowest return.")
    positive_share: float | None = strawberry.field(description="Share of returns above 0.")
    value_at_risk: float | None = strawberry.field(
        description="Historical: the return that all but a share 1 - `confidence` are above."
        " A return, so negative where it is a loss."
    )
    conditional_value_at_risk: float | None = strawberry.field(
        description="Mean of the returns at and beyond `valueAtRisk`."
    )
    skew: float | None = strawberry.field(
        description="Third standardised moment of the returns (of the population)."
    )
    kurtosis: float | None = strawberry.field(
        description="Fourth standardised moment of the returns (of the population), less 3."
    )
    benchmark_observations: int | None = strawberry.field(
        description="Returns between times that instrument and benchmark both have; what follows is"
        " of these. Null without a benchmark."
    )
    beta: float | None = strawberry.field(
        description="Covariance with the benchmark's returns over their variance."
    )
    alpha: float | None = strawberry.field(
        description="Mean return above the risk-free one that beta does not explain, compounded to"
        " a year."
    )
    correlation: float | None = strawberry.field(
        description="Pearson's, of the returns and the benchmark's."
    )
    tracking_error: float | None = strawberry.field(
        description=f"Sample standard deviation of the returns less the benchmark's, {_YEARLY}."
    )
    information_ratio: float | None = strawberry.field(
        description="Mean of the returns less the benchmark's over its standard deviation,"
        " annualised."
    )


def _periods(self: "RollingStatistics") -> float:
    return self.rolling.periods_per_year


def _times(self: "RollingStatistics") -> list[EpochMillis]:
    return ready_integers(self.rolling.time_ms)


def _numbers(column: str) -> Callable[..., list[float | None]]:
    """Give a resolver that makes a list of a column."""

    def resolve(self: "RollingStatistics") -> list[float | None]:
        return ready_numbers(getattr(self.rolling, column))

    return resolve


@strawberry.type(
    description="Columns of one length, oldest first: each number is of the `window` returns up to"
    " that candle. Null where there are fewer, or where a number does not exist."
)
class RollingStatistics:
    """See app.query.statistics.rolling; columns become lists where they are asked for."""

    rolling: strawberry.Private[Rolling]

    periods_per_year: float = strawberry.field(
        resolver=_periods, description="How many such candles count as a year."
    )
    time: list[EpochMillis] = strawberry.field(
        resolver=_times, description="When each candle begins."
    )
    total_return: list[float | None] = strawberry.field(
        resolver=_numbers("total_return"),
        description="The close over that before the window, less 1.",
    )
    volatility: list[float | None] = strawberry.field(
        resolver=_numbers("volatility"),
        description=f"Sample standard deviation of the returns, {_YEARLY}.",
    )
    sharpe: list[float | None] = strawberry.field(
        resolver=_numbers("sharpe"), description="As in `Statistics`."
    )
    sortino: list[float | None] = strawberry.field(
        resolver=_numbers("sortino"), description="As in `Statistics`."
    )
    max_drawdown: list[float | None] = strawberry.field(
        resolver=_numbers("max_drawdown"),
        description="The deepest fall within the window: 0 or negative.",
    )
    beta: list[float | None] = strawberry.field(
        resolver=_numbers("beta"),
        description="Against the benchmark, over the newest `window` returns that both have; null"
        " also at candles that the benchmark lacks.",
    )
    alpha: list[float | None] = strawberry.field(
        resolver=_numbers("alpha"), description="As `beta`; as in `Statistics`."
    )
    correlation: list[float | None] = strawberry.field(
        resolver=_numbers("correlation"), description="As `beta`; Pearson's."
    )
