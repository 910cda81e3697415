"""Decide what a candle question reads: which source rows, which roll-ups, which parts of time.

Pure. A roll-up's rows are joined into any interval that its width divides; rows of several widths
may be mixed, since every bucket is a sum over whole rows. So stale ranges (touched by batches that
the roll-ups have not followed yet) are read from finer levels, down to the source rows, and only
they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from app.errors import BadInterval
from app.market.instrument import CandleSource
from app.market.interval import ORIGIN, Interval, Unit
from app.rollups.catalogue import DAY, MINUTE, ROLLUPS

# How far a trading date's rows may lie from the date: pre-market trades on closed days belong to
# the next date (app.market.calendar), and a date's post-market ends at local midnight.
DATE_BEFORE = timedelta(days=12)
DATE_AFTER = timedelta(days=2)

_MAX_RECIPES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Ready or raw rows that can be read: `view` None means the source rows, grouped by `width`."""

    view: str | None
    width: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How candles of one interval are made; `levels` from coarse to fine, the raw rows last."""

    source: CandleSource
    bar_minutes: int
    interval: Interval
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Read [start, end) from one level."""

    level: Level
    start: datetime
    end: datetime


def recipe(
    symbol: str, source: CandleSource | None, natives: Sequence[int], interval: Interval
) -> Recipe | None:
    """Choose source rows and levels; None where the instrument has no rows at all.

    `natives` are the native intervals of what is stored, in minutes; 0 stands for trades.

    Raises:
        BadInterval: the instrument's bars are coarser than the interval or do not divide it.
    """
    if source is CandleSource.TRADES or (source is None and 0 in natives):
        return _trade_recipe(interval) if 0 in natives else None
    made = _bar_recipe(tuple(natives), interval)
    bars = () if made else sorted(minutes for minutes in natives if minutes)
    if bars:
        had = ", ".join(str(Interval.of_minutes(minutes)) for minutes in bars)
        raise BadInterval(
            f"{symbol!r} has bars of {had}: {interval} is not a whole multiple of them"
        )
    return made


def segments(
    levels: Sequence[Level],
    start: datetime,
    end: datetime,
    stale: Sequence[tuple[datetime, datetime]],
) -> list[Segment]:
    """Cover [start, end) with reads, each part from the coarsest level that is fresh there.

    `stale` holds closed ranges [first, last]. `start` and `end` are bucket starts of the coarsest
    level. The order of the result is by level, then time.
    """
    found: list[Segment] = []
    level, *finer = levels
    if not finer or not stale:
        return [Segment(level=level, start=start, end=end)] if start < end else []
    position = start
    for first, last in _widened(stale, level.width):
        dirty_start, dirty_end = max(first, start), min(last, end)
        if dirty_start >= dirty_end:
            continue
        if position < dirty_start:
            found.append(Segment(level=level, start=position, end=dirty_start))
        found += segments(finer, dirty_start, dirty_end, stale)
        position = max(position, dirty_end)
    if position < end:
        found.append(Segment(level=level, start=position, end=end))
    return found


def read_bounds(interval: Interval, start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Give the times of rows that can belong to the buckets from `start` to before `end`.

    All are bucket starts of every level that the interval can be read from.
    """
    if not interval.is_dated:
        return start, end
    return start - DATE_BEFORE, end + DATE_AFTER


@lru_cache(maxsize=_MAX_RECIPES)
def _trade_recipe(interval: Interval) -> Recipe:
    ready = _ready(CandleSource.TRADES, interval)
    raw = MINUTE if ready else timedelta(seconds=interval.count)
    return Recipe(
        source=CandleSource.TRADES,
        bar_minutes=0,
        interval=interval,
        levels=(*ready, Level(view=None, width=raw)),
    )


@lru_cache(maxsize=_MAX_RECIPES)
def _bar_recipe(natives: tuple[int, ...], interval: Interval) -> Recipe | None:
    """Take the coarsest bars that the interval is a whole multiple of, where there are any."""
    lengths = [timedelta(minutes=minutes) for minutes in natives if minutes]
    native = max((each for each in lengths if _divides(each, interval)), default=None)
    if native is None:
        return None
    ready = tuple(
        level
        for level in _ready(CandleSource.BARS, interval)
        if level.width > native and level.width % native == timedelta()
    )
    return Recipe(
        source=CandleSource.BARS,
        bar_minutes=native // MINUTE,
        interval=interval,
        levels=(*ready, Level(view=None, width=native)),
    )


def _ready(source: CandleSource, interval: Interval) -> tuple[Level, ...]:
    fitting = [
        Level(view=rollup.view, width=rollup.width)
        for rollup in ROLLUPS
        if rollup.source is source and _divides(rollup.width, interval)
    ]
    return tuple(sorted(fitting, key=lambda level: level.width, reverse=True))


def _divides(width: timedelta, interval: Interval) -> bool:
    whole = DAY if interval.unit is not Unit.SECOND else timedelta(seconds=interval.count)
    return whole % width == timedelta()


def _widened(
    ranges: Sequence[tuple[datetime, datetime]], width: timedelta
) -> list[tuple[datetime, datetime]]:
    """Give disjoint half-open ranges of whole buckets that hold the closed ranges."""
    joined: list[tuple[datetime, datetime]] = []
    for first, last in sorted(ranges):
        start = ORIGIN + (first - ORIGIN) // width * width
        end = ORIGIN + ((last - ORIGIN) // width + 1) * width
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
