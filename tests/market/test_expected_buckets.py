"""Expected buckets equal those of exchange-calendars and pandas, one by one, over twenty years."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import exchange_calendars as xcals
import numpy as np
import pandas as pd
import pytest

from app.errors import BadInput, RangeTooLarge
from app.market.candle import Session
from app.market.candle_spec import CandleSpec
from app.market.expected_buckets import check_expectable, count_all, expected_starts
from app.market.grid import Micros
from app.market.grids import buckets_of
from app.market.interval import Interval
from app.market.schedule import ALWAYS_OPEN, exchange_of, schedule_of

# Lunch breaks, half days, opens at a quarter past, midnights UTC crossed, Sunday sessions.
MICS = (
    "XNYS", "XLON", "XTKS", "XHKG", "XBOM", "XASX", "XFRA", "XTSE", "BVMF", "CMES", "XSHG", "XTAE",
)  # fmt: skip
YEARS = (2005, 2024)
START, END = datetime(2005, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
MANY = 50_000_000


def spec(interval: str, session: Session | None = None, timezone: str | None = None) -> CandleSpec:
    return CandleSpec(interval=Interval.parse(interval), session=session, timezone=timezone)


def expected(
    mic: str,
    asked: CandleSpec,
    start: datetime = START,
    end: datetime = END,
    last: int | None = None,
    limit: int = MANY,
) -> Micros:
    exchange = exchange_of(mic)
    return expected_starts(
        schedule_of(exchange, *YEARS),
        asked,
        buckets_of(exchange, asked, *YEARS),
        start,
        end,
        last=last,
        limit=limit,
    )


def calendar_of(mic: str) -> xcals.ExchangeCalendar:
    return xcals.get_calendar(mic, start=f"{YEARS[0]}-01-01", end=f"{YEARS[1]}-12-31")


def parts_of(calendar: xcals.ExchangeCalendar) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    parts = []
    schedule = calendar.schedule
    for opens, breaks, reopens, closes in zip(
        schedule["open"], schedule["break_start"], schedule["break_end"], schedule["close"],
        strict=True,
    ):  # fmt: skip
        if pd.isna(breaks):
            parts.append((opens, closes))
        else:
            parts += [(opens, breaks), (reopens, closes)]
    return parts


def micros_of(index: pd.DatetimeIndex) -> Micros:
    naive = index.tz_convert("UTC").tz_localize(None)
    every = np.unique(naive.to_numpy("datetime64[us]").astype(np.int64))
    return every[(every >= START.timestamp() * 1e6) & (every < END.timestamp() * 1e6)]


def clock_buckets(mic: str, interval: str, zone: str = "UTC") -> Micros:
    """Every clock bucket that a part of a session lies in, by pandas' floor and date_range."""
    width = pd.Timedelta(interval.replace("m", "min"))
    found: set[int] = set()
    for start, end in parts_of(calendar_of(mic)):
        origin = pd.Timestamp("2000-01-03", tz="UTC")
        first = origin + (start - origin) // width * width
        found.update(pd.date_range(first, end, freq=width, inclusive="left").as_unit("us").asi8)
    index = pd.DatetimeIndex(np.array(sorted(found)).astype("datetime64[us]"), tz="UTC")
    return micros_of(index)


@pytest.mark.parametrize("mic", MICS)
@pytest.mark.parametrize("interval", ["30m", "65m", "1h"])
def test_clock_buckets_are_those_that_a_session_lies_in(mic: str, interval: str) -> None:
    np.testing.assert_array_equal(expected(mic, spec(interval)), clock_buckets(mic, interval))


@pytest.mark.parametrize("mic", MICS)
@pytest.mark.parametrize("interval", ["30m", "65m", "7m"])
def test_session_buckets_are_the_trading_index(mic: str, interval: str) -> None:
    # Both ends of a session and of its break cut the last bucket, so none lies in a break alone.
    calendar = calendar_of(mic)
    index = calendar.trading_index(
        calendar.first_session,
        calendar.last_session,
        pd.Timedelta(interval.replace("m", "min")),
        intervals=True,
        force=True,
    )
    found = expected(mic, spec(interval, Session.REGULAR), START, END)
    np.testing.assert_array_equal(found, micros_of(index.left))


@pytest.mark.parametrize("mic", ["XNYS", "XTKS", "XHKG", "XLON", "CMES"])
def test_minutes_are_the_trading_minutes(mic: str) -> None:
    calendar = xcals.get_calendar(mic, start="2024-01-01", end="2024-12-31", side="left")
    minutes = calendar.minutes.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
    asked = spec("1m", Session.REGULAR)
    first, last = calendar.minutes[0], calendar.minutes[-1] + pd.Timedelta(minutes=1)
    found = expected(mic, asked, first.to_pydatetime(), last.to_pydatetime())
    np.testing.assert_array_equal(found, minutes)


