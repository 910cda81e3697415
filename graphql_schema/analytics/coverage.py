"""How complete an instrument's data are, as a field of Instrument."""

from datetime import datetime
from typing import Annotated, Self, cast

import strawberry

from app.market.interval import Interval
from app.query.coverage import coverage as answers
from app.query.coverage.coverage import asked_coverage
from app.query.coverage.reasons import MissingReason
from app.query.market import Subject
from graphql_schema.candle_arguments import OfSession, SessionFilter, Timezone, spec_of
from graphql_schema.context import Info
from graphql_schema.paging import page_size

_RANGES = 100

strawberry.enum(
    MissingReason,
    description="Why an expected bucket has no data; docs/sessions.md defines each.",
)


@strawberry.type(description="Expected buckets in a row that have no data, for one reason.")
class MissingRange:
    """Filled straight from app.query.coverage.coverage.MissingRange."""

    from_: datetime = strawberry.field(
        name="from", resolver=lambda root: root.start, description="The first bucket's start."
    )
    to: datetime = strawberry.field(
        resolver=lambda root: root.end, description="The last bucket's end."
    )
    buckets: int = strawberry.field(description="How many buckets.")
    reason: MissingReason = strawberry.field(description="Why they have no data.")


@strawberry.type(description="How complete an instrument's data are.")
class Coverage:
    """app.query.coverage.coverage.Coverage, counted."""

    from_: datetime = strawberry.field(name="from", description="The range's start, inclusive.")
    to: datetime = strawberry.field(
        description="The range's end, exclusive; what is still to come is left out."
    )
    expected: int = strawberry.field(description="Buckets in which regular trading lies.")
    present: int = strawberry.field(description="Expected buckets with data.")
    missing_count: int = strawberry.field(description="Expected buckets without data.")
    completeness: float | None = strawberry.field(
        description="`present` of `expected`, from 0 to 1; null where none is expected."
    )
    unexpected: int = strawberry.field(
        description="Buckets with data in which no regular trading lies."
    )
    closed: int = strawberry.field(
        description="Buckets of the range in which no regular trading lies."
    )
    missing_ranges: int = strawberry.field(description="How many ranges `missing` has in all.")
    late: int | None = strawberry.field(
        description="Rows that came when newer ones had been there for longer than the configured"
        " lateness; null where bars of several lengths are stored."
    )
    corrected: int = strawberry.field(description="Trades that were corrected one by one.")
    cancelled: int = strawberry.field(description="Trades that are cancelled.")
    flagged: int = strawberry.field(description="Rows that looked odd when they were stored.")
    watermark: datetime | None = strawberry.field(
        description="Up to where the instrument's data have come: the last trade's time or the last"
        " bar's end; null where there are none."
    )
    newest_event_time: datetime | None = strawberry.field(
        description="The last trade's time, or the last bar's start; null where there are none."
    )
    staleness_seconds: float | None = strawberry.field(
        description="Regular trading time of the venue between the watermark and now; null where"
        " there are no data or the calendar ends before now."
    )
    answer: strawberry.Private[answers.Coverage]

    @classmethod
    def of(cls, found: answers.Coverage) -> Self:
        """Show a coverage."""
        return cls(
            from_=found.start,
            to=found.end,
            expected=len(found.expected),
            present=found.present,
            missing_count=found.missing_count,
            completeness=found.completeness,
            unexpected=found.unexpected,
            closed=found.closed,
            missing_ranges=len(found.gaps),
            late=found.late,
            corrected=found.corrected,
            cancelled=found.cancelled,
            flagged=found.flagged,
            watermark=found.watermark,
            newest_event_time=found.newest_event_time,
            staleness_seconds=found.staleness_s,
            answer=found,
        )

    @strawberry.field(description="Where data are missing, and why; the oldest `first` ranges.")
    def missing(self, first: int | None = _RANGES) -> list[MissingRange]:
        """List the gaps."""
        return cast(
            list[MissingRange], self.answer.missing(page_size(_RANGES if first is None else first))
        )


@strawberry.type(description="How complete its data are.")
class Covered:
    """A field of Instrument."""

    subject: strawberry.Private[Subject]

    @strawberry.field(
        description="How complete its data are: the buckets of the venue's sessions that start"
        " within [from, to), those with data, and why others have none."
    )
    async def coverage(
        self,
        info: Info,
        interval: Interval,
        from_: Annotated[
            datetime, strawberry.argument(name="from", description="First time, inclusive.")
        ],
        to: Annotated[
            datetime | None, strawberry.argument(description="Last time, exclusive; or now.")
        ] = None,
        session: OfSession = SessionFilter.ALL,
        timezone: Timezone = None,
    ) -> Coverage:
        """Load the coverage."""
        spec = spec_of(interval, session, timezone, None)
        asked = asked_coverage(spec, from_, to)
        return Coverage.of(await info.context.loaders.coverage(asked).load(self.subject))
