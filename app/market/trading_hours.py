"""When a venue trades: whether it is open at a moment, its sessions of a range, the next of them.

Open means within [open, close) of a trading date, outside of its lunch break. What calendars do not
tell, trading before the open and after the close, is not counted.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from app.errors import BadRange, RangeTooLarge
from app.market.grid import Micros, micros, moment_of
from app.market.instrument import Exchange
from app.market.schedule import NEVER, Schedule, known_dates, schedule_of

MAX_YEARS = 20
_DECADE = 10
_YEAR = timedelta(days=366)
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingSession:
    """One trading date: it may open on the day before, as futures do."""

    date: date
    open: datetime
    close: datetime
    break_start: datetime | None
    break_end: datetime | None
    late_open: bool
    early_close: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Openings:
    """The times in which trading goes on: [starts, ends) in microseconds since 1970 UTC, in order.

    A lunch break makes two of a session.
    """

    starts: Micros
    ends: Micros


def schedule_around(exchange: Exchange, first: date, last: date) -> Schedule:
    """Give the schedule of the decades around two dates; not for the event loop (see schedule_of).

    Raises:
        BadRange: the venue's calendar is not known for one of them.
    """
    check_known(exchange, first)
    check_known(exchange, last)
    # Whole decades: few different spans are remembered.
    begin = (first.year - 1) // _DECADE * _DECADE
    end = (last.year + 1) // _DECADE * _DECADE + _DECADE - 1
    return schedule_of(exchange, begin, end)


def check_known(exchange: Exchange, day: date) -> None:
    """Refuse a date that the venue's calendar cannot tell of.

    Raises:
        BadRange: it is before the first or behind the last date that is known.
    """
    first, last = known_dates(exchange)
    if not first <= day <= last:
        raise BadRange(
            f"{day.isoformat()!r} is not in the calendar of {exchange.mic!r}: it is known from"
            f" {first} to {last}"
        )


def check_dates(exchange: Exchange, start: date, end: date, max_points: int) -> None:
    """Check a half-open range of dates whose sessions are asked for.

    Raises:
        BadRange: it is inside out, or the calendar is not known for some of it.
        RangeTooLarge: it is longer than twenty years, or has more days than `max_points`.
    """
    if start > end:
        raise BadRange(f"`from` {start.isoformat()!r} is after `to` {end.isoformat()!r}")
    first, last = known_dates(exchange)
    if start < first or end > last + timedelta(days=1):
        raise BadRange(
            f"the dates from {start.isoformat()!r} to before {end.isoformat()!r} are not all in the"
            f" calendar of {exchange.mic!r}: it is known from {first} to {last}"
        )
    if (end - start).days > min(MAX_YEARS * _YEAR.days, max_points):
        raise RangeTooLarge(
            f"from {start.isoformat()!r} to {end.isoformat()!r} are {(end - start).days} days: at"
            f" most {min(MAX_YEARS * _YEAR.days, max_points)} are given at once"
        )


def openings_of(schedule: Schedule) -> Openings:
    """Give the times of trading: one or two on each date."""
    broken = schedule.breaks != NEVER
    starts = np.append(schedule.opens, schedule.reopens[broken])
    ends = np.append(np.where(broken, schedule.breaks, schedule.closes), schedule.closes[broken])
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    there = starts < ends
    return Openings(starts=starts[there], ends=ends[there])


def is_open(openings: Openings, moment: datetime) -> bool:
    """Tell whether trading goes on at a time."""
    at = micros(moment)
    place = int(np.searchsorted(openings.starts, at, side="right")) - 1
    return place >= 0 and at < int(openings.ends[place])


def next_open(openings: Openings, moment: datetime) -> datetime | None:
    """Give the first beginning of trading after a time, also after a break; None: none is known."""
    return _first_after(openings.starts, moment)


def next_close(openings: Openings, moment: datetime) -> datetime | None:
    """Give the first end of trading after a time, also before a break; None: none is known."""
    return _first_after(openings.ends, moment)


def open_seconds(openings: Openings, start: datetime, end: datetime) -> float:
    """Give how much of [start, end) is trading time."""
    low, high = micros(start), micros(end)
    spans = np.minimum(openings.ends, high) - np.maximum(openings.starts, low)
    return float(spans[spans > 0].sum()) / 1e6


def sessions_of(schedule: Schedule, start: date, end: date) -> list[TradingSession]:
    """Give the trading dates within [start, end), in order."""
    days = [(each - _EPOCH).days for each in (start, end)]
    low, high = np.searchsorted(schedule.dates, days, side="left").tolist()
    return [
        TradingSession(
            date=_EPOCH + timedelta(days=int(schedule.dates[place])),
            open=moment_of(int(schedule.opens[place])),
            close=moment_of(int(schedule.closes[place])),
            break_start=_moment(int(schedule.breaks[place])),
            break_end=_moment(int(schedule.reopens[place])),
            late_open=bool(schedule.late_opens[place]),
            early_close=bool(schedule.early_closes[place]),
        )
        for place in range(low, high)
    ]


def _first_after(times: Micros, moment: datetime) -> datetime | None:
    place = int(np.searchsorted(times, micros(moment), side="right"))
    return moment_of(int(times[place])) if place < len(times) else None


def _moment(at: int) -> datetime | None:
    return None if at == NEVER else moment_of(at)
