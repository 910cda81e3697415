from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.interval import ORIGIN, Interval
from app.validation import rules
from app.validation.reasons import Reason

MANY = settings(max_examples=150, deadline=None)
DECIMALS = st.decimals(
    min_value=Decimal(10) ** 20 * -1 + 1, max_value=Decimal(10) ** 20 - 1, places=18
)


def number(text: str | None) -> tuple[str | None, Decimal | None]:
    """Give what is stored of a number text, and what the rules compare."""
    frame = rules.with_numbers(pl.DataFrame({"x": [text]}, schema={"x": pl.String}), ["x"])
    stored, value = frame.row(0)
    return stored, value


@MANY
@given(
    sign=st.sampled_from(["", "-", "+"]),
    whole=st.text(alphabet="0123456789", max_size=20),
    fraction=st.text(alphabet="0123456789", max_size=18),
)
def test_twenty_digits_before_the_point_and_eighteen_after_are_exact(
    sign: str, whole: str, fraction: str
) -> None:
    if not whole and not fraction:
        return
    text = f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
    stored, value = number(text)
    with localcontext() as context:
        context.prec = 50
        assert stored == text
        assert value == Decimal(text)
        assert rules.exact(text) == Decimal(text)


@MANY
@given(value=st.floats(min_value=1e-12, max_value=1e19), negative=st.booleans())
def test_floats_keep_the_digits_that_they_are_written_with(value: float, negative: bool) -> None:
    text = repr(-value if negative else value)
    stored, compared = number(text)
    wanted = Decimal(text)
    if -int(wanted.as_tuple().exponent) > 18:
        assert compared is None
    else:
        assert compared == wanted
        assert stored is not None
        assert "e" not in stored
        assert Decimal(stored) == wanted


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+1.5", "1.5"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("1.", "1"),
        ("-0", "0"),
        ("007", "7"),
        ("1e-7", "0.0000001"),
        ("1E5", "100000"),
        ("1.5e+3", "1500"),
        ("1e-18", "0.000000000000000001"),
        ("0e0", "0"),
    ],
)
def test_usual_spellings_are_exact(text: str, value: str) -> None:
    stored, compared = number(text)
    assert compared == Decimal(value)
    assert stored is not None
    assert Decimal(stored) == Decimal(value)
    assert rules.exact(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-",
        "x",
        "1,000",
        "1 000",
        "1_000",
        "0x10",
        "1e",
        "e5",
        "--1",
        "1.2.3",
        "1.2.3e4",
        "NaN",
        "nan",
        "inf",
        "-Infinity",
        "1e400",
        "1e99",
        "1e-19",
        "1e999999999999",
        "1" * 21,
        "1" * 40,
        "0." + "1" * 19,
        "１",
        "1\n",
        "1\x00",
        "$1",
    ],
)
def test_what_is_no_exact_number_is_null(text: str) -> None:
    assert number(text)[1] is None
    assert rules.exact(text) is None


def test_null_is_no_number() -> None:
    assert number(None) == (None, None)


@MANY
@given(value=DECIMALS)
def test_comparisons_are_exact_at_the_last_digit(value: Decimal) -> None:
    with localcontext() as context:
        context.prec = 50
        above = value + Decimal(1).scaleb(-18)
    frame = pl.DataFrame(
        {
            "open": [f"{value:f}"],
            "high": [f"{above:f}"],
            "low": [f"{value:f}"],
            "close": [f"{above:f}"],
        }
    )
    frame = rules.with_numbers(frame, ("open", "high", "low", "close"))
    assert frame.select(rules.inconsistent_bar()).item() is False
    swapped = frame.rename({"high_number": "low_number", "low_number": "high_number"})
    assert swapped.select(rules.inconsistent_bar()).item() is True


@pytest.mark.parametrize(
    ("bar", "broken"),
    [
        ((10, 12, 9, 11), False),
        ((10, 10, 10, 10), False),
        ((9, 12, 9, 12), False),
        ((12, 12, 9, 9), False),
        ((10, 11, 9, 12), True),
        ((13, 12, 9, 11), True),
        ((8, 12, 9, 11), True),
        ((10, 12, 11, 11), True),
        ((10, 9, 12, 11), True),
    ],
)
def test_low_is_lowest_and_high_is_highest(bar: tuple[int, ...], broken: bool) -> None:
    names = ("open", "high", "low", "close")
    frame = pl.DataFrame({name: [str(value)] for name, value in zip(names, bar, strict=True)})
    frame = rules.with_numbers(frame, names)
    assert frame.select(rules.inconsistent_bar()).item() is broken


