"""Write the read of the past that a question chooses or orders by, of all instruments at once.

Rows are grouped before anything is joined: a join on dates of 1.3 million rows costs as much again
as reading them (0.33 s against 0.57 s). So dates are constants of a FILTER, once for all
exchanges that have the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from app.query.screens.asked import Asked, First, eve, extreme_from
from app.query.screens.days import Bound
from app.query.screens.question import Side
from app.query.screens.splits import Adjusted


@dataclass(frozen=True, slots=True, kw_only=True)
class PastColumn:
    """An aggregate of each exchange's dates [first, on); `own` is each exchange's window."""

    name: str
    aggregate: str
    windows: tuple[tuple[date, date], ...]
    own: tuple[int, ...]

    def names(self) -> list[str]:
        """Give the name of each window's column."""
        return [f"{self.name}_{number}" for number, _ in enumerate(self.windows)]

    def aggregates(self, bound: Bound) -> Iterator[str]:
        """Give the aggregate over each window."""
        for name, (first, on) in zip(self.names(), self.windows, strict=True):
            yield (
                f"{self.aggregate} FILTER (WHERE d.trading_date >= {bound.bind(first, 'date')}"
                f" AND d.trading_date < {bound.bind(on, 'date')}) AS {name}"
            )

    def chosen(self, bound: Bound) -> str:
        """Give the value of the instrument's own window, over the group `g` of its pieces."""
        values = [f"max(g.{name})" for name in self.names()]
        if len(values) == 1:
            return f"{values[0]} AS {self.name}"
        own = bound.bind([number + 1 for number in self.own], "integer[]")
        return f"(ARRAY[{', '.join(values)}])[({own})[max(g.place)]] AS {self.name}"


def past_columns(asked: Asked, adjusted: Adjusted) -> list[PastColumn]:
    """Give what the question needs to know of the past of every instrument."""
    columns = []
    if asked.averaged:
        average = f"avg({adjusted.column('volume')})"
        columns.append(_column(asked, "average", average, lambda venue: venue.average_from))
    for place, extreme in enumerate(asked.screen.extremes):
        above = extreme.side is Side.ABOVE
        most = f"max({adjusted.column('high')})" if above else f"min({adjusted.column('low')})"
        columns.append(_column(asked, f"extreme_{place}", most, extreme_from(extreme)))
    return columns


def _column(asked: Asked, name: str, aggregate: str, first: First) -> PastColumn:
    each = [(first(venue), venue.on) for venue in asked.venues]
    windows = tuple(dict.fromkeys(each))
    own = tuple(windows.index(window) for window in each)
    return PastColumn(name=name, aggregate=aggregate, windows=windows, own=own)


def past(
    asked: Asked,
    columns: list[PastColumn],
    ids: Mapping[int, str],
    adjusted: Adjusted,
    bound: Bound,
) -> str:
    """Give one row for each instrument that has a past; '' where none is needed."""
    if not columns:
        return ""
    firsts = {
        venue.mic: min(column.windows[column.own[place]][0] for column in columns)
        for place, venue in enumerate(asked.venues)
    }
    read = asked.read(lambda venue: firsts[venue.mic], eve)
    days = " UNION ALL ".join(
        _OF_IDS.format(days=days, ids=ids[minutes])
        for minutes, days in asked.days.each(read, bound)
    )
    aggregates = ", ".join(each for column in columns for each in column.aggregates(bound))
    return _PAST.format(days=days, columns=aggregates, factor=adjusted.join)


_OF_IDS = """
        SELECT d.instrument_id, d.trading_date, d.high, d.low, d.volume
        FROM ({days}) AS d
        WHERE d.instrument_id = ANY ({ids})"""

_PAST = """
    SELECT d.instrument_id, {columns}
    FROM ({days}) AS d
    {factor}
    GROUP BY d.instrument_id"""
