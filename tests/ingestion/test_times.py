from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ingestion.times import is_zone, parse_dates, parse_times

FIRST = datetime(1900, 1, 1)  # noqa: DTZ001 - hypothesis wants naive bounds
LAST = datetime(2099, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001
MOMENTS = st.datetimes(min_value=FIRST, max_value=LAST)
ZONES = ["UTC", "America/New_York", "Europe/London", "Asia/Tokyo", "Australia/Lord_Howe"]
MANY = settings(max_examples=50, deadline=None)


def parse(text: str | None, zone: str = "UTC") -> datetime | None:
    (found,) = parse_times(pl.Series("t", [text], dtype=pl.String), zone).to_list()
    assert found is None or isinstance(found, datetime)
    return found


def parse_date(text: str, *zones: str) -> date | None:
    (found,) = parse_dates(pl.Series("t", [text], dtype=pl.String), zones).to_list()
    assert found is None or isinstance(found, date)
    return found


@MANY
@given(
    moment=MOMENTS,
    offset=st.integers(min_value=-14 * 60, max_value=14 * 60),
    separator=st.sampled_from(["T", " "]),
    colon=st.booleans(),
)
def test_times_with_a_zone_are_datetimes_own(
    moment: datetime, offset: int, separator: str, colon: bool
) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    inside = FIRST + timedelta(days=1) < moment < LAST - timedelta(days=1)
    text = aware.isoformat(separator)
    if not colon:
        text = text[:-3] + text[-2:]
    if inside:
        assert parse(text, "Asia/Tokyo") == aware
        hours = timezone(timedelta(hours=offset // 60))
        assert parse(f"{text[: text.rindex(text[-6 if colon else -5])]}+09") == moment.replace(
            tzinfo=timezone(timedelta(hours=9))
        )
        assert parse(moment.replace(tzinfo=hours).isoformat(separator, "minutes")) == (
            moment.replace(tzinfo=hours, second=0, microsecond=0)
        )
    assert parse(moment.isoformat() + "Z", "Asia/Tokyo") == moment.replace(tzinfo=UTC)


@MANY
@given(
    moment=MOMENTS,
    separator=st.sampled_from(["T", " "]),
    precision=st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]),
    zone=st.sampled_from(ZONES),
)
def test_times_without_a_zone_are_read_in_the_one_given(
    moment: datetime, separator: str, precision: str, zone: str
) -> None:
    text = moment.isoformat(separator, precision)
    naive = datetime.fromisoformat(text)
    early, late = (naive.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    once = early.utcoffset() == late.utcoffset()
    wanted = early.astimezone(UTC)
    within = FIRST.replace(tzinfo=UTC) <= wanted <= LAST.replace(tzinfo=UTC)
    assert parse(text, zone) == (wanted if once and within else None)


@MANY
@given(moment=MOMENTS)
def test_dates_are_midnight_in_the_zone(moment: datetime) -> None:
    day = moment.date()
    wanted = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Asia/Tokyo")).astimezone(UTC)
    if wanted.year >= 1900:
        assert parse(day.isoformat(), "Asia/Tokyo") == wanted
        assert parse(f"{day:%Y%m%d}", "Asia/Tokyo") == wanted


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@MANY
@given(micros=st.integers(min_value=10**15, max_value=4_102_444_799 * 10**6))
def test_unix_times_are_told_apart_by_their_digits(micros: int) -> None:
    wanted = EPOCH + timedelta(microseconds=micros)
    assert parse(str(micros // 10**6)) == wanted.replace(microsecond=0)
    assert parse(str(micros // 10**3)) == EPOCH + timedelta(milliseconds=micros // 10**3)
    assert parse(str(micros)) == wanted
    assert parse(str(micros * 1000 + 999)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "x",
        "2024-02-30",
        "2024-13-01T00:00:00Z",
        "2024-01-02T24:00:00Z",
        "2024-01-02T14",
        "14:30:00",
        "02/01/2024",
        "2024-01-02T14:30:00+25:00",
        "1899-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        "12024-01-02T00:00:00Z",
        "170420580",
        "-1704205800",
        "1704205800.5",
        "9999999999999999999",
        "99999999999999999999",
        "２０２４-01-02",
        "2024-01-02T14:30:00Zebra",
        "2024-01-02 14:30:00\x00",
    ],
)
def test_what_is_no_time_is_null(text: str | None) -> None:
    assert parse(text) is None


def test_a_bad_time_does_not_spoil_its_neighbours() -> None:
    column = pl.Series(
        ["2024-01-02T00:00:00Z", "no", "1704153600", None, "2024-01-02", " 20240102 "]
    )
    wanted = datetime(2024, 1, 2, tzinfo=UTC)
    assert parse_times(column, "UTC").to_list() == [wanted, None, wanted, None, wanted, wanted]


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("2024-03-10T02:30:00", "America/New_York"),
        ("2024-11-03T01:30:00", "America/New_York"),
        ("2024-03-31 01:00", "Europe/London"),
        ("2024-10-27 01:59:59.999999", "Europe/London"),
        ("2018-11-04", "America/Sao_Paulo"),
    ],
)
def test_times_that_a_clock_change_skips_or_repeats_are_null(text: str, zone: str) -> None:
    assert parse(text, zone) is None


@pytest.mark.parametrize(
    ("text", "zone", "wanted"),
    [
        ("2024-03-10T01:59:59", "America/New_York", datetime(2024, 3, 10, 6, 59, 59, tzinfo=UTC)),
        ("2024-03-10T03:00:00", "America/New_York", datetime(2024, 3, 10, 7, tzinfo=UTC)),
        ("2024-11-03T00:59:59", "America/New_York", datetime(2024, 11, 3, 4, 59, 59, tzinfo=UTC)),
        ("2024-11-03T02:00:00", "America/New_York", datetime(2024, 11, 3, 7, tzinfo=UTC)),
        ("2024-11-03T01:30:00-04:00", "America/New_York", datetime(2024, 11, 3, 5, 30, tzinfo=UTC)),
        ("2024-11-03T01:30:00-05:00", "America/New_York", datetime(2024, 11, 3, 6, 30, tzinfo=UTC)),
        ("2024-01-02 14:30:00+00", "Asia/Tokyo", datetime(2024, 1, 2, 14, 30, tzinfo=UTC)),
        ("2024-01-02 14:30+05:30", "UTC", datetime(2024, 1, 2, 9, tzinfo=UTC)),
        ("2024-01-02t14:30:00.123456789z", "UTC", datetime(2024, 1, 2, 14, 30, 0, 123456, UTC)),
    ],
)
def test_times_at_the_edges_are_read(text: str, zone: str, wanted: datetime) -> None:
    assert parse(text, zone) == wanted


@MANY
@given(day=st.dates(min_value=date(1900, 1, 2), max_value=date(2099, 12, 30)))
def test_daily_stamps_are_their_date(day: date) -> None:
    for text in (
        f"{day}",
        f"{day}T00:00",
        f"{day} 00:00:00",
        f"{day}T00:00:00.000000",
        f"{day:%Y%m%d}",
        f"{day}T00:00:00Z",
    ):
        assert parse_date(text, "UTC") == day
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Asia/Tokyo"))
    in_utc = local.astimezone(UTC)
    assert parse_date(in_utc.isoformat(), "UTC", "Asia/Tokyo") == day
    assert parse_date(in_utc.isoformat(), "UTC") is (None if in_utc.hour else day)
    seconds = int(in_utc.timestamp())
    if seconds >= 10**9:
        assert parse_date(str(seconds), "Asia/Tokyo") == day
        assert parse_date(f"{seconds}000", "Asia/Tokyo") == day


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-02T00:00:01",
        "2024-01-02 09:30",
        "2024-01-02T09:30:00Z",
        "2024-01-02T05:00:01Z",
        "2024-02-30",
        "20240230",
        "1899-12-31",
        "2100-01-01",
        "2024-1-2",
        "",
    ],
)
def test_what_starts_no_day_is_no_date(text: str) -> None:
    assert parse_date(text, "UTC", "America/New_York") is None


def test_zones_are_tried_in_their_order() -> None:
    text = "2024-01-01T10:00:00Z"  # Midnight of the 1st in Honolulu, of the 2nd in Kiritimati.
    assert parse_date(text, "Pacific/Honolulu", "Pacific/Kiritimati") == date(2024, 1, 1)
    assert parse_date(text, "Pacific/Kiritimati", "Pacific/Honolulu") == date(2024, 1, 2)


@pytest.mark.parametrize("name", ["UTC", "Europe/London", "America/Argentina/Buenos_Aires"])
def test_zone_names_are_known(name: str) -> None:
    assert is_zone(name)


@pytest.mark.parametrize("name", ["", "Europe", "Mars/Olympus", "../etc/passwd", "localtime", "+1"])
def test_other_names_are_no_zones(name: str) -> None:
    assert not is_zone(name)
