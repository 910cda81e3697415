"""Buckets counted from sessions and zones equal those of exchange-calendars, pandas, zoneinfo."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import exchange_calendars as xcals
import numpy as np
import pandas as pd
import pytest

from app.errors import BadInput, BadInterval, RangeTooLarge
from app.market.candle import Session
from app.market.candle_spec import CandleSpec
from app.market.grid import Grid, micros, moment_of
from app.market.grids import buckets_of
from app.market.interval import Interval
from app.market.schedule import ALWAYS_OPEN, exchange_of

# Lunch breaks, half days, opens at a quarter past, midnights UTC crossed, no daylight saving.
MICS = (
    "XNYS", "XLON", "XTKS", "XHKG", "XBOM", "XASX", "XFRA", "XSWX", "XTSE", "BVMF", "CMES", "XSHG",
)  # fmt: skip
YEARS = (2005, 2024)


def spec(interval: str, session: Session | None = None, timezone: str | None = None) -> CandleSpec:
    return CandleSpec(interval=Interval.parse(interval), session=session, timezone=timezone)


def grid(mic: str, asked: CandleSpec, years: tuple[int, int] = YEARS) -> Grid:
    made = buckets_of(exchange_of(mic), asked, *years)
    assert isinstance(made, Grid)
    return made


@pytest.mark.parametrize("mic", MICS)
@pytest.mark.parametrize("interval", ["65m", "195m"])
def test_regular_buckets_count_from_the_open(mic: str, interval: str) -> None:
    calendar = xcals.get_calendar(mic, start=f"{YEARS[0]}-01-01", end=f"{YEARS[1]}-12-31")
    expected = calendar.trading_index(
        calendar.first_session,
        calendar.last_session,
        pd.Timedelta(interval.replace("m", "min")),
        intervals=True,
        force_close=True,
        force_break_close=False,
        curtail_overlaps=True,
    )
    found = grid(mic, spec(interval, Session.REGULAR))
    starts = expected.left.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[us]")
    np.testing.assert_array_equal(found.starts, starts.astype(np.int64))


@pytest.mark.parametrize("interval", ["1m", "5m", "15m", "30m"])
def test_buckets_that_clock_time_gives_are_not_listed(interval: str) -> None:
    asked = spec(interval, Session.REGULAR)
    assert buckets_of(exchange_of("XNYS"), asked, *YEARS) is asked.interval


def test_a_quarter_past_nine_is_a_bucket_of_fifteen_minutes() -> None:
    found = buckets_of(exchange_of("XBOM"), spec("15m", Session.REGULAR), *YEARS)
    opens = datetime(2024, 6, 3, 3, 45, tzinfo=UTC)  # 09:15 in Mumbai
    assert found.floor(opens + timedelta(minutes=14)) == opens


def test_before_the_open_is_counted_back_from_it() -> None:
    found = grid("XNYS", spec("65m", Session.PRE))
    opens = datetime(2024, 6, 3, 13, 30, tzinfo=UTC)
    assert found.floor(opens - timedelta(minutes=1)) == opens - timedelta(minutes=65)
    assert found.floor(opens - timedelta(minutes=66)) == opens - timedelta(minutes=130)


def test_after_an_early_close_is_counted_from_that_close() -> None:
    found = grid("XNYS", spec("65m", Session.POST))
    closes = datetime(2024, 11, 29, 18, 0, tzinfo=UTC)  # the day after Thanksgiving, 13:00
    assert found.floor(closes + timedelta(minutes=64)) == closes
    assert found.ceil(closes + timedelta(minutes=1)) == closes + timedelta(minutes=65)


def test_between_sessions_the_floor_is_the_end_of_the_last_bucket() -> None:
    found = grid("XNYS", spec("65m", Session.REGULAR))
    closes = datetime(2024, 6, 3, 20, 0, tzinfo=UTC)
    night = closes + timedelta(hours=5)
    assert found.floor(night) == closes
    assert found.ceil(night) == datetime(2024, 6, 4, 13, 30, tzinfo=UTC)


ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo",
         "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "Asia/Kathmandu")  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("interval", ["1d", "1w", "1mo", "3mo", "4h", "7h", "24h"])
def test_every_moment_lies_in_the_bucket_of_its_local_date(zone: str, interval: str) -> None:
    made = buckets_of(exchange_of(ALWAYS_OPEN), spec(interval, timezone=zone), 2005, 2024)
    asked = Interval.parse(interval)
    rng = np.random.default_rng(7)
    low, high = (micros(datetime(year, 6, 1, tzinfo=UTC)) for year in (2005, 2024))
    for at in rng.integers(low, high, 300).tolist():
        moment = moment_of(at)
        local = moment.astimezone(ZoneInfo(zone))
        start = made.floor(moment)
        assert start <= moment < made.next(start)
        if asked.is_dated:
            assert start == first_moment(asked.floor_date(local.date()), zone)
        else:
            midnight = first_moment(local.date(), zone)
            width = timedelta(seconds=asked.count)
            assert start == midnight + (moment - midnight) // width * width


def first_moment(day: date, zone: str) -> datetime:
    """Find by bisection when a local date begins: the first second of which it is the date."""
    low = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=26)
    step = timedelta(minutes=15)
    while low.astimezone(ZoneInfo(zone)).date() < day:
        low += step
    return low


def test_days_of_daylight_saving_have_23_and_25_hours() -> None:
    found = grid(ALWAYS_OPEN, spec("1d", timezone="Europe/Berlin"))
    lengths = {
        day: found.next(first_moment(day, "Europe/Berlin")) - first_moment(day, "Europe/Berlin")
        for day in (date(2024, 3, 31), date(2024, 7, 1), date(2024, 10, 27))
    }
    assert [length / timedelta(hours=1) for length in lengths.values()] == [23, 24, 25]


def test_whole_hours_of_a_zone_are_made_of_hours_and_half_ones_of_half_hours() -> None:
    assert grid(ALWAYS_OPEN, spec("1d", timezone="Europe/Berlin")).step == timedelta(hours=1)
    assert grid(ALWAYS_OPEN, spec("1d", timezone="Asia/Kolkata")).step == timedelta(minutes=30)
    assert grid(ALWAYS_OPEN, spec("1d", timezone="Asia/Kathmandu")).step == timedelta(minutes=15)


def test_an_unknown_zone_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="'Mars/Olympus' is not in the IANA database"):
        spec("1d", timezone="Mars/Olympus")


def test_hours_that_do_not_fit_into_a_day_are_refused() -> None:
    with pytest.raises(BadInterval, match="25h does not fit into a day"):
        buckets_of(exchange_of(ALWAYS_OPEN), spec("25h", timezone="UTC"), 2020, 2024)


def test_too_many_buckets_are_refused() -> None:
    with pytest.raises(RangeTooLarge, match="at most 2,000,000"):
        buckets_of(exchange_of("XNYS"), spec("7s", Session.REGULAR), 2005, 2024)
