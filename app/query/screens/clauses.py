"""Write what a screen chooses, orders and continues by, over `m`, an instrument's measures."""

from app.query.screens.days import Bound
from app.query.screens.question import Direction, Measure, Order, Place, Screen, Side

_SIGNS = {Side.ABOVE: ">", Side.BELOW: "<"}
_DIRECTIONS = {Direction.ASC: "ASC", Direction.DESC: "DESC"}
# By code point: the same order on every server, whatever its locale.
_SYMBOL = 'm.symbol COLLATE "C"'


def chosen(screen: Screen, bound: Bound) -> str:
    """Give the condition of a match; what does not exist meets none."""
    conditions = []
    for each in screen.bounds:
        if each.least is not None:
            conditions.append(f"m.{each.measure.value} >= {bound.bind(each.least, 'numeric')}")
        if each.most is not None:
            conditions.append(f"m.{each.measure.value} <= {bound.bind(each.most, 'numeric')}")
    for measure, side in screen.moved:
        conditions.append(f"m.{measure.value} {_SIGNS[side]} 0")
    for place, extreme in enumerate(screen.extremes):
        column = "high" if extreme.side is Side.ABOVE else "low"
        conditions.append(f"m.{column} {_SIGNS[extreme.side]} m.extreme_{place}")
    return " AND ".join(conditions) or "true"


def behind(order: Order, after: Place | None, bound: Bound) -> str:
    """Give the condition of what follows a row."""
    if after is None:
        return "true"
    symbol = f'{bound.bind(after.symbol, "text")} COLLATE "C"'
    sign = ">" if order.direction is Direction.ASC else "<"
    if order.measure is Measure.SYMBOL:
        return f"{_SYMBOL} {sign} {symbol}"
    measure = f"m.{order.measure.value}"
    if after.value is None:
        return f"{measure} IS NULL AND {_SYMBOL} > {symbol}"
    value = bound.bind(after.value, "numeric")
    return (
        f"({measure} {sign} {value} OR {measure} IS NULL"
        f" OR ({measure} = {value} AND {_SYMBOL} > {symbol}))"
    )


def ordered(order: Order) -> str:
    """Give the order: what does not exist last, ties by symbol."""
    direction = _DIRECTIONS[order.direction]
    if order.measure is Measure.SYMBOL:
        return f"{_SYMBOL} {direction}"
    return f"m.{order.measure.value} {direction} NULLS LAST, {_SYMBOL}"