@pytest.mark.parametrize("mic", MICS)
@pytest.mark.parametrize(
    ("interval", "rule"), [("1d", "D"), ("1w", "W-SUN"), ("1mo", "M"), ("3mo", "Q"), ("1y", "Y")]
)
def test_dated_buckets_are_those_with_a_session(mic: str, interval: str, rule: str) -> None:
    sessions = calendar_of(mic).sessions
    days = sessions.to_period(rule).start_time.tz_localize("UTC").unique()
    asked = spec(interval)
    found = expected(mic, asked, datetime(2004, 12, 20, tzinfo=UTC), END)
    want = days.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
    np.testing.assert_array_equal(found, want[want < END.timestamp() * 1e6])


@pytest.mark.parametrize("mic", ["XNYS", "XTKS", "XASX", "CMES"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "America/New_York"])
def test_days_of_a_zone_are_those_that_a_session_lies_in(mic: str, zone: str) -> None:
    days: set[date] = set()
    for start, end in parts_of(calendar_of(mic)):
        first = start.tz_convert(zone).date()
        last = (end.tz_convert(zone) - pd.Timedelta(microseconds=1)).date()
        days.update(first + timedelta(days=n) for n in range((last - first).days + 1))
    midnights = [datetime(d.year, d.month, d.day, tzinfo=ZoneInfo(zone)) for d in sorted(days)]
    want = [round(each.timestamp() * 1e6) for each in midnights if START <= each < END]
    assert expected(mic, spec("1d", timezone=zone)).tolist() == want


@pytest.mark.parametrize("mic", ["XNYS", "XHKG", "CMES"])
@pytest.mark.parametrize(
    "asked",
    [spec("30m"), spec("168h"), spec("65m", Session.REGULAR), spec("1d"), spec("1w"), spec("2h")],
)
def test_the_newest_are_the_end_of_all(mic: str, asked: CandleSpec) -> None:
    end = datetime(2024, 12, 24, 19, 10, tzinfo=UTC)
    every = expected(mic, asked, START, end)
    for last in (0, 1, 7, 500):
        np.testing.assert_array_equal(
            expected(mic, asked, START, end, last=last, limit=500), every[len(every) - last :]
        )


def test_a_venue_that_never_closes_expects_every_bucket() -> None:
    for interval, count in (("1h", 24 * 366), ("1d", 366), ("1w", 53)):
        found = expected(ALWAYS_OPEN, spec(interval), datetime(2024, 1, 1, tzinfo=UTC), END)
        assert len(found) == count


def test_the_lunch_break_is_not_expected() -> None:
    start = datetime(2024, 6, 3, tzinfo=UTC)
    found = expected("XTKS", spec("30m"), start, start + timedelta(days=1))
    local = [
        datetime.fromtimestamp(each / 1e6, ZoneInfo("Asia/Tokyo")).strftime("%H:%M")
        for each in found.tolist()
    ]
    assert local == [
        "09:00", "09:30", "10:00", "10:30", "11:00",
        "12:30", "13:00", "13:30", "14:00", "14:30",
    ]  # fmt: skip


def test_more_than_the_limit_is_refused_before_they_are_made() -> None:
    with pytest.raises(RangeTooLarge, match="at most 1,000"):
        expected("XNYS", spec("1s"), limit=1000)
    with pytest.raises(RangeTooLarge, match="at most 1,000"):
        expected("XNYS", spec("1d"), limit=1000)


@pytest.mark.parametrize("session", [Session.PRE, Session.POST])
def test_nothing_can_be_expected_outside_of_regular_hours(session: Session) -> None:
    with pytest.raises(BadInput, match=session.name):
        check_expectable(spec("1m", session), "`fill`")


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        (spec("1h"), 366 * 24),
        (spec("1d"), 366),
        (spec("1w"), 53),
        (spec("1mo"), 12),
        (spec("3mo"), 4),
        (spec("1d", timezone="Europe/Berlin"), 366),
        (spec("1h", timezone="Europe/Berlin"), 366 * 24),
    ],
)
def test_all_buckets_of_a_range_are_counted(asked: CandleSpec, count: int) -> None:
    buckets = buckets_of(exchange_of("XNYS"), asked, *YEARS)
    assert count_all(buckets, datetime(2024, 1, 1, tzinfo=UTC), END) == count
