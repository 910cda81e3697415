"""How returns are measured, annualised and judged: what a question says beside its range."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite, log1p

import numpy as np
import numpy.typing as npt

from app.errors import BadInput

Numbers = npt.NDArray[np.float64]

MAX_RISK_FREE = 10.0
MAX_PERIODS = 31_622_400.0  # seconds of a leap year
_DIGITS = 12


class ReturnKind(StrEnum):
    """How the change from one value to the next is measured."""

    SIMPLE = "SIMPLE"
    LOG = "LOG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`risk_free` is a yearly rate, compounded; `confidence` is that of the value at risk."""

    returns: ReturnKind = ReturnKind.SIMPLE
    risk_free: float = 0.0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Hold the numbers in their ranges.

        Raises:
            BadInput: one is outside.
        """
        if not -1 < self.risk_free <= MAX_RISK_FREE:
            raise BadInput(
                f"riskFree is {self.risk_free!r}: it is a rate a year above -1 and at most"
                f" {MAX_RISK_FREE:g}, such as 0.05 for 5 %"
            )
        if not 0 < self.confidence < 1:
            raise BadInput(
                f"confidence is {self.confidence!r}: it must be above 0 and below 1, such as 0.95"
            )

    @property
    def tail(self) -> float:
        """The share of the worst returns: 0.05 at a confidence of 0.95, without binary residue."""
        return round(1 - self.confidence, _DIGITS)

    def risk_free_of(self, periods_per_year: float) -> float:
        """Give the risk-free return of one period, of the kind that returns are."""
        if self.returns is ReturnKind.LOG:
            return log1p(self.risk_free) / periods_per_year
        return float((1 + self.risk_free) ** (1 / periods_per_year) - 1)

    def compounded(self, excess: Numbers, periods_per_year: float | Numbers) -> Numbers:
        """Give a year's growth at so much a period; NaN or infinite where there is none."""
        with np.errstate(all="ignore"):
            if self.returns is ReturnKind.LOG:
                return np.expm1(excess * periods_per_year)
            return np.where(excess > -1, (1 + excess) ** periods_per_year - 1, np.nan)


def checked_periods(periods_per_year: float | None) -> float | None:
    """Give the number of periods in a year that a question names, if it does.

    Raises:
        BadInput: no year has so many.
    """
    if periods_per_year is None:
        return None
    if not (isfinite(periods_per_year) and 0 < periods_per_year <= MAX_PERIODS):
        raise BadInput(
            f"periodsPerYear is {periods_per_year!r}: it must be above 0 and at most"
            f" {MAX_PERIODS:.0f}, such as 252 for daily returns"
        )
    return periods_per_year
