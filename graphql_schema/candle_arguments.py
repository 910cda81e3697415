"""The arguments that candle lists share, and what they ask for."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import strawberry

from app.market.candle import Session
from app.market.candle_spec import Adjust, CandleSpec
from app.market.interval import Interval
from app.query.filling import Fill
from app.query.window import Window, window_of
from graphql_schema.context import Info

strawberry.enum(
    Adjust,
    description="What past prices and volumes are adjusted for: nothing, splits, or distributions"
    " as well, held against the close before their ex date (ALL, as vendors do) or the close of it"
    " (TOTAL_RETURN).",
)
strawberry.enum(Fill, description="What stands in buckets that were expected and had no trading.")


@strawberry.enum(description="Which part of the exchange's day counts.")
class SessionFilter(StrEnum):
    """Session, and all of them."""

    ALL = "ALL"
    PRE = "PRE"
    REGULAR = "REGULAR"
    POST = "POST"


From = Annotated[
    datetime | None, strawberry.argument(name="from", description="First time, inclusive.")
]
To = Annotated[datetime | None, strawberry.argument(description="Last time, exclusive.")]
Last = Annotated[
    int | None, strawberry.argument(description="The newest so many (before `to`, where given).")
]
OfSession = Annotated[
    SessionFilter | None,
    strawberry.argument(
        description="Only this part of the exchange's day; intervals below a day count from the"
        " session's open (after a lunch break from the reopening, before the open back from it)."
    ),
]
Timezone = Annotated[
    str | None,
    strawberry.argument(
        description="IANA zone whose calendar makes the buckets: days, weeks and months are its"
        " own, shorter ones count from its midnight. Without it, days are the exchange's dates."
    ),
]
Adjusted = Annotated[
    Adjust | None,
    strawberry.argument(description="Corporate actions that past prices are adjusted for."),
]

Filled = Annotated[
    Fill | None,
    strawberry.argument(
        description="What stands in buckets of the venue's sessions in which nothing traded, up to"
        " the newest data: NONE leaves them out, PREVIOUS repeats the close before, with no volume,"
        " NULL has no prices (only in `series`)."
    ),
]


def spec_of(
    interval: Interval,
    session: SessionFilter | None,
    timezone: str | None,
    adjust: Adjust | None,
) -> CandleSpec:
    """Give the kind of candles that is asked for.

    Raises:
        BadInput: there is no such time zone.
    """
    one = None if session in (None, SessionFilter.ALL) else Session[str(session)]
    return CandleSpec(
        interval=interval, session=one, timezone=timezone, adjust=adjust or Adjust.NONE
    )


def asked_window(
    info: Info, start: datetime | None, end: datetime | None, last: int | None
) -> Window:
    """Check the part of time that is asked for."""
    return window_of(start, end, last, info.context.limits.max_points)
