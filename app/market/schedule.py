"""A venue's trading dates: when each begins, opens, breaks, closes and ends."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import exchange_calendars as xcals
import numpy as np
import numpy.typing as npt
import pandas as pd

from app.errors import BadInput
from app.market.instrument import Exchange

ALWAYS_OPEN = "24/7"
NEVER = np.iinfo(np.int64).max
_DAY_US = 86_400_000_000
_YEAR = pd.Timedelta(days=366)
FIRST_YEAR, LAST_YEAR = 1970, 2199
_MAX_SCHEDULES = 64
_MAX_EXCHANGES = 512

Micros = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """One row per trading date: days since 1970, and microseconds since 1970 UTC.

    A date owns the time from the end of the one before it. `breaks` and `reopens` bound the lunch
    break; both are NEVER where there is none. `late_opens` and `early_closes` tell dates with other
    hours than their weekday usually has at that time.
    """

    dates: npt.NDArray[np.int32]
    opens: Micros
    breaks: Micros
    reopens: Micros
    closes: Micros
    ends: Micros
    late_opens: npt.NDArray[np.bool_]
    early_closes: npt.NDArray[np.bool_]


@lru_cache(maxsize=_MAX_EXCHANGES)
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


@lru_cache(maxsize=_MAX_EXCHANGES)
def known_dates(exchange: Exchange) -> tuple[date, date]:
    """Give the first and the last date that the venue's calendar can tell of."""
    first, last = date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31)
    if exchange.calendar == ALWAYS_OPEN:
        return first, last
    calendar = xcals.get_calendar(exchange.calendar)
    low, high = calendar.bound_min(), calendar.bound_max()
    return (
        first if low is None else max(first, low.date()),
        last if high is None else min(last, high.date()),
    )


@lru_cache(maxsize=_MAX_SCHEDULES)
def schedule_of(exchange: Exchange, first_year: int, last_year: int) -> Schedule:
    """Give the trading dates of whole years, or of those of them that the calendar is known for.

    Takes a quarter of a second for twenty years that were not asked for before.
    """
    first_year, last_year = max(first_year, FIRST_YEAR), min(last_year, LAST_YEAR)
    if exchange.calendar == ALWAYS_OPEN:
        return _always(first_year, last_year)
    calendar = _calendar(exchange.calendar, first_year, last_year)
    opens, closes = _micros(calendar.opens), _micros(calendar.closes)
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
    return Schedule(
        dates=calendar.sessions.to_numpy().astype("datetime64[D]").astype(np.int32),
        opens=opens,
        breaks=_micros(calendar.break_starts),
        reopens=_micros(calendar.break_ends),
        closes=closes,
        ends=np.minimum(midnights, np.append(opens[1:], NEVER)),
        late_opens=calendar.sessions.isin(calendar.late_opens),
        early_closes=calendar.sessions.isin(calendar.early_closes),
    )


def _always(first_year: int, last_year: int) -> Schedule:
    first, end = (
        int(np.datetime64(f"{year}-01-01", "D").astype(np.int64))
        for year in (first_year, last_year + 1)
    )
    dates = np.arange(first, end, dtype=np.int32)
    opens = dates.astype(np.int64) * _DAY_US
    never = np.full(len(dates), NEVER)
    usual = np.zeros(len(dates), dtype=np.bool_)
    closes = opens + _DAY_US
    return Schedule(
        dates=dates,
        opens=opens,
        breaks=never,
        reopens=never,
        closes=closes,
        ends=closes,
        late_opens=usual,
        early_closes=usual,
    )


def _micros(times: "pd.Series[pd.Timestamp]") -> Micros:
    values = times.dt.tz_localize(None).to_numpy("datetime64[us]")
    return np.where(np.isnat(values), NEVER, values.astype(np.int64))


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
