"""Rules about what is expected of an instrument, at their edges; what the reasons promise."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.validation import rules
from app.validation.reasons import Reason

MANY = settings(max_examples=200, deadline=None)
NOW = datetime(2024, 1, 2, 12, tzinfo=UTC)
MICRO = timedelta(microseconds=1)
UTC_TIME = pl.Datetime("us", "UTC")
# The largest and smallest that 18 digits after the point and 20 before it can hold.
MOST, LEAST = Decimal("9" * 20 + "." + "9" * 18), Decimal("1e-18")
TICKS = st.decimals(min_value=LEAST, max_value=MOST, places=18, allow_nan=False)
PRICES = st.decimals(min_value=MOST.copy_negate(), max_value=MOST, places=18, allow_nan=False)


def is_off(price: Decimal, tick: Decimal | None) -> bool:
    frame = pl.DataFrame({"price": [f"{price:f}"], "tick": [None if tick is None else f"{tick:f}"]})
    frame = frame.with_columns(pl.col("tick").cast(pl.String).cast(rules.NUMBER))
    frame = rules.with_numbers(frame, ["price"])
    assert frame["price_number"].null_count() == 0
    assert tick is None or frame["tick"].item() == tick
    return bool(frame.select(rules.off_tick("price").fill_null(value=False)).item())


@MANY
@given(price=PRICES, tick=TICKS)
def test_prices_are_off_the_tick_as_exact_division_says(price: Decimal, tick: Decimal) -> None:
    with localcontext() as context:
        context.prec = 60
        assert is_off(price, tick) is (price % tick != 0)


@MANY
@given(
    count=st.integers(-(10**9), 10**9),
    tick=st.sampled_from(["0.01", "0.25", "0.0001", "0.03125", "5", "1e-8", "1e-18", "0.07"]),
)
def test_multiples_are_on_the_tick_and_a_last_digit_is_off(count: int, tick: str) -> None:
    with localcontext() as context:
        context.prec = 60
        price = count * Decimal(tick)
        assert not is_off(price, Decimal(tick))
        assert is_off(price + LEAST, Decimal(tick)) is (Decimal(tick) != LEAST)


@pytest.mark.parametrize(
    ("price", "tick", "off"),
    [
        (MOST, LEAST, False),
        (MOST.copy_negate(), LEAST, False),
        (MOST, MOST, False),
        (Decimal("9" * 20 + "." + "9" * 17 + "8"), MOST, True),
        (Decimal(0), Decimal("0.01"), False),
        (Decimal("0.1") + Decimal("0.2"), Decimal("0.1"), False),
        (Decimal("-0.005"), Decimal("0.01"), True),
        (Decimal("0.005"), None, False),
    ],
)
def test_ticks_at_the_ends_of_what_can_be_held(
    price: Decimal, tick: Decimal | None, off: bool
) -> None:
    assert is_off(price, tick) is off


def test_one_price_off_the_tick_is_enough_and_a_missing_one_is_not() -> None:
    frame = pl.DataFrame(
        {"bid": ["1.00", "1.001", None, None], "ask": ["1.01", "1.01", "1.005", "1.02"]}
    ).with_columns(pl.lit(Decimal("0.01")).cast(rules.NUMBER).alias("tick"))
    frame = rules.with_numbers(frame, ["bid", "ask"])
    found = frame.select(rules.off_tick("bid", "ask").fill_null(value=False)).to_series()
    assert found.to_list() == [False, True, True, False]


def judged(rule: pl.Expr, **columns: Any) -> list[bool]:
    return pl.DataFrame(columns).select(rule.fill_null(value=False)).to_series().to_list()


@pytest.mark.parametrize("tolerance", [timedelta(0), timedelta(seconds=60), timedelta(days=1)])
def test_a_time_may_be_as_far_ahead_as_the_tolerance(tolerance: timedelta) -> None:
    edge = NOW + tolerance
    times = pl.Series([edge - MICRO, edge, edge + MICRO, None], dtype=UTC_TIME)
    rule = rules.in_future("time", NOW, tolerance)
    assert judged(rule, time=times) == [False, False, True, False]


def test_a_time_is_too_old_before_what_is_kept() -> None:
    times = pl.Series([NOW - MICRO, NOW, NOW + MICRO], dtype=UTC_TIME)
    assert judged(rules.too_old("time", NOW), time=times) == [True, False, False]
    assert judged(pl.col("time").is_null() | rules.too_old("time", None), time=times) == [False] * 3


@pytest.mark.parametrize(
    ("listed", "delisted", "wanted"),
    [
        (None, None, [False] * 5),
        (3, None, [True, True, False, False, False]),
        (None, 3, [False, False, False, True, True]),
        (2, 4, [True, False, False, False, True]),
        (3, 3, [True, True, False, True, True]),
    ],
)
def test_an_instrument_is_listed_on_its_first_and_last_day(
    listed: int | None, delisted: int | None, wanted: list[bool]
) -> None:
    days = [date(2024, 1, day) for day in range(1, 6)]

    def same(day: int | None) -> pl.Series:
        return pl.Series([None if day is None else date(2024, 1, day)] * 5, dtype=pl.Date)

    found = judged(
        rules.not_listed("day"), day=days, listed_on=same(listed), delisted_on=same(delisted)
    )
    assert found == wanted


@pytest.mark.parametrize(
    ("bid", "bid_size", "ask", "ask_size", "wanted"),
    [
        ("1", "1", "2", "1", set()),
        ("2", "1", "2", "1", set()),
        ("2.000000000000000001", "1", "2", "1", {"crossed"}),
        ("1", "0", None, None, set()),
        (None, None, "2", "1", set()),
        (None, None, None, None, {"empty"}),
        (None, "1", None, None, {"empty", "half"}),
        ("1", None, "2", "1", set()),
        ("1", "1", None, "1", {"half"}),
        ("1", "1", "2", None, set()),
        ("3", None, "2", "1", {"crossed"}),
    ],
)
def test_quotes_have_whole_sides_that_do_not_cross(
    bid: str | None, bid_size: str | None, ask: str | None, ask_size: str | None, wanted: set[str]
) -> None:
    names = ("bid", "bid_size", "ask", "ask_size")
    values = dict(zip(names, (bid, bid_size, ask, ask_size), strict=True))
    frame = pl.DataFrame({name: [value] for name, value in values.items()}).cast(pl.String)
    frame = rules.with_numbers(frame, names)
    found = {"crossed": rules.crossed(), "empty": rules.empty_quote(), "half": rules.half_side()}
    told = frame.select(rule.fill_null(value=False).alias(name) for name, rule in found.items())
    assert {name for name in found if told[name].item()} == wanted


def test_what_is_expected_may_be_waived_and_what_is_needed_may_not() -> None:
    assert {reason for reason in Reason if reason.may_be_waived} == {
        Reason.PRICE_NOT_POSITIVE,
        Reason.OFF_TICK,
        Reason.CROSSED_QUOTE,
        Reason.IN_FUTURE,
        Reason.NOT_LISTED,
        Reason.CONTRADICTS_STORED,
    }


def test_the_documentation_lists_every_reason_with_its_sentence() -> None:
    text = (Path(__file__).parents[2] / "docs" / "importing.md").read_text()
    rows = re.findall(r"^\| ([A-Z_]+) \| (.+?) \| (yes)? ?\|$", text, re.MULTILINE)
    assert [(code, words, bool(waived)) for code, words, waived in rows] == [
        (reason.value, reason.sentence, reason.may_be_waived) for reason in Reason
    ]
