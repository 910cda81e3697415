"""When a venue trades, as fields of Exchange."""

import datetime
from typing import Annotated, cast

import strawberry

from app.market import instrument
from app.market.trading_hours import Openings, is_open, next_close, next_open
from app.query.venues import Days
from graphql_schema.context import Info

_DAY = datetime.timedelta(days=1)

At = Annotated[
    datetime.datetime | None,
    strawberry.argument(description="The time asked about; left out: now."),
]


@strawberry.type(description="One trading date of a venue.")
class TradingSession:
    """Filled straight from app.market.trading_hours.TradingSession."""

    date: datetime.date = strawberry.field(
        description="The trading date; the session may open on the day before."
    )
    open: datetime.datetime = strawberry.field(description="When regular trading begins.")
    close: datetime.datetime = strawberry.field(description="When regular trading ends.")
    break_start: datetime.datetime | None = strawberry.field(
        description="When the lunch break begins; null where there is none."
    )
    break_end: datetime.datetime | None = strawberry.field(
        description="When trading goes on after the break; null where there is none."
    )
    late_open: bool = strawberry.field(description="It opens later than usual.")
    early_close: bool = strawberry.field(description="It closes earlier than usual: a half day.")


@strawberry.type(description="When a venue trades.")
class TradingHours:
    """Fields of Exchange, whose values are app.market.instrument.Exchange."""

    @strawberry.field(
        description="Whether regular trading goes on at that time; not so in the lunch break, nor"
        " before the open or after the close."
    )
    async def is_open(self, info: Info, at: At = None) -> bool:
        """Ask the calendar."""
        moment = _moment(at)
        return is_open(await _openings(self, info, moment), moment)

    @strawberry.field(
        description="When regular trading next begins after that time, be it after a lunch break;"
        " null where the calendar does not go that far."
    )
    async def next_open(self, info: Info, at: At = None) -> datetime.datetime | None:
        """Ask the calendar."""
        moment = _moment(at)
        return next_open(await _openings(self, info, moment), moment)

    @strawberry.field(
        description="When regular trading next ends after that time, be it for a lunch break; null"
        " where the calendar does not go that far."
    )
    async def next_close(self, info: Info, at: At = None) -> datetime.datetime | None:
        """Ask the calendar."""
        moment = _moment(at)
        return next_close(await _openings(self, info, moment), moment)

    @strawberry.field(
        description="Trading dates within [from, to), oldest first: at most twenty years, of those"
        " that the calendar knows."
    )
    async def sessions(
        self,
        info: Info,
        from_: Annotated[
            datetime.date, strawberry.argument(name="from", description="First date, inclusive.")
        ],
        to: Annotated[datetime.date, strawberry.argument(description="Last date, exclusive.")],
    ) -> list[TradingSession]:
        """List the calendar."""
        days = Days(exchange=_venue(self), first=from_, end=to)
        return cast(list[TradingSession], await info.context.loaders.sessions.load(days))


def _moment(at: datetime.datetime | None) -> datetime.datetime:
    return at or datetime.datetime.now(datetime.UTC)


async def _openings(hours: TradingHours, info: Info, moment: datetime.datetime) -> Openings:
    day = moment.astimezone(datetime.UTC).date()
    days = Days(exchange=_venue(hours), first=day, end=day + _DAY)
    return await info.context.loaders.openings.load(days)


def _venue(hours: TradingHours) -> instrument.Exchange:
    """Give the value that the fields are of: the market's own, attribute by attribute."""
    return cast(instrument.Exchange, hours)
