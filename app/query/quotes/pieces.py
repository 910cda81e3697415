"""Where the time of quote buckets lies: which part of a venue's dates counts, and in what pieces.

A bucket may have several pieces: a week of regular sessions has five. A quote is in force beyond a
session's end, but only the time within the pieces counts.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from app.market.candle import Session
from app.market.candle_spec import CandleSpec
from app.market.grid import Micros, micros, moment_of
from app.market.schedule import ALWAYS_OPEN, NEVER, Schedule, exchange_of, schedule_of

_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_DECADE = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pieces:
    """Disjoint [start, end) in microseconds since 1970, and the trading date (days) of each."""

    starts: Micros
    ends: Micros
    dates: Micros

    def bounds(self, first: datetime, end: datetime) -> tuple[datetime, datetime] | None:
        """Give the time that the pieces of trading dates within [first, end) take, if any."""
        low, high = np.searchsorted(
            self.dates, [(each.date() - _EPOCH).days for each in (first, end)], side="left"
        )
        if low >= high:
            return None
        return moment_of(int(self.starts[low])), moment_of(int(self.ends[high - 1]))

    def between(self, start: datetime, end: datetime) -> "Pieces":
        """Give the pieces that have a time within [start, end)."""
        low = int(np.searchsorted(self.ends, micros(start), side="right"))
        high = int(np.searchsorted(self.starts, micros(end), side="left"))
        chosen = slice(low, max(low, high))
        return Pieces(starts=self.starts[chosen], ends=self.ends[chosen], dates=self.dates[chosen])


def pieces_of(mic: str, spec: CandleSpec, first: datetime, last: datetime) -> Pieces | None:
    """Give a venue's pieces around a time; None where buckets are single pieces as they are.

    May take a quarter of a second for years that were not asked for before.
    """
    if not spec.is_dated and (spec.session is None or mic == ALWAYS_OPEN):
        return None
    # Whole decades: few different spans are remembered.
    begin = (first.year - 1) // _DECADE * _DECADE
    end = (last.year + 1) // _DECADE * _DECADE + _DECADE - 1
    schedule = schedule_of(exchange_of(mic), begin, end)
    return _parts(schedule, spec.session)


def _parts(schedule: Schedule, session: Session | None) -> Pieces:
    begins = np.append(schedule.opens[:1] - _DAY_US, schedule.ends[:-1])
    dates = schedule.dates.astype(np.int64)
    if session is Session.PRE:
        starts, ends = begins, schedule.opens
    elif session is Session.POST:
        starts, ends = schedule.closes, schedule.ends
    elif session is None:
        starts, ends = begins, schedule.ends
    else:
        broken = schedule.breaks != NEVER
        starts = np.append(schedule.opens, schedule.reopens[broken])
        ends = np.append(
            np.where(broken, schedule.breaks, schedule.closes), schedule.closes[broken]
        )
        dates = np.append(dates, dates[broken])
        order = np.argsort(starts, kind="stable")
        starts, ends, dates = starts[order], ends[order], dates[order]
    there = starts < ends
    return Pieces(starts=starts[there], ends=ends[there], dates=dates[there])


def day_before(moment: datetime) -> datetime:
    """Give midnight of the UTC date before: no trading date that holds the moment is earlier."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
