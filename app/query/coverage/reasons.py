"""Why expected buckets are empty, told from the venue's other instruments. Pure, on arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from app.market.grid import Micros

Mask = npt.NDArray[np.bool_]

# An instrument "usually has data" where at least this share of the expected buckets has some.
USUAL = 0.5


class MissingReason(StrEnum):
    """Why an expected bucket has no data."""

    BEFORE_LISTING = "BEFORE_LISTING"
    BEFORE_DATA = "BEFORE_DATA"
    NO_TRADES = "NO_TRADES"
    OUTAGE = "OUTAGE"
    UNEXPLAINED = "UNEXPLAINED"
    NOT_YET = "NOT_YET"
    AFTER_DELISTING = "AFTER_DELISTING"


_REASONS = tuple(MissingReason)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Had:
    """The buckets of an instrument with data: their starts, in order, and where its data lie.

    Data begin in the bucket at `first` and end before `end`; both are None where there are none.
    """

    times: Micros
    first: int | None
    end: int | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Witnesses:
    """By expected bucket: some instrument has data; one that usually has data might have had."""

    active: Mask
    watched: Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gaps:
    """Runs of expected buckets in a row that are empty for one reason: places in the expected."""

    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    reason: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Give the number of runs."""
        return len(self.first)

    def why(self, place: int) -> MissingReason:
        """Give the reason of a run."""
        return _REASONS[int(self.reason[place])]


def witnesses_of(expected: Micros, instruments: Sequence[Had]) -> Witnesses:
    """Say what the instruments of one venue tell of its expected buckets."""
    active = np.zeros(len(expected), dtype=np.bool_)
    watched = np.zeros(len(expected), dtype=np.bool_)
    for each in instruments:
        present, within = present_in(expected, each.times), _within(expected, each)
        active |= present
        if within.any() and (present & within).sum() >= USUAL * within.sum():
            watched |= within
    return Witnesses(active=active, watched=watched)


def present_in(expected: Micros, times: Micros) -> Mask:
    """Tell which of the expected buckets are among those with data."""
    mask = np.zeros(len(expected) + 1, dtype=np.bool_)
    places = np.searchsorted(expected, times)
    known = places < len(expected)
    mask[places[known]] = expected[places[known]] == times[known]
    return mask[:-1]


def gaps_of(
    expected: Micros,
    had: Had,
    witnesses: Witnesses,
    listed: int | None,
    delisted: int | None,
) -> Gaps:
    """Give an instrument's runs of empty buckets, oldest first.

    `listed` and `delisted` are when it began and ceased to be listed, where that is known.
    """
    conditions = (
        (MissingReason.AFTER_DELISTING, _from(expected, delisted)),
        (MissingReason.BEFORE_LISTING, _before(expected, listed)),
        (MissingReason.BEFORE_DATA, np.full(len(expected), had.first is None)),
        (MissingReason.BEFORE_DATA, _before(expected, had.first)),
        (MissingReason.NOT_YET, _from(expected, had.end)),
        (MissingReason.NO_TRADES, witnesses.active),
        (MissingReason.OUTAGE, witnesses.watched),
    )
    codes = np.select(
        [mask for _, mask in conditions],
        [np.int64(_REASONS.index(reason)) for reason, _ in conditions],
        default=np.int64(_REASONS.index(MissingReason.UNEXPLAINED)),
    )
    places = np.flatnonzero(~present_in(expected, had.times))
    if not len(places):
        return Gaps(first=places, last=places, reason=places)
    own = codes[places]
    begins = np.append(True, (np.diff(places) > 1) | (np.diff(own) != 0))
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(places)) - 1
    return Gaps(first=places[first], last=places[last], reason=own[first])


def _within(expected: Micros, had: Had) -> Mask:
    if had.first is None or had.end is None:
        return np.zeros(len(expected), dtype=np.bool_)
    return (expected >= had.first) & (expected < had.end)


def _before(expected: Micros, moment: int | None) -> Mask:
    return np.zeros(len(expected), dtype=np.bool_) if moment is None else expected < moment


def _from(expected: Micros, moment: int | None) -> Mask:
    return np.zeros(len(expected), dtype=np.bool_) if moment is None else expected >= moment
