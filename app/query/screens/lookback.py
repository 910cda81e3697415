"""How far a screen looks back at each exchange: trading dates by its calendar, and their times."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

import numpy as np

from app.market.grid import moment_of
from app.market.instrument import Exchange
from app.market.interval import midnight
from app.market.schedule import FIRST_YEAR, Schedule, schedule_of
from app.query.plan import DATE_AFTER, DATE_BEFORE

AVERAGE_DATES = 20
YEAR = timedelta(weeks=52)
# The previous close of nearly all is found within these days (China's New Year and the weekend
# behind it are ten); the few others are looked for one by one.
RECENT = timedelta(days=10)

_DAY = timedelta(days=1)
_EPOCH = date(1970, 1, 1)
_FAR = timedelta(days=30)  # of a calendar that ends: nothing is known of what follows
_APART = timedelta(days=90)
_MAX_REMEMBERED = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueDay:
    """An exchange's date and the first dates of what is looked back over, none of them after it.

    `counted` are the first dates of so many trading dates before it; `begins` the first times of
    the rows that can belong to a date.
    """

    mic: str
    on: date
    average_from: date
    counted: dict[int, date]
    begins: dict[date, datetime]

    @property
    def recent_from(self) -> date:
        """Where the previous close is nearly always found."""
        return self.on - RECENT

    @property
    def year_from(self) -> date:
        """The first date of the 52 weeks."""
        return self.on - YEAR

    @property
    def earliest(self) -> date:
        """The first date of all that is looked back over."""
        return min(self.year_from, self.average_from, *self.counted.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Trading dates [first, last] of some exchanges, and the time of the rows that they can have.

    Daily bars are stamped with their date; other rows lie within [start, end).
    """

    first: date
    last: date
    start: datetime
    end: datetime


def venue_day(exchange: Exchange, on: date, counts: frozenset[int]) -> VenueDay:
    """Look back from a date; takes a moment for a year of a calendar that was not asked before."""
    counted = {count: _back(exchange, on, count) for count in counts}
    average_from = _back(exchange, on, AVERAGE_DATES)
    firsts = (on, on - RECENT, on - YEAR, average_from, *counted.values())
    return VenueDay(
        mic=exchange.mic,
        on=on,
        average_from=average_from,
        counted=counted,
        begins={first: _begin(exchange, first) for first in firsts},
    )


def stretches(spans: Iterable[tuple[VenueDay, date, date]]) -> list[Stretch]:
    """Give what must be read for spans of dates [first, last]: those near each other as one."""
    joined: list[Stretch] = []
    for venue, first, last in sorted(spans, key=lambda span: span[1]):
        own = Stretch(
            first=first,
            last=last,
            start=venue.begins[first],
            end=midnight(last) + DATE_AFTER,
        )
        if joined and own.first - joined[-1].last <= _APART:
            joined[-1] = _together([joined[-1], own])
        else:
            joined.append(own)
    return joined


def _together(some: Sequence[Stretch]) -> Stretch:
    return Stretch(
        first=min(each.first for each in some),
        last=max(each.last for each in some),
        start=min(each.start for each in some),
        end=max(each.end for each in some),
    )


@lru_cache(maxsize=_MAX_REMEMBERED)
def _back(exchange: Exchange, on: date, count: int) -> date:
    """Give the trading date so many before one, by the calendar; where it ends, about that."""
    about = on - timedelta(days=count * 7 // 5 + 7)
    schedule = _schedule(exchange, on)
    if schedule is None:
        return about
    at = int(np.searchsorted(schedule.dates, (on - _EPOCH).days))
    if at < count:
        return about
    return _EPOCH + _DAY * int(schedule.dates[at - count])


@lru_cache(maxsize=_MAX_REMEMBERED)
def _begin(exchange: Exchange, first: date) -> datetime:
    """Give the first time of the rows that belong to a date: where the one before it ends.

    At the start of a UTC day, as all roll-ups' buckets begin there.
    """
    earliest, latest = midnight(first) - DATE_BEFORE, midnight(first) - _DAY
    schedule = _schedule(exchange, first)
    if schedule is None:
        return earliest
    at = int(np.searchsorted(schedule.dates, (first - _EPOCH).days))
    if not at:
        return earliest
    ended = moment_of(int(schedule.ends[at - 1]))
    return max(earliest, min(latest, midnight(ended.date())))


def _schedule(exchange: Exchange, on: date) -> Schedule | None:
    """Give the trading dates around a date; None where the calendar does not reach it."""
    if on.year - 2 < FIRST_YEAR:
        return None
    schedule = schedule_of(exchange, on.year - 2, on.year)
    last = _EPOCH + _DAY * int(schedule.dates[-1]) if len(schedule.dates) else None
    return schedule if last is not None and on - last < _FAR else None
