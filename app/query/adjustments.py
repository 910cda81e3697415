"""What prices of the past are multiplied by, as corporate actions after them demand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from app.market.candle_spec import Adjust


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """Factors of the trading dates in [first_date, end_date); dates without one have 1."""

    first_date: date
    end_date: date
    price_factor: Decimal
    volume_factor: Decimal


class AdjustmentBook:
    """Adjustments of instruments, remembered while nothing has changed them."""

    async def of(
        self, instrument_ids: Sequence[int], adjust: Adjust
    ) -> dict[int, tuple[Adjustment, ...]]:
        """Give each instrument's adjustments, in order, without overlaps."""
        return dict.fromkeys(instrument_ids, ())
