"""Fewer candles, same picture: choose the rows that a screen of some width can show.

Rows are chosen, never made, so that all columns stay aligned. Rows without prices (buckets filled
with nulls) are gaps of the picture: they count only where nothing else is.
"""

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from app.errors import BadInput
from app.market.grid import Micros
from app.query.indicators.catalogue import Floats

Places = npt.NDArray[np.intp]


class Method(StrEnum):
    """How rows are chosen."""

    M4 = "M4"
    LTTB = "LTTB"


LEAST = {Method.M4: 4, Method.LTTB: 3}
_A_COLUMN = 4


def check_points(points: int, method: Method, max_points: int) -> None:
    """Check how many rows are asked for.

    Raises:
        BadInput: they are too few for the method, or more than are given at once.
    """
    if not LEAST[method] <= points <= max_points:
        raise BadInput(
            f"maxPoints is {points!r}: it must be from {LEAST[method]} to {max_points}"
            f" with {method}"
        )


def m4(time: Micros, low: Floats, high: Floats, close: Floats, points: int) -> Places:
    """Choose the first, last, lowest and highest row of each column of pixels on a time axis.

    There are `points` / 4 columns of equal time. A candle chart of that many pixels is the same
    with the chosen rows as with all (Jugel et al., "M4", VLDB 2014). Gives at most `points` places,
    in order; all where there are no more.
    """
    if len(time) <= points:
        return np.arange(len(time))
    edges = _edges(time, points // _A_COLUMN)
    starts = np.unique(np.searchsorted(time, edges[:-1]))
    starts = starts[starts < len(time)]
    ends = np.append(starts[1:], len(time))
    column = np.repeat(np.arange(len(starts)), ends - starts)
    priced = np.isfinite(close)
    rows = np.flatnonzero(priced)
    own = column[rows]
    chosen = [starts[np.bincount(own, minlength=len(starts)) == 0]]
    if len(rows):
        firsts = np.flatnonzero(np.diff(own, prepend=-1))
        lasts = np.append(firsts[1:], len(rows)) - 1
        # Sorted by column, then value: each column's first is its lowest, the earliest of equals.
        lowest = np.lexsort((rows, low[rows], own))[firsts]
        highest = np.lexsort((rows, -high[rows], own))[firsts]
        chosen += [rows[firsts], rows[lasts], rows[lowest], rows[highest]]
    return np.unique(np.concatenate(chosen))


def _edges(time: Micros, columns: int) -> Micros:
    """Give the bounds of columns of equal time; the last one is behind the last row."""
    span = int(time[-1] - time[0]) + 1
    whole, rest = divmod(span, columns)
    numbers = np.arange(columns + 1, dtype=np.int64)
    # ceil(number * span / columns) without leaving 64 bits.
    edges: Micros = time[0] + numbers * whole + -(-numbers * rest // columns)
    return edges


def lttb(time: Micros, close: Floats, points: int) -> Places:
    """Choose rows by the largest triangles of the closing line (Steinarsson, 2013).

    Keeps the first and the last row and one of each of `points` - 2 buckets of as many rows: that
    which spans the largest triangle with the one chosen before and the middle of the next bucket.
    Gives at most `points` places, in order; all where there are no more.
    """
    count = len(time)
    if count <= points:
        return np.arange(count)
    x = (time - time[0]).astype(np.float64)
    line, gaps = _without_gaps(close)
    edges = 1 + np.arange(points - 1, dtype=np.int64) * (count - 2) // (points - 2)
    sizes = np.diff(edges)
    middles_x = np.append(np.add.reduceat(x[:-1], edges[:-1]) / sizes, x[-1])
    middles = np.append(np.add.reduceat(line[:-1], edges[:-1]) / sizes, line[-1])
    chosen = np.empty(points, dtype=np.intp)
    chosen[0], chosen[-1] = 0, count - 1
    at = 0
    for number in range(points - 2):
        own = slice(edges[number], edges[number + 1])
        back, rise = x[at] - middles_x[number + 1], middles[number + 1] - line[at]
        areas = np.abs(back * (line[own] - line[at]) - (x[at] - x[own]) * rise)
        areas[gaps[own]] = -1.0
        at = int(edges[number] + areas.argmax())
        chosen[number + 1] = at
    return chosen


def _without_gaps(close: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Give the line with each gap as high as what is before it, or else behind it; and the gaps."""
    gaps = ~np.isfinite(close)
    if not gaps.any():
        return close, gaps
    rows = np.flatnonzero(~gaps)
    if not len(rows):
        return np.zeros(len(close)), gaps
    before = np.searchsorted(rows, np.arange(len(close)), side="right") - 1
    return close[rows[np.maximum(before, 0)]], gaps
