"""Join what is known of every run of so many columns, in work that does not grow with the run.

A run is the end of one block of its own length and the beginning of the next: what is gathered
from each side of every block's edge is joined. Nothing is ever subtracted out of a running sum, so
an outlier leaves no residue behind it (van Herk; the moments are joined as Chan et al. do). NaN is
in the runs that hold it, and in no other.
"""

from collections.abc import Callable

import numpy as np

from app.query.statistics.returns import Floats

# Joins what is known of two stretches: (left, right, how many left, how many right).
Counts = Floats | float
Join = Callable[[Floats, Floats, Counts, Counts], Floats]


def windowed(items: Floats, window: int, join: Join) -> Floats:
    """Join each run of `window` columns of (rows x times); gives as many as there are runs.

    Takes work that grows with the times alone, in `window` steps over all blocks at once.
    """
    rows, count = items.shape
    if count < window:
        return np.empty((rows, 0))
    blocks = -(-count // window)
    padded = np.full((rows, blocks * window), np.nan)
    padded[:, :count] = items
    # Place in the block, then block: each step is one operation over all blocks.
    laid = np.ascontiguousarray(padded.reshape(rows, blocks, window).transpose(0, 2, 1))
    heads, tails = laid.copy(), laid.copy()
    for so_far in range(1, window):
        heads[:, so_far] = join(heads[:, so_far - 1], laid[:, so_far], float(so_far), 1.0)
        back = window - 1 - so_far
        tails[:, back] = join(laid[:, back], tails[:, back + 1], 1.0, float(so_far))
    ends = np.arange(window - 1, count)
    block, place = ends // window, ends % window
    found: Floats = heads[:, place, block]
    split = place < window - 1
    block, place = block[split], place[split]
    found[:, split] = join(
        tails[:, place + 1, block - 1],
        found[:, split],
        (window - 1 - place).astype(np.float64),
        (place + 1).astype(np.float64),
    )
    return found


def moments(left: Floats, right: Floats, lefts: Counts, rights: Counts) -> Floats:
    """Join means and sums of squares about them."""
    both = lefts + rights
    off = right[0] - left[0]
    return np.stack(
        (left[0] + off * (rights / both), left[1] + right[1] + off**2 * (lefts * rights / both))
    )


def comoments(left: Floats, right: Floats, lefts: Counts, rights: Counts) -> Floats:
    """Join two means, both sums of squares about them, and the sum of products."""
    both = lefts + rights
    off, other_off = right[0] - left[0], right[1] - left[1]
    share, weight = rights / both, lefts * rights / both
    return np.stack(
        (
            left[0] + off * share,
            left[1] + other_off * share,
            left[2] + right[2] + off**2 * weight,
            left[3] + right[3] + other_off**2 * weight,
            left[4] + right[4] + off * other_off * weight,
        )
    )


def sums(left: Floats, right: Floats, lefts: Counts, rights: Counts) -> Floats:
    """Join sums."""
    return left + right


def extremes(left: Floats, right: Floats, lefts: Counts, rights: Counts) -> Floats:
    """Join highest and lowest."""
    return np.stack((np.maximum(left[0], right[0]), np.minimum(left[1], right[1])))


def falls(left: Floats, right: Floats, lefts: Counts, rights: Counts) -> Floats:
    """Join highest and lowest level and the deepest fall."""
    across = np.minimum(right[1] / left[0] - 1, 0)
    return np.stack(
        (
            np.maximum(left[0], right[0]),
            np.minimum(left[1], right[1]),
            np.minimum(np.minimum(left[2], right[2]), across),
        )
    )
