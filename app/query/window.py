"""What part of time a question is about: a range, or the newest N, checked against the limits."""

from dataclasses import dataclass
from datetime import datetime

from app.errors import BadRange, RangeTooLarge


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Buckets that start within [start, end); None: unbounded. `last`: only the newest so many.

    `before` asks for so many buckets before `start` as well, where there are as many: what
    indicators warm up on. With `last`, the caller adds them to it.
    """

    start: datetime | None = None
    end: datetime | None = None
    last: int | None = None
    before: int = 0


def window_of(
    start: datetime | None, end: datetime | None, last: int | None, max_points: int
) -> Window:
    """Check the arguments of a candle list.

    Raises:
        BadRange: neither a range nor `last`, both `from` and `last`, or a range inside out.
        RangeTooLarge: `last` is more than `max_points`.
    """
    if start is None and end is None and last is None:
        raise BadRange("give `from` and/or `to`, or `last`")
    if last is not None:
        if start is not None:
            raise BadRange("give either `from` or `last`: `last` counts back from `to` or the end")
        if last < 0:
            raise BadRange(f"`last` is {last}: it must be from 0 to {max_points}")
        if last > max_points:
            raise RangeTooLarge(f"`last` is {last}: at most {max_points} points are given at once")
    check_order(start, end)
    return Window(start=start, end=end, last=last)


def check_order(start: datetime | None, end: datetime | None) -> None:
    """Check that a range is not inside out.

    Raises:
        BadRange: it is.
    """
    if start is not None and end is not None and start > end:
        raise BadRange(f"`from` {start.isoformat()} is after `to` {end.isoformat()}")
