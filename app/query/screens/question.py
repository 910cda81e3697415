"""What a screen asks: whose, of which date, which of them, in what order."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from app.errors import BadInput
from app.market.candle import Session
from app.market.candle_spec import Adjust
from app.market.instrument import AssetClass

MAX_DAYS = 260


class ScreenKind(StrEnum):
    """A well-known screen: a condition and an order."""

    TOP_GAINERS = "TOP_GAINERS"
    TOP_LOSERS = "TOP_LOSERS"
    MOST_ACTIVE = "MOST_ACTIVE"
    NEW_HIGHS = "NEW_HIGHS"
    NEW_LOWS = "NEW_LOWS"
    GAP_UP = "GAP_UP"
    GAP_DOWN = "GAP_DOWN"


class Measure(StrEnum):
    """A number of an instrument's day that can be bounded and ordered by; its name in SQL."""

    SYMBOL = "symbol"
    CLOSE = "close"
    CHANGE = "change"
    CHANGE_PERCENT = "change_percent"
    GAP_PERCENT = "gap_percent"
    VOLUME = "volume"
    NOTIONAL = "notional"
    TRADES = "trades"
    AVERAGE_VOLUME = "average_volume"
    RELATIVE_VOLUME = "relative_volume"


class Direction(StrEnum):
    """Smallest first, or largest first."""

    ASC = "ASC"
    DESC = "DESC"


class Side(StrEnum):
    """Above what was before, or below."""

    ABOVE = "ABOVE"
    BELOW = "BELOW"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A measure within [least, most]; None: unbounded. What does not exist is in no bounds."""

    measure: Measure
    least: Decimal | None
    most: Decimal | None

    def __post_init__(self) -> None:
        """Refuse bounds that nothing is within.

        Raises:
            BadInput: they are inside out.
        """
        if self.least is not None and self.most is not None and self.least > self.most:
            raise BadInput(
                f"`min` {str(self.least)!r} of {self.measure} is above `max` {str(self.most)!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Extreme:
    """A new high (ABOVE) or low of so many trading dates; None: of 52 weeks."""

    side: Side
    days: int | None

    def __post_init__(self) -> None:
        """Refuse a number of days that is not looked back over.

        Raises:
            BadInput: it is out of range.
        """
        if self.days is not None and not 1 <= self.days <= MAX_DAYS:
            name = "newHighDays" if self.side is Side.ABOVE else "newLowDays"
            raise BadInput(f"`{name}` is {self.days!r}: it must be from 1 to {MAX_DAYS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """By a measure, what does not exist last; ties by symbol."""

    measure: Measure
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Behind this row of an order: its measure (None: it has none) and symbol."""

    value: Decimal | None
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A whole question but for the page; None: any, and of `on`: each exchange's newest date.

    `moved` are measures that must be above or below zero.
    """

    on: date | None
    session: Session | None
    adjust: Adjust
    exchanges: tuple[str, ...] | None
    asset_classes: tuple[AssetClass, ...] | None
    currencies: tuple[str, ...] | None
    bounds: tuple[Bounds, ...]
    extremes: tuple[Extreme, ...]
    moved: tuple[tuple[Measure, Side], ...]
    order: Order

    @property
    def measures(self) -> frozenset[Measure]:
        """What must be known of every instrument, to choose and to order."""
        bounded = [each.measure for each in self.bounds]
        return frozenset([*bounded, *(measure for measure, _ in self.moved), self.order.measure])


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a well-known screen adds to a question."""

    moved: tuple[tuple[Measure, Side], ...] = ()
    extreme: Side | None = None
    order: Order


_UP, _DOWN = (
    Order(measure=Measure.CHANGE_PERCENT, direction=each)
    for each in (Direction.DESC, Direction.ASC)
)
PRESETS = {
    ScreenKind.TOP_GAINERS: Preset(moved=((Measure.CHANGE_PERCENT, Side.ABOVE),), order=_UP),
    ScreenKind.TOP_LOSERS: Preset(moved=((Measure.CHANGE_PERCENT, Side.BELOW),), order=_DOWN),
    ScreenKind.MOST_ACTIVE: Preset(
        moved=((Measure.VOLUME, Side.ABOVE),),
        order=Order(measure=Measure.VOLUME, direction=Direction.DESC),
    ),
    ScreenKind.NEW_HIGHS: Preset(extreme=Side.ABOVE, order=_UP),
    ScreenKind.NEW_LOWS: Preset(extreme=Side.BELOW, order=_DOWN),
    ScreenKind.GAP_UP: Preset(
        moved=((Measure.GAP_PERCENT, Side.ABOVE),),
        order=Order(measure=Measure.GAP_PERCENT, direction=Direction.DESC),
    ),
    ScreenKind.GAP_DOWN: Preset(
        moved=((Measure.GAP_PERCENT, Side.BELOW),),
        order=Order(measure=Measure.GAP_PERCENT, direction=Direction.ASC),
    ),
}
_BY_SYMBOL = Order(measure=Measure.SYMBOL, direction=Direction.ASC)


def screen_of(
    *,
    kind: ScreenKind | None = None,
    on: date | None = None,
    session: Session | None = None,
    adjust: Adjust = Adjust.SPLITS,
    exchanges: tuple[str, ...] | None = None,
    asset_classes: tuple[AssetClass, ...] | None = None,
    currencies: tuple[str, ...] | None = None,
    bounds: tuple[Bounds, ...] = (),
    extremes: tuple[Extreme, ...] = (),
    order: Order | None = None,
) -> Screen:
    """Put a question together; what is given for itself counts more than the preset's.

    Raises:
        BadInput: screens do not adjust for that.
    """
    if adjust not in (Adjust.NONE, Adjust.SPLITS):
        raise BadInput(f"`adjust` is {str(adjust)!r}: screens adjust for SPLITS, or NONE")
    preset = None if kind is None else PRESETS[kind]
    if preset is not None and preset.extreme is not None:
        sides = [each.side for each in extremes]
        if preset.extreme not in sides:
            extremes = (*extremes, Extreme(side=preset.extreme, days=None))
    return Screen(
        on=on,
        session=session,
        adjust=adjust,
        exchanges=exchanges,
        asset_classes=asset_classes,
        currencies=currencies,
        bounds=bounds,
        extremes=extremes,
        moved=() if preset is None else preset.moved,
        order=order or (_BY_SYMBOL if preset is None else preset.order),
    )
