"""Intervals: what can be written, and where buckets begin."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadInterval
from app.market.interval import Interval, midnight
from tests.query.recompute import bucket

FIRST, LAST = datetime(1950, 1, 1), datetime(2150, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
texts = st.sampled_from(
    [
        "1s",
        "7s",
        "90s",
        "1m",
        "7m",
        "65m",
        "1h",
        "4h",
        "25h",
        "1d",
        "3d",
        "1w",
        "2w",
        "1mo",
        "5mo",
        "1y",
    ]
)


@given(text=texts, moment=moments)
def test_floor_agrees_with_a_second_implementation(text: str, moment: datetime) -> None:
    assert Interval.parse(text).floor(moment) == bucket(text, moment, moment.date())


@given(text=texts, moment=moments)
def test_a_bucket_holds_its_moment_and_ends_where_the_next_begins(
    text: str, moment: datetime
) -> None:
    interval = Interval.parse(text)
    start = interval.floor(moment)
    after = interval.next(start)
    assert start <= moment < after
    assert interval.floor(after) == after
    assert interval.floor(after - timedelta(microseconds=1)) == start
    assert interval.ceil(start) == start
    assert interval.ceil(start + timedelta(microseconds=1)) == after
    assert after - start <= interval.width


@given(texts)
def test_the_written_form_parses_back(text: str) -> None:
    interval = Interval.parse(text)
    assert Interval.parse(str(interval)) == interval


@pytest.mark.parametrize(
    ("text", "same"), [("60m", "1h"), ("60s", "1m"), ("7d", "1w"), ("12mo", "1y")]
)
def test_equal_lengths_are_one_interval(text: str, same: str) -> None:
    assert Interval.parse(text) == Interval.parse(same)


def test_a_day_of_hours_is_not_a_trading_date() -> None:
    assert Interval.parse("24h") != Interval.parse("1d")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m",
        "1",
        "0m",
        "-1m",
        "1.5h",
        "1M",
        "1min",
        " 1m",
        "1m ",
        "١m",
        "169h",
        "367d",
        "121mo",
        "1e3s",
    ],
)
def test_what_is_no_interval_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadInterval) as caught:
        Interval.parse(text)
    assert repr(text) in caught.value.message


def test_weeks_start_on_monday() -> None:
    assert Interval.parse("1w").floor_date(date(2026, 11, 29)) == date(2026, 11, 23)
    assert midnight(date(2026, 11, 23)).isoformat() == "2026-11-23T00:00:00+00:00"
