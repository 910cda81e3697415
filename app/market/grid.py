"""Bucket starts that no fixed length gives: counted from a session's open, or in a zone's calendar.

A grid is a sorted list of starts. Between the buckets of one session and the next there is a gap,
where no row of that session lies.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
import numpy.typing as npt

Micros = npt.NDArray[np.int64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Buckets(Protocol):
    """Where buckets begin: an Interval, or a Grid."""

    @property
    def width(self) -> timedelta:
        """The longest that one bucket can be."""

    def floor(self, moment: datetime) -> datetime:
        """Give the start of the bucket that holds an aware time."""

    def next(self, start: datetime) -> datetime:
        """Give the end of the bucket that starts at `start`."""

    def ceil(self, moment: datetime) -> datetime:
        """Give the first bucket start at or after an aware time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """Buckets [start, end) in microseconds since 1970, at least one; `width` is the longest.

    All starts are multiples of `step` since the origin of intervals.
    """

    starts: Micros
    ends: Micros
    width: timedelta
    step: timedelta

    def floor(self, moment: datetime) -> datetime:
        """Give the start of the bucket that holds a time; in a gap, the end of the one before."""
        at = micros(moment)
        place = max(int(np.searchsorted(self.starts, at, side="right")) - 1, 0)
        inside = at < self.ends[place]
        return moment_of(int(self.starts[place] if inside else self.ends[place]))

    def next(self, start: datetime) -> datetime:
        """Give the end of the bucket that starts at `start`."""
        place = int(np.searchsorted(self.starts, micros(start), side="right")) - 1
        return moment_of(max(int(self.ends[max(place, 0)]), micros(start)))

    def ceil(self, moment: datetime) -> datetime:
        """Give the first bucket start at or after a time; behind all of them, the time itself."""
        place = int(np.searchsorted(self.starts, micros(moment), side="left"))
        return moment_of(int(self.starts[place])) if place < len(self.starts) else moment

    def back(self, end: datetime, count: int) -> datetime:
        """Give the start that lies so many buckets before an end, or the first of all."""
        place = int(np.searchsorted(self.starts, micros(end), side="left")) - count
        return moment_of(int(self.starts[max(place, 0)]))

    def between(self, start: datetime, end: datetime) -> Micros:
        """Give the starts within [start, end)."""
        low, high = np.searchsorted(self.starts, [micros(start), micros(end)], side="left")
        return self.starts[low:high]


def micros(moment: datetime) -> int:
    """Give an aware time as microseconds since 1970 UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(at: int) -> datetime:
    """Give microseconds since 1970 UTC as a time."""
    return _EPOCH + at * _MICROSECOND
