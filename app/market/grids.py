"""Make the buckets of a candle spec from a venue's schedule or a time zone's calendar."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from app.errors import BadInterval, RangeTooLarge
from app.market.candle import Session
from app.market.candle_spec import CandleSpec
from app.market.grid import Buckets, Grid, Micros, micros
from app.market.instrument import Exchange
from app.market.interval import ORIGIN, Interval, Unit
from app.market.schedule import NEVER, Schedule, schedule_of

_MAX_STARTS = 2_000_000
_MAX_GRIDS = 32
_DAY_S = 86_400
_SECOND_US = 1_000_000
_ORIGIN_US = micros(ORIGIN)


@lru_cache(maxsize=_MAX_GRIDS)
def buckets_of(exchange: Exchange, spec: CandleSpec, first_year: int, last_year: int) -> Buckets:
    """Give the buckets of whole years: the interval itself wherever that gives the same.

    May take a second for many years that were not asked for before.

    Raises:
        BadInterval: a zone's hours cannot be counted by an interval of more than a day.
        RangeTooLarge: they are too many to be listed.
    """
    interval = spec.interval
    if spec.timezone is not None:
        return _zoned(interval, ZoneInfo(spec.timezone), first_year, last_year)
    if spec.is_plain or spec.session is None:
        return interval
    schedule = schedule_of(exchange, first_year, last_year)
    return _counted(interval, _parts(schedule, spec.session))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """Times with an anchor from which buckets are counted; rows may come until `limits`."""

    starts: Micros
    ends: Micros
    limits: Micros
    anchors: Micros


def _parts(schedule: Schedule, session: Session) -> _Parts:
    """Give the session on each date; a break makes two parts of one."""
    if session is Session.PRE:
        begins = np.append(schedule.opens[:1] - _DAY_S * _SECOND_US, schedule.ends[:-1])
        starts, ends, anchors = begins, schedule.opens, schedule.opens
        limits = ends
    elif session is Session.POST:
        starts, ends, anchors = schedule.closes, schedule.ends, schedule.closes
        limits = ends
    else:
        broken = schedule.breaks != NEVER
        closes, afternoons = schedule.closes, schedule.closes[broken]
        starts = np.append(schedule.opens, schedule.reopens[broken])
        order = np.argsort(starts, kind="stable")
        starts = anchors = starts[order]
        ends = np.append(np.where(broken, schedule.breaks, closes), afternoons)[order]
        # What trades in the break counts to the morning's last bucket.
        limits = np.append(np.where(broken, schedule.reopens, closes), afternoons)[order]
    there = starts < ends
    return _Parts(
        starts=starts[there], ends=ends[there], limits=limits[there], anchors=anchors[there]
    )


def _counted(interval: Interval, parts: _Parts) -> Buckets:
    """Count an interval of seconds from the anchors; before an anchor it is counted back."""
    anchors = parts.anchors
    width = interval.count * _SECOND_US
    if not ((anchors - _ORIGIN_US) % width).any():
        return interval
    first = anchors + (parts.starts - anchors) // width * width
    counts = -((first - parts.ends) // width)
    _check(interval, int(counts.sum()))
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    every = np.repeat(first, counts) + offsets * width
    ends = every + width
    ends[np.cumsum(counts) - 1] = parts.limits
    every, places = np.unique(every, return_index=True)
    return Grid(
        starts=every,
        ends=np.minimum(ends[places], np.append(every[1:], NEVER)),
        width=timedelta(seconds=interval.count),
        step=_step(every, width),
    )


def _zoned(interval: Interval, zone: ZoneInfo, first_year: int, last_year: int) -> Buckets:
    first, last = date(first_year, 1, 1), date(min(last_year + 1, 9998), 1, 1)
    if not interval.is_dated:
        if interval.count > _DAY_S:
            raise BadInterval(
                f"{interval} does not fit into a day: in a time zone, give at most 24h,"
                " or days, weeks or months"
            )
        days = _midnights(Interval(count=1, unit=Unit.DAY), zone, first, last)
        days, ends = days[:-1], days[1:]
        return _counted(interval, _Parts(starts=days, ends=ends, limits=ends, anchors=days))
    starts = _midnights(interval, zone, first, last)
    return Grid(
        starts=starts[:-1], ends=starts[1:], width=interval.width + timedelta(hours=2),
        step=_step(starts, _DAY_S * _SECOND_US),
    )  # fmt: skip


def _midnights(interval: Interval, zone: ZoneInfo, first: date, last: date) -> Micros:
    """Give the local midnights at which dated buckets begin, around `first` to `last`."""
    found, day = [], interval.floor_date(first)
    while True:
        # Of two midnights the first, of a skipped one the moment at which it is skipped.
        at = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        found.append(micros(at))
        if day > last:
            return np.array(found, dtype=np.int64)
        after = interval.next(datetime(day.year, day.month, day.day, tzinfo=UTC))
        day = after.date()


def _step(starts: Micros, width: int) -> timedelta:
    """Give the longest time that all starts are multiples of, at most a bucket."""
    common = int(np.gcd(np.gcd.reduce(starts - _ORIGIN_US), width))
    return timedelta(microseconds=common)


def _check(interval: Interval, count: int) -> None:
    if count > _MAX_STARTS:
        raise RangeTooLarge(
            f"{interval} makes {count:,} buckets of that session or zone in the instrument's years:"
            f" at most {_MAX_STARTS:,} can be listed; ask for a longer interval"
        )
