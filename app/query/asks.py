"""Bound a question about one instrument's candles by the rows that it has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.market.candle_spec import CandleSpec
from app.market.grid import Buckets, Grid
from app.market.interval import midnight
from app.market.schedule import ALWAYS_OPEN
from app.query.adjustments import InForce
from app.query.answers import Basis
from app.query.candle_rows import Part
from app.query.facts import Facts
from app.query.market import Subject
from app.query.plan import DATE_AFTER, DATE_BEFORE, Recipe, read_bounds, recipe, segments
from app.query.window import Window

DAY_MINUTES = 1440

# The first look back for the newest N is this many times N buckets: markets close. A US equity
# trades 390 of 1,440 minutes on 5 of 7 days.
_SLACK_ALWAYS_OPEN = 1.25
_SLACK_INTRADAY = 5.5
_SLACK_DATED = 1.6
_SLACK_LISTED = 1.1
_WIDEN_AT_LEAST, _WIDEN_AT_MOST = 2.0, 16.0


@dataclass(slots=True, kw_only=True)
class Ask:
    """What is read for one subject: its buckets from `start` to before `end`."""

    place: int
    subject: Subject
    facts: Facts
    recipe: Recipe
    buckets: Buckets
    in_force: InForce | None  # None: unadjusted
    earliest: datetime  # the first bucket that may hold rows or is asked for
    start: datetime
    end: datetime
    final_before: datetime  # the first bucket whose end the data have not passed for good


def ask_of(
    place: int,
    subject: Subject,
    facts: Facts,
    spec: CandleSpec,
    buckets: Buckets,
    in_force: InForce | None,
    window: Window,
    lateness: timedelta,
) -> Ask | None:
    """Bound the question by the rows that exist; None where it asks beside them.

    Raises:
        BadInterval: the instrument's bars cannot give the interval.
    """
    extents = facts.extents
    made = recipe(
        subject.symbol,
        facts.candle_source,
        tuple(extents),
        lambda minutes: extents[minutes].first_time,
        spec,
        buckets,
    )
    if made is None or window.last == 0:
        return None
    extent = extents[made.bar_minutes]
    if spec.is_dated:
        first, last = midnight(extent.first_trading_date), midnight(extent.last_trading_date)
    else:
        first, last = extent.first_time, extent.last_time
    earliest, end = buckets.floor(first), buckets.next(buckets.floor(last))
    wanted = earliest
    if window.start is not None:
        wanted = max(wanted, buckets.ceil(window.start))
    if window.end is not None:
        end = min(end, buckets.ceil(window.end))
    if (earliest if window.before else wanted) >= end:
        return None
    start = earliest = wanted if not window.before else earliest
    count = window.before if window.last is None else window.last
    if count:
        slack = _SLACK_DATED if spec.interval.is_dated else _SLACK_INTRADAY
        if subject.exchange == ALWAYS_OPEN:
            slack = _SLACK_ALWAYS_OPEN
        latest = end if window.last is not None else min(wanted, end)
        if isinstance(buckets, Grid) and spec.timezone is None:
            # Only what a session has is listed: nearly every bucket of a liquid instrument holds.
            start = max(earliest, buckets.back(latest, int(count * _SLACK_LISTED) + 1))
        else:
            start = _back(buckets, latest, buckets.width * (count * slack + 1), earliest)
    return Ask(
        place=place,
        subject=subject,
        facts=facts,
        recipe=made,
        buckets=buckets,
        in_force=in_force,
        earliest=earliest,
        start=start,
        end=end,
        final_before=_final_before(made, facts, buckets, lateness),
    )


def _final_before(made: Recipe, facts: Facts, buckets: Buckets, lateness: timedelta) -> datetime:
    passed = facts.watermark(made.bar_minutes) - lateness
    if made.spec.is_dated:
        passed = min(passed, midnight(facts.extents[made.bar_minutes].last_trading_date))
    return buckets.floor(passed)


def widened(ask: Ask, wanted_to_found: float) -> Ask:
    """Look further back."""
    by = min(max(wanted_to_found * _SLACK_ALWAYS_OPEN, _WIDEN_AT_LEAST), _WIDEN_AT_MOST)
    back = (ask.end - ask.start) * by
    return replace(ask, start=_back(ask.buckets, ask.end, back, ask.earliest))


def _back(buckets: Buckets, end: datetime, by: timedelta, earliest: datetime) -> datetime:
    return earliest if end - earliest <= by else max(earliest, buckets.floor(end - by))


def part_of(ask: Ask) -> Part:
    """Give what a statement must know."""
    start, end = read_bounds(ask.recipe.spec, ask.start, ask.end)
    stale = ask.facts.stale(ask.recipe.source)
    return Part(
        instrument_id=ask.subject.instrument_id,
        segments=segments(ask.recipe.levels, start, end, stale),
        first_date=ask.start.date(),
        end_date=ask.end.date(),
        final_before=ask.final_before,
        adjustments=() if ask.in_force is None else ask.in_force.ranges,
    )


def basis_of(ask: Ask, window: Window, oldest: datetime | None) -> Basis:
    """Say what rows would change the answer: none outside the basis would.

    `oldest` is its oldest candle, where it has as many as were asked for.
    """
    buckets = ask.buckets
    first = None if window.start is None or window.before else buckets.floor(window.start)
    if oldest is not None:
        first = oldest
    # A candle that is not final yet becomes so by any later row.
    end = window.end if window.end and ask.end <= ask.final_before else None
    if ask.in_force is not None:
        # Closes around ex dates, wherever they are, change what is before them.
        settled_by = ask.in_force.settled_by
        first, end = None, end and settled_by and max(end, settled_by)
    before, after = timedelta(), timedelta()
    exact = ask.subject.exchange == ALWAYS_OPEN or ask.recipe.bar_minutes == DAY_MINUTES
    if ask.recipe.spec.is_dated and not exact:
        before, after = DATE_BEFORE, DATE_AFTER
    return Basis(
        instrument_id=ask.subject.instrument_id,
        first=None if first is None else first - before,
        end=None if end is None else buckets.ceil(end) + after,
    )


def listed(asks: Sequence[Ask]) -> Grid | None:
    """Give the grid that the buckets of some asks are of, if they are of one."""
    buckets = asks[0].buckets
    return buckets if isinstance(buckets, Grid) else None
