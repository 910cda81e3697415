"""Opening hours and sessions equal those of exchange-calendars."""

import random
from datetime import UTC, date, datetime, timedelta

import exchange_calendars as xcals
import pandas as pd
import pytest

from app.errors import BadRange, RangeTooLarge
from app.market.schedule import ALWAYS_OPEN, exchange_of, known_dates, schedule_of
from app.market.trading_hours import (
    check_dates,
    is_open,
    next_close,
    next_open,
    open_seconds,
    openings_of,
    schedule_around,
    sessions_of,
)

MICS = (
    "XNYS", "XLON", "XTKS", "XHKG", "XBOM", "XASX", "XFRA", "XTSE", "BVMF", "CMES", "XSHG", "XTAE",
)  # fmt: skip
YEARS = (2005, 2024)


def calendar_of(mic: str) -> xcals.ExchangeCalendar:
    return xcals.get_calendar(mic, start=f"{YEARS[0]}-01-01", end=f"{YEARS[1]}-12-31", side="left")


@pytest.mark.parametrize("mic", MICS)
def test_sessions_are_those_of_the_calendar(mic: str) -> None:
    calendar = calendar_of(mic)
    found = sessions_of(schedule_of(exchange_of(mic), *YEARS), date(2005, 1, 1), date(2025, 1, 1))
    rows = calendar.schedule
    assert [each.date for each in found] == [each.date() for each in rows.index]
    for name, column in (
        ("open", "open"), ("close", "close"), ("break_start", "break_start"),
        ("break_end", "break_end"),
    ):  # fmt: skip
        want = [None if pd.isna(each) else each.to_pydatetime() for each in rows[column]]
        assert [getattr(each, name) for each in found] == want
    early = {each.date() for each in calendar.early_closes}
    assert {each.date for each in found if each.early_close} == early
    late = {each.date() for each in calendar.late_opens}
    assert {each.date for each in found if each.late_open} == late


@pytest.mark.parametrize("mic", MICS)
def test_it_is_open_in_the_trading_minutes(mic: str) -> None:
    calendar = calendar_of(mic)
    openings = openings_of(schedule_of(exchange_of(mic), *YEARS))
    rng = random.Random(mic)
    begin, end = calendar.first_minute, calendar.last_minute
    minutes = [
        begin + pd.Timedelta(minutes=rng.randrange(int((end - begin).total_seconds() // 60)))
        for _ in range(400)
    ]
    # The edges of sessions and breaks, and the minutes before them.
    for row in rng.sample(range(len(calendar.sessions)), 40):
        times = calendar.schedule.iloc[row].dropna()
        minutes += [each + pd.Timedelta(minutes=shift) for each in times for shift in (-1, 0)]
    for minute in minutes:
        if begin <= minute <= end:
            want = calendar.is_open_on_minute(minute, ignore_breaks=False)
            assert is_open(openings, minute.to_pydatetime()) == want, minute


@pytest.mark.parametrize("mic", ["XNYS", "XTKS", "CMES", "XTAE"])
def test_the_next_opening_and_closing_are_the_calendars(mic: str) -> None:
    calendar = calendar_of(mic)
    openings = openings_of(schedule_of(exchange_of(mic), *YEARS))
    starts = sorted({*calendar.opens, *calendar.break_ends.dropna()})
    ends = sorted({*calendar.closes, *calendar.break_starts.dropna()})
    rng = random.Random(mic)
    for _ in range(50):
        moment = datetime(2005, 3, 1, tzinfo=UTC) + timedelta(minutes=rng.randrange(10**7))
        found = next_open(openings, moment), next_close(openings, moment)
        assert found == (
            min(each for each in starts if each > moment).to_pydatetime(),
            min(each for each in ends if each > moment).to_pydatetime(),
        )


def test_behind_the_last_session_nothing_is_known() -> None:
    openings = openings_of(schedule_of(exchange_of("XNYS"), *YEARS))
    assert next_open(openings, datetime(2025, 6, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize("mic", ["XNYS", "XTKS", "XHKG", "CMES"])
def test_open_time_is_the_number_of_trading_minutes(mic: str) -> None:
    calendar = calendar_of(mic)
    openings = openings_of(schedule_of(exchange_of(mic), *YEARS))
    first, last = pd.Timestamp("2023-11-02 03:07", tz="UTC"), pd.Timestamp("2024-04-11", tz="UTC")
    minutes = calendar.minutes_in_range(first, last - pd.Timedelta(minutes=1))
    seconds = open_seconds(openings, first.to_pydatetime(), last.to_pydatetime())
    assert seconds == 60 * len(minutes)


def test_the_day_after_thanksgiving_closes_at_one() -> None:
    (friday,) = sessions_of(
        schedule_of(exchange_of("XNYS"), *YEARS), date(2024, 11, 29), date(2024, 11, 30)
    )
    assert friday.early_close
    assert friday.close == datetime(2024, 11, 29, 18, tzinfo=UTC)


def test_a_venue_that_never_closes_is_always_open() -> None:
    whole = schedule_of(exchange_of(ALWAYS_OPEN), *YEARS)
    assert is_open(openings_of(whole), datetime(2024, 12, 25, 3, tzinfo=UTC))
    (day,) = sessions_of(whole, date(2024, 12, 25), date(2024, 12, 26))
    assert (day.open, day.close) == (
        datetime(2024, 12, 25, tzinfo=UTC),
        datetime(2024, 12, 26, tzinfo=UTC),
    )


def test_a_time_that_the_calendar_does_not_know_is_refused() -> None:
    exchange = exchange_of("XTKS")
    assert known_dates(exchange)[0] == date(1997, 1, 1)
    with pytest.raises(BadRange, match=r"1996-06-03.*'XTKS'.*1997-01-01"):
        schedule_around(exchange, date(1996, 6, 3), date(2020, 1, 1))


@pytest.mark.parametrize(
    ("start", "end", "error", "words"),
    [
        (date(2024, 2, 1), date(2024, 1, 1), BadRange, "'2024-02-01' is after `to` '2024-01-01'"),
        (date(1990, 1, 1), date(1991, 1, 1), BadRange, "known from 1997-01-01"),
        (date(2199, 1, 1), date(2201, 1, 1), BadRange, "known from 1997-01-01 to 2199-12-31"),
        (date(2000, 1, 1), date(2024, 1, 1), RangeTooLarge, "at most 7320"),
    ],
)
def test_dates_that_cannot_be_listed_are_refused(
    start: date, end: date, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        check_dates(exchange_of("XTKS"), start, end, 50_000)


def test_no_more_dates_than_points_are_given() -> None:
    with pytest.raises(RangeTooLarge, match="at most 10"):
        check_dates(exchange_of("XTKS"), date(2024, 1, 1), date(2024, 1, 12), 10)
