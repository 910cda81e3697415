"""Pages of rows of many instruments: a look at a short time, and further where it gives too few."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from app.errors import BadInput, RangeTooLarge
from app.query.window import check_order

T = TypeVar("T")

WIDEN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """An instrument's rows of [start, until), of those of [start, end) that may be wanted."""

    place: int
    instrument_id: int
    start: datetime
    until: datetime
    end: datetime


def check_page(start: datetime | None, end: datetime | None, first: int, max_points: int) -> None:
    """Check the arguments of a list that is given in pages.

    Raises:
        BadRange, BadInput, RangeTooLarge: the range is inside out, or `first` is out of bounds.
    """
    check_order(start, end)
    if first < 0:
        raise BadInput(f"`first` is {first}: it must be from 0 to {max_points}")
    if first > max_points:
        raise RangeTooLarge(f"`first` is {first}: at most {max_points} are given at once")


def first_look(
    place: int, instrument_id: int, start: datetime, end: datetime, reach: timedelta
) -> list[Look]:
    """Give the look that an instrument's page begins with; none at an empty time."""
    if start >= end:
        return []
    until = min(end, start + reach)
    return [Look(place=place, instrument_id=instrument_id, start=start, until=until, end=end)]


async def look(
    looks: Sequence[Look],
    read: Callable[[Sequence[Look]], Awaitable[Mapping[int, T]]],
    has_next: Callable[[T], bool],
    found: list[T],
) -> list[T]:
    """Put what `read` gives in its places of `found`, further and further until it is enough.

    A page is one ordered read: each look begins at the start again. `has_next` tells a full page.
    """
    while looks:
        for place, value in (await read(looks)).items():
            found[place] = value
        looks = [
            _further(each)
            for each in looks
            if not has_next(found[each.place]) and each.until < each.end
        ]
    return found


def _further(look: Look) -> Look:
    reach = (look.until - look.start) * WIDEN
    until = look.end if look.end - look.start <= reach else look.start + reach
    return replace(look, until=until)
