"""What a row must satisfy, as polars expressions over whole columns; exact, never through floats.

A text column `x` becomes a number column `x_number` of Decimal(38, 18); the text itself is what
gets stored, so that nothing is rounded on the way.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

import polars as pl

from app.market.interval import ORIGIN, Interval
from app.validation.reasons import Reason

NUMBER = pl.Decimal(38, 18)
# Control characters and U+FFFD (what was no UTF-8) have no place in what people search for.
_INVISIBLE = "\\x00-\\x1f\\x7f-\\x9f\ufffd"
_VISIBLE, _EDGE = f"[^{_INVISIBLE}]", rf"[^\s{_INVISIBLE}]"
SYMBOL = rf"^{_EDGE}(?:{_VISIBLE}{{0,62}}{_EDGE})?$"
CURRENCY = r"^[A-Z0-9]{3,10}$"
NAME = rf"^{_VISIBLE}{{1,200}}$"
_PLAIN = r"^[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})$"
_SCIENTIFIC = re.compile(r"[+-]?[0-9.]{1,40}[eE][+-]?[0-9]{1,2}")
_MAX_ID = r"^[0-9]{1,19}$"


def with_numbers(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Add `<column>_number` for each text column: null where it is no exact decimal in range.

    Scientific notation (`1e-07`, as floats are written) is rewritten as plain digits first.
    """
    for column in columns:
        if frame[column].str.contains("[eE]").any():
            frame = frame.with_columns(
                pl.col(column).map_elements(_plain, return_dtype=pl.String, skip_nulls=True)
            )
    return frame.with_columns(
        pl.when(pl.col(column).str.contains(_PLAIN))
        .then(pl.col(column))
        .cast(NUMBER, strict=False)
        .alias(f"{column}_number")
        for column in columns
    )


def _plain(text: str) -> str:
    if not _SCIENTIFIC.fullmatch(text):
        return text
    try:
        return format(Decimal(text), "f")
    except InvalidOperation:
        return text


def exact(text: str) -> Decimal | None:
    """Read one number by the rule of `with_numbers`."""
    plain = _plain(text)
    return Decimal(plain) if re.fullmatch(_PLAIN, plain) else None


def reasons(rules: Sequence[tuple[Reason, pl.Expr]]) -> pl.Expr:
    """Give the reasons whose expressions are true for a row, each once, in order."""
    return (
        pl.concat_list(
            pl.when(broken.fill_null(value=False)).then(pl.lit(reason.value))
            for reason, broken in rules
        )
        .list.drop_nulls()
        .list.unique(maintain_order=True)
    )


def not_number(*columns: str) -> pl.Expr:
    """Tell the rows where one of the columns is no exact number."""
    return pl.any_horizontal(pl.col(f"{column}_number").is_null() for column in columns)


def not_number_if_given(*columns: str) -> pl.Expr:
    """Tell the rows where one of the columns is given and no exact number."""
    return pl.any_horizontal(
        pl.col(column).is_not_null() & pl.col(f"{column}_number").is_null() for column in columns
    )


def not_positive(*columns: str) -> pl.Expr:
    """Tell the rows where a price is zero or below and the asset class forbids it."""
    low = pl.any_horizontal(pl.col(f"{column}_number") <= 0 for column in columns)
    return low & ~pl.col("may_be_negative")


def off_tick(*columns: str) -> pl.Expr:
    """Tell the rows where a price is no multiple of `tick` (NUMBER; null: any price will do).

    Both are whole numbers of the same unit, 10^-18, so their remainder is exact: and 5 times
    faster than that of the decimals.
    """
    tick = pl.col("tick").to_physical()
    return pl.any_horizontal(
        pl.col(f"{column}_number").to_physical() % tick != 0 for column in columns
    )


def negative(*columns: str) -> pl.Expr:
    """Tell the rows where one of the columns is below zero."""
    return pl.any_horizontal(pl.col(f"{column}_number") < 0 for column in columns)


def inconsistent_bar() -> pl.Expr:
    """Tell the rows where not low <= open, close <= high."""
    low, high = pl.col("low_number"), pl.col("high_number")
    inner = ("open_number", "close_number")
    return pl.any_horizontal((low > pl.col(each)) | (pl.col(each) > high) for each in inner)


def empty_quote() -> pl.Expr:
    """Tell the rows that have no price on either side."""
    return pl.col("bid").is_null() & pl.col("ask").is_null()


def half_side() -> pl.Expr:
    """Tell the rows where a side has a size without a price."""
    return pl.any_horizontal(
        pl.col(side).is_null() & pl.col(f"{side}_size").is_not_null() for side in ("bid", "ask")
    )


def crossed() -> pl.Expr:
    """Tell the rows whose bid is above the ask; an equal one locks the market, and is no fault."""
    return pl.col("bid_number") > pl.col("ask_number")


def in_future(time: str, now: datetime, tolerance: timedelta) -> pl.Expr:
    """Tell the rows whose time is more than a tolerance after now."""
    return pl.col(time) > pl.lit(now + tolerance)


def not_listed(trading_date: str) -> pl.Expr:
    """Tell the rows of trading dates outside listed_on to delisted_on, both included."""
    day = pl.col(trading_date)
    return (day < pl.col("listed_on")).fill_null(value=False) | (
        day > pl.col("delisted_on")
    ).fill_null(value=False)


def too_old(time: str, kept_from: datetime | None) -> pl.Expr:
    """Tell the rows before the time from which rows are kept; None: all are."""
    return pl.lit(value=False) if kept_from is None else pl.col(time) < pl.lit(kept_from)


def misaligned(time: str, interval: Interval) -> pl.Expr:
    """Tell the rows whose time is no bucket start of an interval in seconds."""
    since = (pl.col(time) - pl.lit(ORIGIN)).dt.total_microseconds()
    return since % (interval.count * 1_000_000) != 0


def bad_symbol() -> pl.Expr:
    """Tell the rows whose symbol is none."""
    return ~pl.col("symbol").str.contains(SYMBOL).fill_null(value=False)


def bad_id(column: str) -> pl.Expr:
    """Tell the rows whose id is no whole number that fits a bigint."""
    text = pl.col(column)
    return (
        text.is_null() | ~text.str.contains(_MAX_ID) | text.cast(pl.Int64, strict=False).is_null()
    )
