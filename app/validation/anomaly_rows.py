"""Rows in time order beside each instrument's recent past, as numpy columns.

A series is what may be compared row with row: the rows of one instrument, split in two where the
database has rows between that were not read. Arrays are (n,), one value a row, sorted by series,
time and row id; `k` are places in them. Times are microseconds since 1970, dates days since 1970.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from app.market.instrument import MAY_BE_NEGATIVE, AssetClass

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Columns = dict[str, npt.NDArray[Any]]

WINDOW = 64  # rows before a row that it is compared with
DEPTH = WINDOW + 1  # rows to carry: so many returns need one price more
MIN_HISTORY = 16  # fewer say nothing
NO_ID = np.iinfo(np.int64).max  # a row without an id: after those with one, of the same instant

# The median absolute deviation of a normal distribution times this is its standard deviation.
# https://en.wikipedia.org/wiki/Median_absolute_deviation
MAD = 1.4826
# The least scale of a move, relative to the price, whatever the past says: about a usual spread.
LEAST_MOVE: Mapping[AssetClass, float] = {
    AssetClass.FX: 5e-5,
    AssetClass.INDEX: 2e-4,
    AssetClass.BOND: 2e-4,
    AssetClass.FUTURE: 2e-4,
    AssetClass.OPTION: 1e-2,
}
USUAL_LEAST_MOVE = 5e-4

_BLOCK = 16  # a window of 64 holds three whole blocks that begin at multiples of 16
_SLICE = 16_384  # windows at a time: 8 MB
_MANY = 64  # more candidates than one row in so many are thinned out before windows are sorted
_TICKS = tuple(
    sorted(
        {tick * 10.0**-decimals for decimals in range(9) for tick in (1.0, 0.5, 0.25, 0.2)}
        | {2.0**-power for power in range(9)},
        reverse=True,
    )
)
TINY = 1e-18  # the least price that is stored: a log class's price below it counts as this


@dataclass(frozen=True)
class Rows:
    """Sorted rows; those with a `place` among the rows given are new, the others are their past.

    `classes` has one asset class per series, in their order.
    """

    columns: Columns
    starts: Places
    classes: Sequence[AssetClass]

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Give a column: series, time, row_id, date, line, price, and those of the kind."""
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        """Tell whether there is such a column."""
        return name in self.columns

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.columns["series"])

    @cached_property
    def lengths(self) -> Places:
        """Rows of each series."""
        return np.diff(self.starts, append=len(self))

    @cached_property
    def known(self) -> Places:
        """How many rows of its series are known before each row."""
        known: Places = np.arange(len(self)) - np.repeat(self.starts, self.lengths)
        return known

    @cached_property
    def new(self) -> Flags:
        """The rows that are to be judged."""
        new: Flags = self["place"] >= 0
        return new

    @cached_property
    def judged(self) -> Flags:
        """The new rows with enough of a past."""
        judged: Flags = self.new & (self.known > MIN_HISTORY)
        return judged

    def by_class(self, values: Mapping[AssetClass, float], default: float) -> Floats:
        """Give each row the value of its asset class; to be read only."""
        of_series = [values.get(each, default) for each in self.classes]
        if len(set(of_series)) == 1:
            return np.broadcast_to(np.float64(of_series[0]), len(self))
        return np.repeat(of_series, self.lengths)

    @cached_property
    def linear(self) -> Flags | None:
        """Rows whose moves are differences, since prices may be zero or below; None: no row."""
        linear = [each in MAY_BE_NEGATIVE for each in self.classes]
        return np.repeat(linear, self.lengths) if any(linear) else None

    def level(self, name: str) -> Floats:
        """Give a price column so that differences of it are moves: its log, or itself."""
        price = self[name]
        level: Floats = np.log(np.maximum(price, TINY))
        return level if self.linear is None else np.where(self.linear, price, level)

    @cached_property
    def moves(self) -> Floats:
        """|log return| (or |difference|) from the row before; 0 at the start of a series."""
        moves = np.abs(np.diff(self.level("price"), prepend=0.0))
        moves[self.starts] = 0.0
        return np.nan_to_num(moves, copy=False) if "bid" in self else moves

    @cached_property
    def least_moves(self) -> Floats:
        """The least scale of a move at each row, in the unit of `moves`."""
        least = self.by_class(LEAST_MOVE, USUAL_LEAST_MOVE)
        if self.linear is None:
            return least
        before = np.abs(np.roll(self["price"], 1))
        return np.where(self.linear, least * before, least)

    def medians(self, values: Floats, k: Places, *, skip: int = 0) -> Floats:
        """Give the median of the up to 64 values before each row; the row itself has no say.

        `skip` leaves out the first values of each series. All k have a value before them.
        """
        return np.concatenate([_median(self._before(values, part, skip)) for part in _slices(k)])

    def deviations(self, values: Floats, k: Places, centre: Floats) -> Floats:
        """Give the median of |value - centre| over the up to 64 values before each row."""
        return np.concatenate(
            [
                _median(np.abs(self._before(values, part, 0) - middle[:, None]))
                for part, middle in zip(_slices(k), _slices(centre), strict=True)
            ]
        )

    def _before(self, values: Floats, k: Places, skip: int) -> Floats:
        """Give the windows (k, 64) before rows; inf where there is no row."""
        places = k[:, None] + np.arange(-WINDOW, 0)
        inside = places >= (k - self.known[k] + skip)[:, None]
        return np.where(inside, values[np.maximum(places, 0)], np.inf)

    def candidates(self, some: Flags, values: Floats, least: Floats, *, skip: int = 0) -> Places:
        """Give those of some rows that may have a value of `least` times the median before it.

        Where few are asked about, all of them: the medians tell.
        """
        if np.count_nonzero(some) * _MANY >= len(values):
            low = np.repeat(_below_median(values), _BLOCK)[: len(values)]
            low[self.known < WINDOW + skip] = 0.0
            some = some & (values >= least * low)
        return np.flatnonzero(some)

    def steps(self, k: Places) -> Floats:
        """Give the largest usual tick, at most 1, that the prices before and at each row lie on."""
        steps = np.full(len(k), _TICKS[-1])
        prices = np.column_stack([self._before(self["price"], k, 0), self["price"][k]])
        prices[~np.isfinite(prices)] = 0.0
        for tick in reversed(_TICKS):
            scaled = prices / tick
            rest = np.abs(scaled - np.rint(scaled))
            fits = (rest <= np.maximum(1e-6, np.abs(scaled) * 1e-12)).all(axis=1)
            steps[fits] = tick
        return steps


