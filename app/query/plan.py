"""Decide what a candle question reads: which source rows, which roll-ups, which parts of time.

Pure. A roll-up's rows are joined into any interval that its width divides; rows of several widths
may be mixed, since every bucket is a sum over whole rows. So stale ranges (touched by batches that
the roll-ups have not followed yet) are read from finer levels, down to the source rows, and only
they are. Buckets that no fixed length gives (Grid) are made of levels that divide their `step`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from app.errors import BadInterval
from app.market.candle_spec import CandleSpec
from app.market.grid import Buckets, Grid, micros
from app.market.instrument import CandleSource
from app.market.interval import ORIGIN, Interval
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
    """How candles of one kind are made; `levels` from coarse to fine, the raw rows last.

    `listed` says that their buckets are those of a Grid.
    """

    source: CandleSource
    bar_minutes: int
    spec: CandleSpec
    levels: tuple[Level, ...]
    listed: bool = False

    @property
    def interval(self) -> Interval:
        """The length of its buckets."""
        return self.spec.interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Read [start, end) from one level."""

    level: Level
    start: datetime
    end: datetime


def recipe(
    symbol: str,
    source: CandleSource | None,
    natives: Sequence[int],
    first_of: Callable[[int], datetime],
    spec: CandleSpec,
    buckets: Buckets,
) -> Recipe | None:
    """Choose source rows and levels; None where the instrument has no rows at all.

    `natives` are the native intervals of what is stored, in minutes; 0 stands for trades.
    `first_of` gives the time of the first row of one. `buckets` are those of the spec.

    Raises:
        BadInterval: the instrument's bars are coarser than the interval or do not divide it.
    """
    grid = buckets if isinstance(buckets, Grid) else None
    if source is None:
        source = CandleSource.TRADES if 0 in natives else CandleSource.BARS
    if source is CandleSource.TRADES:
        return _trade_recipe(spec, grid and grid.step) if 0 in natives else None
    fitting = natives
    if grid is not None:
        fitting = [each for each in natives if each and _fits(each, first_of(each), grid)]
    made = _bar_recipe(tuple(fitting), spec, grid and grid.step)
    bars = () if made else sorted(minutes for minutes in natives if minutes)
    if bars:
        had = ", ".join(str(Interval.of_minutes(minutes)) for minutes in bars)
        raise BadInterval(
            f"{symbol!r} has bars of {had}: {spec.interval}{_where(spec)} is not a whole multiple"
            " of them"
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


def read_bounds(spec: CandleSpec, start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Give the times of rows that can belong to the buckets from `start` to before `end`.

    All are bucket starts of every level that the interval can be read from.
    """
    if not spec.is_dated:
        return start, end
    return start - DATE_BEFORE, end + DATE_AFTER


@lru_cache(maxsize=_MAX_RECIPES)
def _trade_recipe(spec: CandleSpec, grid_step: timedelta | None) -> Recipe:
    step = grid_step or _step(spec)
    ready = _ready(CandleSource.TRADES, step)
    raw = MINUTE if ready else step
    return Recipe(
        source=CandleSource.TRADES,
        bar_minutes=0,
        spec=spec,
        levels=(*ready, Level(view=None, width=raw)),
        listed=grid_step is not None,
    )


@lru_cache(maxsize=_MAX_RECIPES)
def _bar_recipe(
    natives: tuple[int, ...], spec: CandleSpec, grid_step: timedelta | None
) -> Recipe | None:
    """Take the coarsest bars of those that fit, where there are any."""
    step = grid_step or _step(spec)
    lengths = [timedelta(minutes=minutes) for minutes in natives if minutes]
    # Those for a grid have been chosen.
    fitting = [each for each in lengths if grid_step or not step % each]
    native = max(fitting, default=None)
    if native is None:
        return None
    ready = tuple(
        level
        for level in _ready(CandleSource.BARS, step)
        if level.width > native and level.width % native == timedelta()
    )
    return Recipe(
        source=CandleSource.BARS,
        bar_minutes=native // MINUTE,
        spec=spec,
        levels=(*ready, Level(view=None, width=native)),
        listed=grid_step is not None,
    )


def _ready(source: CandleSource, step: timedelta) -> tuple[Level, ...]:
    fitting = [
        Level(view=rollup.view, width=rollup.width)
        for rollup in ROLLUPS
        if rollup.source is source and step % rollup.width == timedelta()
    ]
    return tuple(sorted(fitting, key=lambda level: level.width, reverse=True))


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


def _step(spec: CandleSpec) -> timedelta:
    """Give the longest time that all buckets are made of, where they have a fixed length."""
    return DAY if spec.is_dated else timedelta(seconds=spec.interval.count)


def _fits(minutes: int, first: datetime, grid: Grid) -> bool:
    """Tell whether bars lie whole in the buckets of a grid.

    Vendors, too, count bars from an open: those fit into buckets that begin as far from the hour.
    """
    native = timedelta(minutes=minutes)
    if not grid.step % native:
        return True
    if grid.width % native:
        return False
    offsets = (grid.starts - micros(first)) % (native // timedelta(microseconds=1))
    return not offsets.any()


def _where(spec: CandleSpec) -> str:
    if spec.timezone is not None:
        return f" in {spec.timezone}"
    return "" if spec.session is None else f" of the {spec.session.name} session"
