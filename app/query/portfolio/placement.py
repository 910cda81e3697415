"""Find the trading date and the bucket of each transaction, by its venue's calendar.

In buckets of a day or more a transaction counts to its trading date, in shorter ones to its
moment; one that has only a date counts to that date's open. Without a venue, dates are UTC's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from app.market.calendar import TradingCalendar
from app.market.grid import Micros, micros, moment_of
from app.market.instrument import Exchange, Instrument
from app.market.interval import Interval, midnight
from app.market.schedule import FIRST_YEAR, LAST_YEAR, exchange_of, schedule_of
from app.query.portfolio.terms import Term

_EPOCH = date(1970, 1, 1)
_DECADE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A term and where it counts; `bucket` is its start in microseconds since 1970 UTC."""

    term: Term
    instrument: Instrument | None
    trading_date: date
    moment: datetime
    bucket: int


def placed(
    terms: Sequence[Term], instruments: Mapping[str, Instrument], interval: Interval
) -> list[Placed]:
    """Give terms with their buckets, in the order of time, then in the order given.

    May take a second for years of a calendar that were not asked for before.
    """
    found: list[Placed] = []
    for mic, own in _by_venue(terms, instruments).items():
        exchange = None if mic is None else exchange_of(mic)
        dates = _trading_dates(own, exchange)
        for term, day in zip(own, dates, strict=True):
            moment = term.time
            if moment is None:
                moment = midnight(day) if interval.is_dated else _open(exchange, day)
            bucket = (
                midnight(interval.floor_date(day)) if interval.is_dated else interval.floor(moment)
            )
            found.append(
                Placed(
                    term=term,
                    instrument=None if term.symbol is None else instruments[term.symbol],
                    trading_date=day,
                    moment=moment,
                    bucket=micros(bucket),
                )
            )
    return sorted(found, key=lambda each: (each.bucket, each.moment, each.term.place))


def _by_venue(
    terms: Sequence[Term], instruments: Mapping[str, Instrument]
) -> dict[str | None, list[Term]]:
    venues: dict[str | None, list[Term]] = {}
    for term in terms:
        mic = None if term.symbol is None else instruments[term.symbol].exchange
        venues.setdefault(mic, []).append(term)
    return venues


def _trading_dates(terms: Sequence[Term], exchange: Exchange | None) -> list[date]:
    timed = [term.time for term in terms if term.time is not None]
    if exchange is None or not timed:
        days = [time.astimezone(UTC).date() for time in timed]
    else:
        at: Micros = np.array([micros(time) for time in timed], dtype=np.int64)
        calendar = TradingCalendar(exchange, *_years(min(timed).year, max(timed).year))
        days = [_EPOCH + timedelta(days=day) for day in calendar.place(at).trading_date.tolist()]
    by_time = iter(days)
    return [next(by_time) if term.day is None else term.day for term in terms]


def _open(exchange: Exchange | None, day: date) -> datetime:
    """Give the open of a date; its midnight in UTC where it has none."""
    if exchange is None or not FIRST_YEAR <= day.year <= LAST_YEAR:
        return midnight(day)
    schedule = schedule_of(exchange, *_years(day.year, day.year))
    number = (day - _EPOCH).days
    index = int(np.searchsorted(schedule.dates, number))
    if index == len(schedule.dates) or schedule.dates[index] != number:
        return midnight(day)
    return moment_of(int(schedule.opens[index]))


def _years(first: int, last: int) -> tuple[int, int]:
    """Widen to whole decades: few different spans are remembered."""
    first, last = min(max(first, FIRST_YEAR), LAST_YEAR), min(max(last, FIRST_YEAR), LAST_YEAR)
    return first // _DECADE * _DECADE, last // _DECADE * _DECADE + _DECADE - 1
