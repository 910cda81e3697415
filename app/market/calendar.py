"""Which trading date and session a moment belongs to, from exchange-calendars' schedules.

A trading date owns the time from the end of the one before it. Within it: pre until the open,
regular from open to close (lunch breaks included), post until local midnight or the next date's
open, whichever is first. A moment on a local date without a session belongs to the next trading
date's pre, if that opens within ten days; further away it keeps its own local date.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.market.candle import Session
from app.market.instrument import Exchange
from app.market.schedule import ALWAYS_OPEN, FIRST_YEAR, LAST_YEAR, Micros, Schedule, schedule_of

_DAY_US = 86_400_000_000
_MAX_WAIT_DAYS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Trading dates (days since 1970) and sessions, one per moment asked about."""

    trading_date: npt.NDArray[np.int32]
    session: npt.NDArray[np.int16]


class TradingCalendar:
    """One venue's schedule over whole years, ready for vectorised look-ups."""

    def __init__(self, exchange: Exchange, first_year: int, last_year: int) -> None:
        self._exchange = exchange
        self._years = (max(first_year - 1, FIRST_YEAR), min(last_year + 1, LAST_YEAR))

    def place(self, moments_us: Micros) -> Placement:
        """Give the trading date and session of each moment (microseconds since 1970, UTC)."""
        if self._exchange.calendar == ALWAYS_OPEN:
            days = (moments_us // _DAY_US).astype(np.int32)
            return Placement(
                trading_date=days,
                session=np.full(moments_us.shape, Session.REGULAR, dtype=np.int16),
            )
        schedule = self._schedule
        index = np.searchsorted(schedule.ends, moments_us, side="right")
        known = np.minimum(index, len(schedule.ends) - 1)
        trading_date = schedule.dates[known]
        session = np.where(
            moments_us < schedule.opens[known],
            Session.PRE,
            np.where(moments_us < schedule.closes[known], Session.REGULAR, Session.POST),
        ).astype(np.int16)
        far = (index == len(schedule.ends)) | (
            schedule.opens[known] - moments_us > _MAX_WAIT_DAYS * _DAY_US
        )
        if far.any():
            trading_date = trading_date.copy()
            trading_date[far] = _local_days(moments_us[far], self._exchange.timezone)
            session[far] = Session.PRE
        return Placement(trading_date=trading_date, session=session)

    @cached_property
    def _schedule(self) -> Schedule:
        return schedule_of(self._exchange, *self._years)


def _local_days(moments_us: Micros, timezone: str) -> npt.NDArray[np.int32]:
    local = pd.DatetimeIndex(moments_us.astype("datetime64[us]")).tz_localize("UTC")
    return (
        local.tz_convert(timezone)
        .tz_localize(None)
        .to_numpy()
        .astype("datetime64[D]")
        .astype(np.int32)
    )