def series_starts(series: npt.NDArray[np.int64]) -> Places:
    """Give the first place of each run of equal values."""
    return np.flatnonzero(np.diff(series, prepend=series[:1] - 1))


def _slices(values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    return [values[first : first + _SLICE] for first in range(0, max(len(values), 1), _SLICE)]


def _median(windows: Floats) -> Floats:
    """Give the median of each row's finite values; they change their order."""
    windows.sort(axis=1)
    count = np.isfinite(windows).sum(axis=1)
    rows = np.arange(len(windows))
    median: Floats = (
        windows[rows, np.maximum(count - 1, 0) // 2] + windows[rows, count // 2 % WINDOW]
    ) / 2
    return median


def _below_median(values: Floats) -> Floats:
    """For each block of 16 rows, bound the median of any 64 rows before one of its rows from below.

    Such a window holds the three blocks before; 33 of their 48 values are not below the 16th, so
    no more than 31 of 64 are. Single precision, rounded down, for speed.
    """
    blocks = -(-len(values) // _BLOCK)
    low = np.zeros(blocks)
    if blocks <= 3:
        return low
    whole = values[: (blocks - 1) * _BLOCK].astype(np.float32).reshape(-1, _BLOCK)
    three = np.concatenate([whole[:-2], whole[1:-1], whole[2:]], axis=1)
    three.partition(_BLOCK - 1, axis=1)
    low[3:] = three[:, _BLOCK - 1] * (1 - 1e-6)
    return low
