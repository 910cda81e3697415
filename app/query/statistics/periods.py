"""How many candles of a kind a year has at a venue: what statistics are annualised by."""

from functools import lru_cache

import numpy as np

from app.errors import BadInput
from app.market.candle import Session
from app.market.candle_spec import CandleSpec
from app.market.interval import Interval, Unit
from app.market.schedule import ALWAYS_OPEN, NEVER, exchange_of, schedule_of

TRADING_DAYS, WEEKDAYS, CALENDAR_DAYS = 252.0, 260.0, 365.0
WEEKS, MONTHS = 52.0, 12.0
_WEEKDAYS_ONLY = "24/5"
_DAY_S, _WEEK_DAYS = 86_400, 7
_US = 1_000_000
_MAX_KINDS = 1024


def periods_per_year(spec: CandleSpec, mic: str, year: int) -> float:
    """Give the convention for candles of a day or more; for shorter ones count a session's.

    A stock exchange has 252 days of trading, a venue that never closes 365; a year has 52 weeks and
    12 months. Shorter candles: those of the regular session, as long as most were in that year,
    times the days. May take some milliseconds: call it beside the event loop.

    Raises:
        BadInput: candles of a session before or after the regular one, whose length no calendar
            knows.
    """
    interval = spec.interval
    if interval.unit is Unit.MONTH:
        return MONTHS / interval.count
    if interval.unit is Unit.DAY:
        return _of_days(interval.count, _days(mic))
    if mic == ALWAYS_OPEN:
        return CALENDAR_DAYS * _DAY_S / interval.count
    if spec.session in (Session.PRE, Session.POST):
        raise BadInput(
            f"periodsPerYear must be given for candles of {interval} in the {spec.session.name}"
            f" session of {mic!r}: its calendar does not say how long that is"
        )
    if interval.count >= _DAY_S:
        return _of_days(interval.count / _DAY_S, _days(mic))
    return _session_candles(mic, interval, year) * _days(mic)


def _of_days(days: float, of_year: float) -> float:
    """Give how many stretches of so many calendar days in a year have trading in them."""
    if days == 1:
        return of_year
    if days % _WEEK_DAYS == 0:
        return WEEKS / (days / _WEEK_DAYS)
    if days < 3 and of_year < CALENDAR_DAYS:
        # Some of them are weekends: of two days, one in seven.
        return CALENDAR_DAYS / days * (8 - days) / _WEEK_DAYS
    return CALENDAR_DAYS / days


@lru_cache(maxsize=_MAX_KINDS)
def _days(mic: str) -> float:
    if mic == ALWAYS_OPEN:
        return CALENDAR_DAYS
    return WEEKDAYS if exchange_of(mic).calendar == _WEEKDAYS_ONLY else TRADING_DAYS


@lru_cache(maxsize=_MAX_KINDS)
def _session_candles(mic: str, interval: Interval, year: int) -> float:
    """Give the candles of the commonest regular session, each part's last one however short."""
    schedule = schedule_of(exchange_of(mic), year, year)
    broken = schedule.breaks != NEVER
    first = np.where(broken, schedule.breaks, schedule.closes) - schedule.opens
    second = np.where(broken, schedule.closes - schedule.reopens, 0)
    width = interval.count * _US
    candles = -(-first // width) - (-second // width)
    counts, often = np.unique(candles, return_counts=True)
    return float(counts[np.argmax(often)])