@pytest.mark.parametrize("may_be_negative", [True, False])
@pytest.mark.parametrize(
    ("price", "positive"), [("0.000000000000000001", True), ("0", False), ("-1", False)]
)
def test_only_some_classes_may_be_zero_or_below(
    price: str, positive: bool, may_be_negative: bool
) -> None:
    frame = pl.DataFrame({"price": [price], "may_be_negative": [may_be_negative]})
    frame = rules.with_numbers(frame, ["price"])
    assert frame.select(rules.not_positive("price")).item() is not (positive or may_be_negative)


@pytest.mark.parametrize(
    ("size", "below"), [("0", False), ("-0", False), ("1", False), ("-1e-9", True)]
)
def test_sizes_may_be_zero_and_not_below(size: str, below: bool) -> None:
    frame = rules.with_numbers(pl.DataFrame({"size": [size]}), ["size"])
    assert frame.select(rules.negative("size")).item() is below


@MANY
@given(
    interval=st.sampled_from(["1m", "7m", "1h", "65m", "4h"]),
    bucket=st.integers(min_value=-100_000, max_value=100_000),
    off=st.integers(min_value=0, max_value=10**6),
)
def test_bars_begin_where_buckets_do(interval: str, bucket: int, off: int) -> None:
    parsed = Interval.parse(interval)
    moment = ORIGIN + bucket * parsed.width + timedelta(microseconds=off)
    frame = pl.DataFrame({"t": [moment]}, schema={"t": pl.Datetime("us", "UTC")})
    assert frame.select(rules.misaligned("t", parsed)).item() is (off != 0)
    assert (parsed.floor(moment) == moment) is (off == 0)


@pytest.mark.parametrize(
    ("trade_id", "bad"),
    [
        ("0", False),
        ("9223372036854775807", False),
        ("0000000000000000007", False),
        ("9223372036854775808", True),
        ("99999999999999999999", True),
        ("-1", True),
        ("+1", True),
        ("1.0", True),
        ("a1", True),
        ("", True),
        (None, True),
    ],
)
def test_trade_ids_are_whole_numbers_that_fit(trade_id: str | None, bad: bool) -> None:
    frame = pl.DataFrame({"id": [trade_id]}, schema={"id": pl.String})
    assert frame.select(rules.bad_id("id")).item() is bad


@pytest.mark.parametrize(
    ("symbol", "bad"),
    [
        ("A", False),
        ("BRK.B", False),
        ("ES Z4", False),
        ("é" * 64, False),
        ("é" * 65, True),
        ("", True),
        (" A", True),
        ("A ", True),
        ("A\nB", True),
        ("A\x00", True),
        ("A\ufffd", True),
        (None, True),
    ],
)
def test_symbols_are_short_and_visible(symbol: str | None, bad: bool) -> None:
    frame = pl.DataFrame({"symbol": [symbol]}, schema={"symbol": pl.String})
    assert frame.select(rules.bad_symbol()).item() is bad


def test_each_broken_rule_gives_its_reason_once_in_order() -> None:
    frame = pl.DataFrame({"x": [1, 2, 3, None]})
    order = [
        (Reason.BAD_TIME, pl.col("x") > 2),
        (Reason.BAD_NUMBER, pl.col("x") > 1),
        (Reason.BAD_TIME, pl.col("x") > 2),
    ]
    reasons = frame.select(rules.reasons(order)).to_series().to_list()
    assert reasons == [[], ["BAD_NUMBER"], ["BAD_TIME", "BAD_NUMBER"], []]


def test_optional_numbers_are_judged_only_where_given() -> None:
    frame = rules.with_numbers(pl.DataFrame({"x": [None, "1", "no"]}), ["x"])
    assert frame.select(rules.not_number_if_given("x")).to_series().to_list() == [
        False,
        False,
        True,
    ]
    assert frame.select(rules.not_number("x")).to_series().to_list() == [True, False, True]


def test_every_reason_has_a_sentence_of_its_own() -> None:
    sentences = {reason.sentence for reason in Reason}
    assert len(sentences) == len(Reason)
    assert all(reason == reason.name for reason in Reason)


def test_origin_is_a_monday_midnight() -> None:
    assert datetime(2000, 1, 3, tzinfo=UTC) == ORIGIN
    assert ORIGIN.weekday() == 0
