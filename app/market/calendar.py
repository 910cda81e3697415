"""Which trading date and session a moment belongs to, from exchange-calendars' schedules.

A trading date owns the time from the end of the one before it. Within it: pre until the open,
regular from open to close (lunch breaks included), post until local midnight or the next date's
open, whichever is first. A moment on a local date without a session belongs to the next trading
date's pre, if that opens within ten days; further away it keeps its own local date.
"""

from dataclasses import dataclass
from functools import cached_property

import exchange_calendars as xcals
import numpy as np
import numpy.typing as npt
import pandas as pd

from app.errors import BadInput
from app.market.candle import Session
from app.market.instrument import Exchange

ALWAYS_OPEN = "24/7"
_DAY_US = 86_400_000_000
_MAX_WAIT_DAYS = 10
_YEAR = pd.Timedelta(days=366)
_FIRST_YEAR, _LAST_YEAR = 1970, 2199

Micros = npt.NDArray[np.int64]


def exchange_of(mic: str) -> Exchange:
    """Describe a venue by its MIC, or `24/7` for one that never closes.

    Raises:
        BadInput: exchange-calendars knows no such venue.
    """
    if mic == ALWAYS_OPEN:
        return Exchange(mic=mic, calendar=mic, timezone="UTC")
    if mic not in xcals.get_calendar_names(include_aliases=True):
        raise BadInput(
            f"exchange {mic!r} is neither a MIC that exchange-calendars knows nor '24/7'"
        )
    code = xcals.resolve_alias(mic)
    return Exchange(mic=mic, calendar=code, timezone=str(_calendar(code, 2024, 2024).tz))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Trading dates (days since 1970) and sessions, one per moment asked about."""

    trading_date: npt.NDArray[np.int32]
    session: npt.NDArray[np.int16]


class TradingCalendar:
    """One venue's schedule over whole years, ready for vectorised look-ups."""

    def __init__(self, exchange: Exchange, first_year: int, last_year: int) -> None:
        self._exchange = exchange
        self._years = (max(first_year - 1, _FIRST_YEAR), min(last_year + 1, _LAST_YEAR))

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
    def _schedule(self) -> "_Schedule":
        calendar = _calendar(self._exchange.calendar, *self._years)
        opens = calendar.opens.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
        closes = calendar.closes.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
        local = pd.DatetimeIndex(calendar.closes.dt.tz_convert(calendar.tz))
        # A close at local midnight ends that day; a millisecond earlier is safely inside it.
        inside = local - pd.Timedelta(milliseconds=1)
        midnights = (
            (inside.tz_localize(None).normalize() + pd.Timedelta(days=1))
            .tz_localize(calendar.tz, ambiguous=True, nonexistent="shift_forward")
            .tz_convert("UTC")
            .tz_localize(None)
            .to_numpy()
            .astype("datetime64[us]")
            .astype(np.int64)
        )
        ends = np.minimum(midnights, np.append(opens[1:], np.iinfo(np.int64).max))
        dates = calendar.sessions.to_numpy().astype("datetime64[D]").astype(np.int32)
        return _Schedule(dates=dates, opens=opens, closes=closes, ends=ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schedule:
    dates: npt.NDArray[np.int32]
    opens: Micros
    closes: Micros
    ends: Micros


def _calendar(code: str, first_year: int, last_year: int) -> xcals.ExchangeCalendar:
    """Open a calendar over whole years, or over those of them that it is known for."""
    start, end = pd.Timestamp(first_year, 1, 1), pd.Timestamp(last_year, 12, 31)
    try:
        return xcals.get_calendar(code, start=start, end=end)
    except ValueError:
        known = xcals.get_calendar(code)
    low, high = known.bound_min(), known.bound_max()
    if high is not None:
        start, end = min(start, high - _YEAR), min(end, high)
    if low is not None:
        start = max(start, low)
    return xcals.get_calendar(code, start=start, end=max(end, start + _YEAR))


def _local_days(moments_us: Micros, timezone: str) -> npt.NDArray[np.int32]:
    local = pd.DatetimeIndex(moments_us.astype("datetime64[us]")).tz_localize("UTC")
    return (
        local.tz_convert(timezone)
        .tz_localize(None)
        .to_numpy()
        .astype("datetime64[D]")
        .astype(np.int32)
    )
