"""Where buckets and sessions begin and end, cut plainly from clocks and exchange-calendars."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import exchange_calendars as xcals
import pandas as pd

from app.market.candle import Session
from tests.query.quotes.quoted import Piece

NEW_YORK = ZoneInfo("America/New_York")
DAY = timedelta(days=1)
MONDAY = datetime(2000, 1, 3, tzinfo=UTC)

Pieces = Callable[[datetime, datetime], Iterator[Piece]]


def clock(width: timedelta, zone: ZoneInfo | None = None) -> Pieces:
    """Cut time every so often, from Monday 2000-01-03 or from a zone's midnights."""

    def pieces(first: datetime, last: datetime) -> Iterator[Piece]:
        if zone is None:
            start = MONDAY + (first - MONDAY) // width * width
            while start <= last:
                yield Piece(label=start, start=start, end=start + width)
                start += width
            return
        for day in pd.date_range(first.date() - DAY, last.date() + 2 * DAY):
            begin = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
            after = day + DAY
            end = datetime(after.year, after.month, after.day, tzinfo=zone).astimezone(UTC)
            start = begin
            while start < end:
                yield Piece(label=start, start=start, end=min(start + width, end))
                start += width

    return pieces


def dates(session: Session | None, label: Callable[[datetime], datetime]) -> Pieces:
    """Cut by New York's trading dates, the whole or a session of each."""

    def pieces(first: datetime, last: datetime) -> Iterator[Piece]:
        for day, bounds in us_days(first, last).items():
            start, end = bounds[session]
            yield Piece(label=label(day), start=start, end=end)

    return pieces


def from_open(width: timedelta) -> Pieces:
    """Cut the regular session every so often from its open."""

    def pieces(first: datetime, last: datetime) -> Iterator[Piece]:
        for bounds in us_days(first, last).values():
            start, close = bounds[Session.REGULAR]
            while start < close:
                yield Piece(label=start, start=start, end=min(start + width, close))
                start += width

    return pieces


def us_days(
    first: datetime, last: datetime
) -> dict[datetime, dict[Session | None, tuple[datetime, datetime]]]:
    """Give each trading date's sessions: a date begins where the one before it ends."""
    calendar = xcals.get_calendar("XNYS")
    sessions = calendar.sessions_in_range(first.date() - 9 * DAY, last.date() + 9 * DAY)
    found: dict[datetime, dict[Session | None, tuple[datetime, datetime]]] = {}
    begin = None
    for day in sessions:
        opens, closes = (
            each.to_pydatetime().astimezone(UTC)
            for each in (calendar.session_open(day), calendar.session_close(day))
        )
        after = day + DAY
        end = datetime(after.year, after.month, after.day, tzinfo=NEW_YORK).astimezone(UTC)
        if begin is not None:
            found[day.to_pydatetime().replace(tzinfo=UTC)] = {
                None: (begin, end),
                Session.PRE: (begin, opens),
                Session.REGULAR: (opens, closes),
                Session.POST: (closes, end),
            }
        begin = end
    return found


def monday(day: datetime) -> datetime:
    return day - timedelta(days=day.weekday())


def month(day: datetime) -> datetime:
    return day.replace(day=1)
