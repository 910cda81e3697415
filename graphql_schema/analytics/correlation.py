"""How alike the returns of many instruments are."""

from typing import Annotated

import strawberry

from app.market.candle_spec import Adjust
from app.market.interval import Interval
from app.query.statistics.correlation import CorrelationMethod, CorrelationTimes
from app.query.statistics.reading import read_correlations
from app.query.statistics.terms import ReturnKind, Terms
from graphql_schema.analytics.statistics import DAILY, MeasuredBy
from graphql_schema.candle_arguments import (
    Adjusted,
    From,
    Last,
    OfSession,
    SessionFilter,
    Timezone,
    To,
    asked_window,
    spec_of,
)
from graphql_schema.context import Info
from graphql_schema.ready_list import ready_integers, ready_numbers

strawberry.enum(
    CorrelationMethod,
    description="What is correlated: the returns (PEARSON), or their ranks (SPEARMAN).",
)
strawberry.enum(
    CorrelationTimes,
    description="Which times count: all that a pair has in common (PAIRWISE), or only those that"
    " all instruments have (COMMON), which makes the matrix positive semi-definite.",
)


@strawberry.type(
    description="Correlations of returns, square and symmetric; rows and columns in the order of"
    " the symbols."
)
class CorrelationMatrix:
    """See app.query.statistics.correlation."""

    symbols: list[str] = strawberry.field(description="As they were asked for.")
    values: list[list[float | None]] = strawberry.field(
        description="From -1 to 1; null where a pair has fewer than two returns in common, or one"
        " of them does not move."
    )
    observations: list[list[int]] = strawberry.field(
        description="How many returns each pair has in common."
    )


@strawberry.type
class CorrelationQuery:
    """Fields at the root."""

    @strawberry.field(
        description="Correlate instruments, each with each, over the candles that start within"
        " [from, to), or the newest `last`. A pair's returns are between neighbouring times that"
        " both have."
    )
    async def correlation(
        self,
        info: Info,
        symbols: Annotated[
            list[str], strawberry.argument(description="From 1 to 500; all must be known.")
        ],
        interval: Interval = DAILY,
        from_: From = None,
        to: To = None,
        last: Last = None,
        session: OfSession = SessionFilter.ALL,
        timezone: Timezone = None,
        adjust: Adjusted = Adjust.ALL,
        returns: MeasuredBy = ReturnKind.SIMPLE,
        method: Annotated[
            CorrelationMethod, strawberry.argument(description="What is correlated.")
        ] = CorrelationMethod.PEARSON,
        times: Annotated[
            CorrelationTimes, strawberry.argument(description="Which times count.")
        ] = CorrelationTimes.PAIRWISE,
    ) -> CorrelationMatrix | None:
        """Read and correlate."""
        found = await read_correlations(
            info.context.market,
            symbols,
            spec_of(interval, session, timezone, adjust or Adjust.ALL),
            asked_window(info, from_, to, last),
            Terms(returns=returns),
            method,
            times,
            max_symbols=info.context.limits.max_symbols,
        )
        return CorrelationMatrix(
            symbols=symbols,
            values=ready_numbers(found.value),
            observations=ready_integers(found.observations),
        )
