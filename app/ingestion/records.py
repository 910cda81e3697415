"""Make staged rows of trades, bars and quotes from text columns; say why the others are refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from app.ingestion.judging import Limits, Rule, judge
from app.ingestion.symbols import Symbols
from app.ingestion.times import parse_dates, parse_times
from app.market.candle import Session
from app.market.interval import Interval, Unit
from app.storage import bars, quotes, trades
from app.validation import rules
from app.validation.reasons import Reason

_PRICES = ("open", "high", "low", "close")
_SIDES = ("bid", "ask")
_SIZES = ("bid_size", "ask_size")
# Somewhere a trading date begins up to a day before its 00:00 UTC, by which its bar is stamped.
_DATE_AHEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Rows ready for COPY; as a watch judges them; and refused ones: line, reasons."""

    staged: pl.DataFrame
    watched: pl.DataFrame
    refused: pl.DataFrame


def prepare_trades(rows: pl.DataFrame, symbols: Symbols, timezone: str, limits: Limits) -> Prepared:
    """Check trades given as text columns symbol, time, price, size and perhaps trade_id."""
    rows = rules.with_numbers(
        rows.with_columns(parse_times(rows["time"], timezone).alias("event_time")),
        ("price", "size"),
    )
    alone: list[Rule] = [
        (Reason.BAD_TIME, pl.col("event_time").is_null()),
        (Reason.BAD_NUMBER, rules.not_number("price", "size")),
        (Reason.NEGATIVE_SIZE, rules.negative("size")),
    ]
    if "trade_id" in rows.columns:
        no_id = pl.col("trade_id").is_null()
        alone.append((Reason.MISSING_TRADE_ID, no_id))
        alone.append((Reason.BAD_TRADE_ID, ~no_id & rules.bad_id("trade_id")))
    good, refused = judge(rows, symbols, symbols.place, limits, alone=alone, prices=("price",))
    staged = _staged(good, trades.STAGING.columns)
    watched = _watched(good, "trade_id", ("price", "size"))
    return Prepared(staged=staged, watched=watched, refused=refused)


def prepare_quotes(rows: pl.DataFrame, symbols: Symbols, timezone: str, limits: Limits) -> Prepared:
    """Check quotes given as text columns symbol, time, bid, ask and sizes, perhaps quote_id.

    A side that is not quoted has no price and no size; a size may be unknown.
    """
    unsized = [name for name in _SIZES if name not in rows.columns]
    rows = rows.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in unsized)
    rows = rules.with_numbers(
        rows.with_columns(parse_times(rows["time"], timezone).alias("event_time")),
        (*_SIDES, *_SIZES),
    )
    alone: list[Rule] = [
        (Reason.BAD_TIME, pl.col("event_time").is_null()),
        (Reason.BAD_NUMBER, rules.not_number_if_given(*_SIDES, *_SIZES)),
        (Reason.NEGATIVE_SIZE, rules.negative(*_SIZES)),
        (Reason.EMPTY_QUOTE, rules.empty_quote()),
        (Reason.HALF_SIDE, rules.half_side()),
    ]
    if "quote_id" in rows.columns:
        alone.append((Reason.BAD_QUOTE_ID, rules.bad_id("quote_id")))
    good, refused = judge(
        rows,
        symbols,
        symbols.place,
        limits,
        alone=alone,
        prices=_SIDES,
        expected=[(Reason.CROSSED_QUOTE, rules.crossed())],
    )
    staged = _staged(good, quotes.STAGING.columns)
    watched = _watched(good, "quote_id", (*_SIDES, *_SIZES))
    return Prepared(staged=staged, watched=watched, refused=refused)


def prepare_bars(
    rows: pl.DataFrame, symbols: Symbols, timezone: str, interval: Interval, limits: Limits
) -> Prepared:
    """Check bars given as text columns: symbol, time, OHLC, volume, perhaps vwap and trades.

    Daily bars are stamped with their trading date; others must begin where buckets do.
    """
    optional = [name for name in ("vwap", "trades") if name in rows.columns]
    daily = interval.unit is Unit.DAY
    if daily:
        dates = _dates(rows, symbols, timezone)
        event_time = dates.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        # A time that is no start of a day is worth another word than one that cannot be read.
        moment = event_time.fill_null(
            parse_times(rows["time"].set(dates.is_not_null(), None), timezone)
        )
        misaligned = pl.col("event_time").is_null() & pl.col("moment").is_not_null()
    else:
        moment = event_time = parse_times(rows["time"], timezone)
        misaligned = rules.misaligned("event_time", interval)
    rows = rules.with_numbers(
        rows.with_columns(event_time.alias("event_time"), moment.alias("moment")),
        (*_PRICES, "volume", *optional),
    )
    alone: list[Rule] = [
        (Reason.BAD_TIME, pl.col("moment").is_null()),
        (Reason.MISALIGNED_TIME, misaligned),
        (Reason.BAD_NUMBER, rules.not_number(*_PRICES, "volume")),
        (Reason.NEGATIVE_SIZE, rules.negative("volume")),
        (Reason.OHLC_INCONSISTENT, rules.inconsistent_bar()),
    ]
    if optional:
        alone.append((Reason.BAD_NUMBER, rules.not_number_if_given(*optional)))
    if "trades" in optional:
        count = pl.col("trades")
        alone.append((Reason.NEGATIVE_SIZE, rules.negative("trades")))
        alone.append((Reason.BAD_NUMBER, count.is_not_null() & rules.bad_id("trades")))
    good, refused = judge(
        rows,
        symbols,
        _place_daily if daily else symbols.place,
        limits,
        alone=alone,
        prices=_PRICES,
        ahead=_DATE_AHEAD if daily else timedelta(0),
    )
    watched = _watched(good, None, _PRICES[:3]).with_columns(
        good["close"].alias("price"), good["volume"].alias("size")
    )
    staged = _staged(good.rename({"event_time": "bar_start"}), bars.STAGING.columns)
    return Prepared(staged=staged, watched=watched, refused=refused)


def _place_daily(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        pl.lit(int(Session.REGULAR)).alias("session"),
        pl.col("event_time").dt.date().alias("trading_date"),
    )


def _dates(rows: pl.DataFrame, symbols: Symbols, timezone: str) -> pl.Series:
    """Read the dates of daily bars; midnight may also be that of the symbol's own venue."""
    dates = parse_dates(rows["time"], [timezone, "UTC"])
    if dates.null_count() == 0:
        return dates
    symbol = rows["symbol"].set(rows.select(rules.bad_symbol()).to_series(), None)
    for zone, named in symbols.zones(symbol).items():
        local = rows["time"].set(~symbol.is_in(named).fill_null(value=False), None)
        dates = dates.fill_null(parse_dates(local, [zone]))
    return dates


def _watched(rows: pl.DataFrame, id_field: str | None, values: Sequence[str]) -> pl.DataFrame:
    """Give the columns by which anomalies are judged (app.validation.anomalies.Watch)."""
    row_id = pl.lit(0, dtype=pl.Int64)
    if id_field is not None:
        given = pl.col(id_field) if id_field in rows.columns else pl.lit(None)
        row_id = given.cast(pl.Int64)
    return rows.select(
        *("line", "instrument_id", "asset_class", "event_time", "trading_date"),
        row_id.alias("row_id"),
        *values,
    )


def _staged(rows: pl.DataFrame, columns: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Give the columns that are staged; one that the source does not have is null."""
    return rows.select(
        name if name in rows.columns else pl.lit(None, dtype=pl.String).alias(name)
        for name, _ in columns
    )
