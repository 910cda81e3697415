"""The buckets in which trading can be expected: those that overlap a regular session of the venue.

Breaks are not trading. Dated buckets are expected where a trading date lies in them. Calendars do
not tell the hours before the open and after the close, so nothing can be expected of those.
"""

from datetime import datetime

import numpy as np

from app.errors import BadInput, RangeTooLarge
from app.market.candle import Session
from app.market.candle_spec import CandleSpec
from app.market.grid import Buckets, Grid, Micros, micros
from app.market.interval import ORIGIN, Interval, Unit
from app.market.schedule import Schedule
from app.market.trading_hours import Openings, openings_of

_DAY_US = 86_400_000_000
_SECOND_US = 1_000_000
_ORIGIN_US = micros(ORIGIN)
_ORIGIN_DAY = _ORIGIN_US // _DAY_US
_EPOCH_MONTHS = -30 * 12  # 1970-01 from 2000-01


def check_expectable(spec: CandleSpec, what: str) -> None:
    """Refuse sessions whose hours no calendar tells.

    Raises:
        BadInput: `what` was asked of the time before the open or after the close.
    """
    if spec.session in (Session.PRE, Session.POST):
        raise BadInput(
            f"{what} cannot be had of session {spec.session.name!r}: calendars do not tell its"
            " hours, so nothing is expected there; ask for 'ALL' or 'REGULAR'"
        )


def expected_starts(
    schedule: Schedule,
    spec: CandleSpec,
    buckets: Buckets,
    start: datetime,
    end: datetime,
    *,
    last: int | None = None,
    limit: int,
) -> Micros:
    """Give the starts within [start, end) of buckets with trading hours in them, oldest first.

    `buckets` are those of the spec around that time. With `last`, only the newest so many.

    Raises:
        RangeTooLarge: they are more than `limit`.
    """
    low, high = micros(start), micros(end)
    if spec.is_dated:
        every = _dated(schedule, spec.interval)
    elif isinstance(buckets, Grid):
        every = _listed(openings_of(schedule), buckets)
    else:
        return _counted(openings_of(schedule), spec.interval, low, high, last, limit)
    first, behind = np.searchsorted(every, [low, high], side="left").tolist()
    if last is not None:
        first = max(first, behind - last)
    _check(spec.interval, behind - first, limit)
    return every[first:behind]


def count_all(buckets: Buckets, start: datetime, end: datetime) -> int:
    """Give how many buckets start within [start, end), trading or not."""
    if isinstance(buckets, Grid):
        return len(buckets.between(start, end))
    assert isinstance(buckets, Interval)
    first, behind = buckets.ceil(start), buckets.ceil(end)
    if buckets.unit is Unit.MONTH:
        months = (behind.year - first.year) * 12 + behind.month - first.month
        return max(months // buckets.count, 0)
    return max((behind - first) // buckets.width, 0)


def _dated(schedule: Schedule, interval: Interval) -> Micros:
    """Give the stamps of the buckets that hold a trading date: 00:00 UTC of their first date."""
    dates = schedule.dates.astype(np.int64)
    if interval.unit is Unit.DAY:
        days = dates - (dates - _ORIGIN_DAY) % interval.count
    else:
        months = dates.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        months = months - (months + _EPOCH_MONTHS) % interval.count
        days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return np.unique(days) * _DAY_US


def _listed(openings: Openings, grid: Grid) -> Micros:
    """Give those buckets of a grid that have a time in common with an opening."""
    # The first opening that ends after the bucket has begun.
    place = np.searchsorted(openings.ends, grid.starts, side="right")
    known = np.minimum(place, len(openings.ends) - 1)
    meets = (place < len(openings.ends)) & (openings.starts[known] < grid.ends)
    return grid.starts[meets]


def _counted(
    openings: Openings, interval: Interval, low: int, high: int, last: int | None, limit: int
) -> Micros:
    """Give the buckets of a fixed length that have a time in common with an opening."""
    width = interval.count * _SECOND_US
    first = openings.starts - (openings.starts - _ORIGIN_US) % width
    first = np.maximum(first, low + (_ORIGIN_US - low) % width)
    ends = np.minimum(openings.ends, high)
    # Where each opening's buckets end, and where those of the openings before it did.
    behind = first - (first - ends) // width * width
    taken = np.maximum.accumulate(np.append(low, behind[:-1]))
    first = np.maximum(first, taken)
    counts = np.maximum((behind - first) // width, 0)
    if last is not None:
        from_end = np.cumsum(counts[::-1])
        enough = int(np.searchsorted(from_end, last, side="left")) + 1
        first, counts = first[-enough:], counts[-enough:]
    else:
        _check(interval, int(counts.sum()), limit)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    every: Micros = np.repeat(first, counts) + offsets * width
    return every if last is None else every[max(len(every) - last, 0) :]


def _check(interval: Interval, count: int, limit: int) -> None:
    if count > limit:
        raise RangeTooLarge(
            f"trading can be expected in {count:,} buckets of {interval} in the range: at most"
            f" {limit:,} are looked at; ask for a shorter one or a longer interval",
            max_points=limit,
        )
