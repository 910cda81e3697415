"""How many candles a year has: conventions for days and longer, sessions for shorter ones."""

from typing import Any

import exchange_calendars as xcals
import pandas as pd
import pytest

from app.errors import BadInput
from app.market.candle import Session
from app.market.candle_spec import CandleSpec
from app.market.interval import Interval
from app.query.statistics.periods import periods_per_year
from app.query.statistics.terms import Terms, checked_periods


def periods(interval: str, mic: str, year: int = 2024, session: Session | None = None) -> float:
    spec = CandleSpec(interval=Interval.parse(interval), session=session)
    return periods_per_year(spec, mic, year)


@pytest.mark.parametrize(
    ("interval", "mic", "expected"),
    [
        ("1d", "XNYS", 252), ("1d", "24/7", 365), ("1d", "24/5", 260), ("24h", "XNYS", 252),
        ("1w", "XNYS", 52), ("7d", "24/7", 52), ("2w", "XTKS", 26), ("168h", "XNYS", 52),
        ("1mo", "XLON", 12), ("3mo", "XNYS", 4), ("1y", "24/7", 1), ("2y", "XNYS", 0.5),
        ("5d", "XNYS", 73), ("2d", "24/7", 182.5),
        # 6.5 hours: the last candle of a session may be short.
        ("1m", "XNYS", 390 * 252), ("30m", "XNYS", 13 * 252), ("65m", "XNYS", 6 * 252),
        ("1h", "XNYS", 7 * 252), ("1h", "24/7", 8_760), ("1s", "24/7", 365 * 86_400),
        # 2.5 and 2.5 hours around a break; half an hour more since November 2024.
        ("1m", "XTKS", 300 * 252), ("1h", "XHKG", 6 * 252), ("1h", "24/5", 24 * 260),
    ],
)  # fmt: skip
def test_usual_numbers(interval: str, mic: str, expected: float) -> None:
    assert periods(interval, mic) == pytest.approx(expected)


def test_sessions_are_those_of_the_year() -> None:
    assert periods("1m", "XTKS", 2025) == 330 * 252


def test_days_that_are_not_weeks_come_as_often_as_they_have_trading() -> None:
    sessions = xcals.get_calendar("XNYS", start="2004-01-01", end="2023-12-31").sessions
    days = (sessions - pd.Timestamp("2000-01-03")).days.to_numpy()
    for count in (2, 3, 4, 5, 10):
        stretches = len(set(days // count)) / 20
        assert periods(f"{count}d", "XNYS") == pytest.approx(stretches, rel=0.03)


@pytest.mark.parametrize("session", [Session.PRE, Session.POST])
def test_sessions_without_a_length_need_the_number(session: Session) -> None:
    with pytest.raises(BadInput, match=r"periodsPerYear.*'XNYS'"):
        periods("5m", "XNYS", session=session)
    assert periods("1d", "XNYS", session=session) == 252


@pytest.mark.parametrize("number", [0.0, -1.0, 4e7, float("inf"), float("nan")])
def test_numbers_that_no_year_has_are_refused(number: float) -> None:
    with pytest.raises(BadInput, match=f"periodsPerYear is {number!r}"):
        checked_periods(number)


def test_a_number_that_is_given_counts() -> None:
    assert checked_periods(250.5) == 250.5
    assert checked_periods(None) is None


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("risk_free", -1.0), ("risk_free", 11.0), ("risk_free", float("nan")),
        ("confidence", 0.0), ("confidence", 1.0), ("confidence", float("nan")),
    ],
)  # fmt: skip
def test_terms_out_of_range_are_refused(name: str, given: float) -> None:
    terms: dict[str, Any] = {name: given}
    with pytest.raises(BadInput, match=repr(given)):
        Terms(**terms)
