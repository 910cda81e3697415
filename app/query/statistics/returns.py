"""Values over time and the returns between them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.query.statistics.terms import ReturnKind

Floats = npt.NDArray[np.float64]
Micros = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Values:
    """Closes, or the worth of anything: `level` at each of the rising `time` (us since 1970 UTC).

    The first one is what the first return counts from.
    """

    time: Micros
    level: Floats

    def __post_init__(self) -> None:
        """Hold both at one length."""
        assert self.time.shape == self.level.shape, (self.time.shape, self.level.shape)

    def __len__(self) -> int:
        """Count them."""
        return len(self.time)

    def at(self, places: npt.NDArray[np.int64]) -> "Values":
        """Give some of them, in order."""
        return Values(time=self.time[places], level=self.level[places])


def returns_of(levels: Floats, kind: ReturnKind) -> Floats:
    """Give the returns along the first axis, one fewer than levels.

    NaN where there is none: beside a level of zero or below, or a missing one.
    """
    above = levels > 0
    usable = levels if above.all() else np.where(above, levels, np.nan)
    ratio = usable[1:] / usable[:-1]
    found: Floats = np.log(ratio) if kind is ReturnKind.LOG else ratio - 1
    return found


def in_common(first: Values, second: Values) -> tuple[Values, Values]:
    """Give both at the times that both have."""
    if first.time.shape == second.time.shape and bool((first.time == second.time).all()):
        return first, second
    _, mine, others = np.intersect1d(
        first.time, second.time, assume_unique=True, return_indices=True
    )
    return first.at(mine), second.at(others)


def number(value: np.float64 | float) -> float | None:
    """Give a number that exists as a plain float; None for NaN and the infinities."""
    return float(value) if np.isfinite(value) else None
