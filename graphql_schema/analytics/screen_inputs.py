"""What is asked of a screen: its filter and its order."""

from datetime import date
from decimal import Decimal

import strawberry

from app.market.candle import Session
from app.market.candle_spec import Adjust
from app.market.instrument import AssetClass
from app.query.screens.question import (
    MAX_DAYS,
    Bounds,
    Direction,
    Extreme,
    Measure,
    Order,
    Screen,
    ScreenKind,
    Side,
    screen_of,
)
from graphql_schema.candle_arguments import SessionFilter
from graphql_schema.paging import plain_text

strawberry.enum(ScreenKind, description="A well-known screen: a condition and an order.")
strawberry.enum(
    Measure, name="ScreenMeasure", description="A number of an instrument's day, or its symbol."
)
strawberry.enum(Direction, name="SortDirection", description="Smallest first, or largest first.")


@strawberry.input(description="From `min` to `max`, both inclusive; one left out is no bound.")
class ScreenRange:
    """Bounds of a measure."""

    min: Decimal | None = strawberry.field(default=None, description="The least.")
    max: Decimal | None = strawberry.field(default=None, description="The most.")


@strawberry.input(
    description="What must be so of an instrument and its day, all of it. A number that does not"
    " exist is in no range."
)
class ScreenFilter:
    """Conditions of a screen; a field for each measure carries the measure's name."""

    exchanges: list[str] | None = strawberry.field(
        default=None, description="Trades at one of these: MICs, or `24/7`."
    )
    asset_classes: list[AssetClass] | None = strawberry.field(
        default=None, description="Is one of these kinds of thing."
    )
    currencies: list[str] | None = strawberry.field(
        default=None, description="Is priced in one of these."
    )
    close: ScreenRange | None = strawberry.field(default=None, description="The day's last price.")
    change: ScreenRange | None = strawberry.field(
        default=None, description="Close less previous close."
    )
    change_percent: ScreenRange | None = strawberry.field(
        default=None, description="The change in percent of the previous close."
    )
    gap_percent: ScreenRange | None = strawberry.field(
        default=None, description="Open less previous close, in percent of it."
    )
    volume: ScreenRange | None = strawberry.field(default=None, description="The day's volume.")
    notional: ScreenRange | None = strawberry.field(
        default=None, description="The sum of price times size, in the instrument's currency."
    )
    trades: ScreenRange | None = strawberry.field(default=None, description="How many trades.")
    average_volume: ScreenRange | None = strawberry.field(
        default=None, description="Mean volume of the days among the 20 trading dates before."
    )
    relative_volume: ScreenRange | None = strawberry.field(
        default=None, description="Volume over average volume."
    )
    new_high_days: int | None = strawberry.field(
        default=None,
        description="The day's high is above all highs of so many trading dates before it,"
        f" 1 to {MAX_DAYS}.",
    )
    new_low_days: int | None = strawberry.field(
        default=None,
        description="The day's low is below all lows of so many trading dates before it,"
        f" 1 to {MAX_DAYS}.",
    )

    def bounds(self) -> tuple[Bounds, ...]:
        """Give the ranges that are asked for."""
        given = ((each, getattr(self, each.value, None)) for each in Measure)
        return tuple(
            Bounds(measure=each, least=own.min, most=own.max) for each, own in given if own
        )

    def extremes(self) -> tuple[Extreme, ...]:
        """Give the highs and lows that are asked for."""
        given = ((Side.ABOVE, self.new_high_days), (Side.BELOW, self.new_low_days))
        return tuple(Extreme(side=side, days=days) for side, days in given if days is not None)


@strawberry.input(description="The order of a screen; ties go by symbol.")
class ScreenSort:
    """A measure and a direction."""

    field: Measure = strawberry.field(description="What counts; rows without it come last.")
    direction: Direction = strawberry.field(
        default=Direction.DESC, description="Largest first, unless smallest first is asked for."
    )


def asked_screen(
    kind: ScreenKind | None,
    wanted: ScreenFilter,
    sort: ScreenSort | None,
    on: date | None,
    session: SessionFilter | None,
    adjust: Adjust | None,
) -> Screen:
    """Read the arguments of a screen.

    Raises:
        BadInput: one of them cannot be used.
    """
    return screen_of(
        kind=kind,
        on=on,
        session=None if session in (None, SessionFilter.ALL) else Session[str(session)],
        adjust=Adjust.SPLITS if adjust is None else adjust,
        exchanges=_texts("exchanges", wanted.exchanges),
        asset_classes=None if wanted.asset_classes is None else tuple(wanted.asset_classes),
        currencies=_texts("currencies", wanted.currencies),
        bounds=wanted.bounds(),
        extremes=wanted.extremes(),
        order=None if sort is None else Order(measure=sort.field, direction=sort.direction),
    )


def _texts(name: str, texts: list[str] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(str(plain_text(name, each)) for each in texts)
