"""Screens: the root field and the rows that it gives."""

import re
from datetime import date as Date
from decimal import Decimal
from typing import Annotated, Self, cast

import strawberry

from app.errors import BadCursor
from app.market.candle_spec import Adjust
from app.query.screens import screen as screens
from app.query.screens.question import Order, Place, ScreenKind
from graphql_schema import ids
from graphql_schema.analytics.screen_inputs import ScreenFilter, ScreenSort, asked_screen
from graphql_schema.candle_arguments import Adjusted, SessionFilter
from graphql_schema.context import Info
from graphql_schema.instrument import Instrument
from graphql_schema.market_types import PageInfo
from graphql_schema.paging import page_info, page_size
from graphql_schema.scalars import Cursor

_SCREEN = "Screen"
_NUMBER = re.compile(r"-?\d{1,64}(\.\d{1,64})?")


@strawberry.type(
    description="An instrument's day beside what was before it, in the day's own terms."
)
class ScreenRow:
    """Filled straight from app.query.screens.screen.ScreenRow, attribute by attribute."""

    instrument_id: strawberry.Private[int]
    date: Date = strawberry.field(description="The exchange's trading date.")
    open: Decimal = strawberry.field(description="The first price.")
    high: Decimal = strawberry.field(description="The highest price.")
    low: Decimal = strawberry.field(description="The lowest price.")
    close: Decimal = strawberry.field(description="The last price.")
    previous_close: Decimal | None = strawberry.field(
        description="The last close in the 52 weeks before; null where there is none."
    )
    change: Decimal | None = strawberry.field(description="Close less previous close.")
    change_percent: Decimal | None = strawberry.field(
        description="The change in percent of the previous close, to six digits; null where that is"
        " not above zero."
    )
    gap_percent: Decimal | None = strawberry.field(
        description="Open less previous close in percent of it, to six digits."
    )
    volume: Decimal = strawberry.field(description="The sum of sizes.")
    notional: Decimal | None = strawberry.field(
        description="The sum of price times size; null where a bar source does not give it."
    )
    trades: int = strawberry.field(
        description="How many trades; 0 where a bar source does not count them."
    )
    average_volume: Decimal | None = strawberry.field(
        description="Mean volume of the days among the 20 trading dates before, to six digits."
    )
    relative_volume: Decimal | None = strawberry.field(
        description="Volume over average volume, to six digits; null where that is zero."
    )
    high_52_week: Decimal = strawberry.field(
        description="The highest price of the 52 weeks that the day ends."
    )
    low_52_week: Decimal = strawberry.field(
        description="The lowest price of the 52 weeks that the day ends."
    )
    new_high: bool | None = strawberry.field(
        description="The day's high is above all highs of the 52 weeks before it; null where there"
        " are none."
    )
    new_low: bool | None = strawberry.field(
        description="The day's low is below all lows of the 52 weeks before it; null where there"
        " are none."
    )

    @strawberry.field(description="The instrument.")
    async def instrument(self, info: Info) -> Instrument:
        """Load the instrument, with those of all rows."""
        found = await info.context.loaders.instrument_by_id.load(self.instrument_id)
        assert found is not None, "instruments are never deleted"
        return Instrument.of(found)


@strawberry.type(description="A row of a screen and its place in the order.")
class ScreenEdge:
    """Relay edge of a screen."""

    cursor: Cursor = strawberry.field(description="Give it as `after` to go on behind this one.")
    node: ScreenRow = strawberry.field(description="The row.")


@strawberry.type(description="The date that an exchange was screened on.")
class ScreenDate:
    """One exchange's date."""

    exchange: str = strawberry.field(description="The exchange's MIC.")
    date: Date = strawberry.field(description="Its newest date with data, or the one asked for.")


@strawberry.type(description="A page of a screen.")
class ScreenConnection:
    """Relay connection of a screen."""

    edges: list[ScreenEdge] = strawberry.field(description="The rows of this page, in order.")
    page_info: PageInfo = strawberry.field(description="Whether and where there is more.")
    total_count: int = strawberry.field(description="How many instruments match, on all pages.")
    dates: list[ScreenDate] = strawberry.field(
        description="The date of each exchange that was screened, by MIC."
    )

    @classmethod
    def of(cls, page: screens.ScreenPage, order: Order, after: str | None) -> Self:
        """Show a page."""
        edges = [
            ScreenEdge(cursor=_cursor(order, row.place(order.measure)), node=cast(ScreenRow, row))
            for row in page.rows
        ]
        return cls(
            edges=edges,
            page_info=page_info(edges, page.has_next, after),
            total_count=page.matches,
            dates=[ScreenDate(exchange=mic, date=date) for mic, date in page.dates.items()],
        )


On = Annotated[
    Date | None,
    strawberry.argument(description="A trading date; without it, each exchange's newest one."),
]
DaySession = Annotated[
    SessionFilter | None,
    strawberry.argument(description="Days are made of this part of the exchange's day only."),
]


@strawberry.type(description="Screens.")
class ScreenQuery:
    """The root field."""

    @strawberry.field(
        description="Instruments that stand out on one trading date: by a well-known screen, by"
        " conditions of one's own, or both; a sort given counts more than the screen's."
    )
    async def screen(
        self,
        info: Info,
        kind: ScreenKind | None = None,
        filter: ScreenFilter | None = None,
        sort: ScreenSort | None = None,
        on: On = None,
        session: DaySession = SessionFilter.ALL,
        adjust: Adjusted = Adjust.SPLITS,
        first: int | None = 50,
        after: str | None = None,
    ) -> ScreenConnection:
        """Read a page."""
        count = page_size(first)
        asked = asked_screen(kind, filter or ScreenFilter(), sort, on, session, adjust)
        place = _place(asked.order, after)
        page = await screens.read_screen(info.context.market, asked, place, count)
        return ScreenConnection.of(page, asked.order, after)


def _cursor(order: Order, place: Place) -> Cursor:
    value = "" if place.value is None else format(place.value, "f")
    key = f"{order.measure.name}:{order.direction}:{value}:{place.symbol}"
    return Cursor(ids.encode(_SCREEN, key))


def _place(order: Order, cursor: str | None) -> Place | None:
    """Give the place in a cursor of this very order.

    Raises:
        BadCursor: it is of another order, or of another field.
    """
    key = ids.decode_cursor(_SCREEN, cursor)
    if key is None:
        return None
    prefix = f"{order.measure.name}:{order.direction}:"
    value, _, symbol = key.removeprefix(prefix).partition(":")
    usable = key.startswith(prefix) and symbol and "\0" not in symbol
    if not usable or (value and not _NUMBER.fullmatch(value)):
        raise BadCursor(f"{cursor!r} is no cursor of this field in this order")
    return Place(value=Decimal(value) if value else None, symbol=symbol)
