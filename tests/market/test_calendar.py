"""Trading dates and sessions against exchange-calendars' own answers, minute by minute."""

from datetime import UTC, date, datetime

import exchange_calendars as xcals
import numpy as np
import pytest

from app.errors import BadInput
from app.market.calendar import TradingCalendar
from app.market.candle import Session
from app.market.schedule import exchange_of


def placed(mic: str, *texts: str) -> list[tuple[str, str]]:
    moments = [datetime.fromisoformat(text).astimezone(UTC) for text in texts]
    years = [moment.year for moment in moments]
    calendar = TradingCalendar(exchange_of(mic), min(years), max(years))
    found = calendar.place(np.array([int(moment.timestamp() * 1e6) for moment in moments]))
    return [
        (str(np.datetime64(int(day), "D")), Session(part).name)
        for day, part in zip(found.trading_date, found.session, strict=True)
    ]


@pytest.mark.parametrize(
    "mic", ["XNYS", "XLON", "XTKS", "XHKG", "XETR", "CMES", "XBOM", "XASX", "XKRX", "BVMF"]
)
def test_open_minutes_belong_to_their_session(mic: str) -> None:
    """Every fifth open minute of three years, by the library's own minute-to-session map."""
    truth = xcals.get_calendar(mic, start="2023-01-01", end="2025-12-31", side="left")
    minutes = truth.minutes[::5].tz_localize(None).to_numpy().astype("datetime64[us]")
    firsts = truth.first_minutes.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    found = TradingCalendar(exchange_of(mic), 2023, 2025).place(minutes.astype(np.int64))
    sessions = truth.sessions.to_numpy().astype("datetime64[D]").astype(np.int32)
    sessions = sessions[np.searchsorted(firsts, minutes, "right") - 1]
    assert (found.trading_date == sessions).all()
    assert (found.session == Session.REGULAR).all()


def test_a_us_day_has_pre_regular_and_post() -> None:
    assert placed(
        "XNAS",
        "2024-01-02T04:00-05:00",
        "2024-01-02T09:29:59.999999-05:00",
        "2024-01-02T09:30-05:00",
        "2024-01-02T15:59:59-05:00",
        "2024-01-02T16:00-05:00",
        "2024-01-02T23:59:59-05:00",
        "2024-01-03T00:00-05:00",
    ) == [
        ("2024-01-02", "PRE"),
        ("2024-01-02", "PRE"),
        ("2024-01-02", "REGULAR"),
        ("2024-01-02", "REGULAR"),
        ("2024-01-02", "POST"),
        ("2024-01-02", "POST"),
        ("2024-01-03", "PRE"),
    ]


def test_a_half_day_closes_early() -> None:
    assert placed("XNYS", "2024-07-03T12:59-04:00", "2024-07-03T13:00-04:00") == [
        ("2024-07-03", "REGULAR"),
        ("2024-07-03", "POST"),
    ]


def test_a_futures_session_crosses_midnight_under_one_date() -> None:
    assert placed(
        "CMES", "2024-01-02T17:00-06:00", "2024-01-03T00:30-06:00", "2024-01-03T15:59-06:00"
    ) == [
        ("2024-01-03", "REGULAR"),
        ("2024-01-03", "REGULAR"),
        ("2024-01-03", "REGULAR"),
    ]


def test_a_closed_day_counts_to_the_next_session() -> None:
    assert placed("XNYS", "2024-01-06T12:00Z", "2024-01-15T15:00Z") == [
        ("2024-01-08", "PRE"),
        ("2024-01-16", "PRE"),
    ]


def test_lunch_is_inside_the_session() -> None:
    assert placed("XTKS", "2024-01-04T12:00+09:00") == [("2024-01-04", "REGULAR")]


def test_a_venue_that_never_closes_has_utc_dates() -> None:
    assert placed("24/7", "2024-01-06T23:59:59.999999Z", "2024-01-07T00:00Z") == [
        ("2024-01-06", "REGULAR"),
        ("2024-01-07", "REGULAR"),
    ]


def test_a_time_before_the_calendar_keeps_its_local_date() -> None:
    assert placed("XNYS", "1950-05-05T01:00Z") == [("1950-05-04", "PRE")]


def test_exchanges_are_known_by_mic_or_refused_by_name() -> None:
    assert exchange_of("XNAS").calendar == "XNYS"
    assert exchange_of("XTKS").timezone == "Asia/Tokyo"
    with pytest.raises(BadInput, match="'XXXX'"):
        exchange_of("XXXX")


@pytest.mark.parametrize("mic", ["XSAU", "XSHG", "XHKG", "XTAE", "AIXK", "CMES", "24/7"])
def test_a_calendar_opens_where_it_is_known_for_part_of_the_time(mic: str) -> None:
    """XSAU is known from 2021 only, others have bounds of their own."""
    moments = [datetime(year, 6, 5, 12, tzinfo=UTC) for year in (1975, 2024)]
    found = TradingCalendar(exchange_of(mic), 1975, 2024).place(
        np.array([int(moment.timestamp() * 1e6) for moment in moments])
    )
    for moment, day in zip(moments, found.trading_date, strict=True):
        assert abs((date(1970, 1, 1) - moment.date()).days + int(day)) <= 10
