"""What an instrument's returns amount to: over a range, and in a window that moves."""

from typing import Annotated, cast

import strawberry

from app.market.candle_spec import Adjust
from app.market.interval import Interval
from app.query.market import Subject
from app.query.statistics.reading import Question
from app.query.statistics.terms import ReturnKind, Terms, checked_periods
from graphql_schema.analytics.statistics_types import RollingStatistics, Statistics
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

DAILY = Interval.parse("1d")

Benchmark = Annotated[
    str | None,
    strawberry.argument(description="Symbol of what to compare with, over the same candles."),
]
MeasuredBy = Annotated[ReturnKind, strawberry.argument(description="How returns are measured.")]
RiskFree = Annotated[float, strawberry.argument(description="Risk-free rate a year: 0.05 is 5 %.")]
PeriodsPerYear = Annotated[
    float | None,
    strawberry.argument(
        description="How many candles count as a year. Without it: 252 days at an exchange, 365"
        " where it never closes, 52 weeks, 12 months; shorter candles by the regular session."
    ),
]


@strawberry.type
class MeasuredInstrument:
    """Fields of an instrument."""

    subject: strawberry.Private[Subject]

    @strawberry.field(
        description="Returns, risk and ratios over the candles that start within [from, to), or the"
        " newest `last`. Returns are from close to close; the first counts from the candle before"
        " the range, where there is one."
    )
    async def statistics(
        self,
        info: Info,
        interval: Interval = DAILY,
        from_: From = None,
        to: To = None,
        last: Last = None,
        session: OfSession = SessionFilter.ALL,
        timezone: Timezone = None,
        adjust: Adjusted = Adjust.ALL,
        benchmark: Benchmark = None,
        returns: MeasuredBy = ReturnKind.SIMPLE,
        risk_free: RiskFree = 0.0,
        periods_per_year: PeriodsPerYear = None,
        confidence: Annotated[
            float, strawberry.argument(description="Of the values at risk: above 0, below 1.")
        ] = 0.95,
    ) -> Statistics | None:
        """Load statistics."""
        question = Question(
            spec=spec_of(interval, session, timezone, adjust or Adjust.ALL),
            window=asked_window(info, from_, to, last),
            terms=Terms(returns=returns, risk_free=risk_free, confidence=confidence),
            periods_per_year=checked_periods(periods_per_year),
            benchmark=benchmark,
        )
        loader = info.context.loaders.statistics(question)
        return cast(Statistics, await loader.load(self.subject))

    @strawberry.field(
        description="Statistics over the `window` returns up to each candle that starts within"
        " [from, to), or the newest `last`; earlier candles are read to begin with."
    )
    async def rolling_statistics(
        self,
        info: Info,
        window: Annotated[
            int, strawberry.argument(description="How many returns: from 2 to 5,000.")
        ],
        interval: Interval = DAILY,
        from_: From = None,
        to: To = None,
        last: Last = None,
        session: OfSession = SessionFilter.ALL,
        timezone: Timezone = None,
        adjust: Adjusted = Adjust.ALL,
        benchmark: Benchmark = None,
        returns: MeasuredBy = ReturnKind.SIMPLE,
        risk_free: RiskFree = 0.0,
        periods_per_year: PeriodsPerYear = None,
    ) -> RollingStatistics | None:
        """Load rolling statistics."""
        question = Question(
            spec=spec_of(interval, session, timezone, adjust or Adjust.ALL),
            window=asked_window(info, from_, to, last),
            terms=Terms(returns=returns, risk_free=risk_free),
            periods_per_year=checked_periods(periods_per_year),
            benchmark=benchmark,
        )
        loader = info.context.loaders.rolling(question, window)
        return RollingStatistics(rolling=await loader.load(self.subject))
