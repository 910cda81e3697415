"""Make staged rows of trades and bars from text columns, and say why the others are refused."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from app.ingestion.symbols import Symbols
from app.ingestion.times import parse_dates, parse_times
from app.market.candle import Session
from app.market.interval import Interval, Unit
from app.storage import bars, trades
from app.validation import rules
from app.validation.reasons import Reason

_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Rows ready for COPY, and refused ones: line, reason, record."""

    staged: pl.DataFrame
    refused: pl.DataFrame


def prepare_trades(rows: pl.DataFrame, symbols: Symbols, timezone: str) -> Prepared:
    """Check trades given as text columns symbol, time, price, size and perhaps trade_id."""
    has_ids = "trade_id" in rows.columns
    given = rows
    rows = rules.with_numbers(
        rows.with_columns(parse_times(rows["time"], timezone).alias("event_time")),
        ("price", "size"),
    )
    first = [
        (Reason.BAD_TIME, pl.col("event_time").is_null()),
        (Reason.BAD_NUMBER, rules.not_number("price", "size")),
        (Reason.NEGATIVE_SIZE, rules.negative("size")),
    ]
    if has_ids:
        first.append((Reason.BAD_TRADE_ID, rules.bad_trade_id("trade_id")))
    second = [(Reason.PRICE_NOT_POSITIVE, rules.not_positive("price"))]
    good, refused = _judge(rows, given, symbols, first, second)
    good = symbols.place(good)
    if not has_ids:
        good = good.with_columns(pl.lit(None, dtype=pl.String).alias("trade_id"))
    return Prepared(staged=_staged(good, trades.STAGING.columns), refused=refused)


def prepare_bars(
    rows: pl.DataFrame, symbols: Symbols, timezone: str, interval: Interval
) -> Prepared:
    """Check bars given as text columns: symbol, time, OHLC, volume, perhaps vwap and trades.

    Daily bars are stamped with their trading date; others must begin where buckets do.
    """
    given = rows
    optional = [name for name in ("vwap", "trades") if name in rows.columns]
    daily = interval.unit is Unit.DAY
    if daily:
        dates = _dates(rows, symbols, timezone)
        event_time = dates.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        # A time that is no start of a day is worth another word than one that cannot be read.
        moment = event_time.fill_null(
            parse_times(rows["time"].set(dates.is_not_null(), None), timezone)
        )
        misaligned = pl.col("event_time").is_null()
    else:
        moment = event_time = parse_times(rows["time"], timezone)
        misaligned = rules.misaligned("event_time", interval)
    rows = rules.with_numbers(
        rows.with_columns(event_time.alias("event_time"), moment.alias("moment")),
        (*_PRICES, "volume", *optional),
    )
    first = [
        (Reason.BAD_TIME, pl.col("moment").is_null()),
        (Reason.MISALIGNED_TIME, misaligned),
        (Reason.BAD_NUMBER, rules.not_number(*_PRICES, "volume")),
        (Reason.NEGATIVE_SIZE, rules.negative("volume")),
        (Reason.OHLC_INCONSISTENT, rules.inconsistent_bar()),
    ]
    if optional:
        first.append((Reason.BAD_NUMBER, rules.not_number_if_given(*optional)))
    if "trades" in optional:
        count = pl.col("trades")
        first.append((Reason.NEGATIVE_SIZE, rules.negative("trades")))
        first.append((Reason.BAD_NUMBER, count.is_not_null() & rules.bad_trade_id("trades")))
    good, refused = _judge(
        rows, given, symbols, first, [(Reason.PRICE_NOT_POSITIVE, rules.not_positive(*_PRICES))]
    )
    if daily:
        good = good.with_columns(
            pl.lit(int(Session.REGULAR)).alias("session"),
            pl.col("event_time").dt.date().alias("trading_date"),
        )
    else:
        good = symbols.place(good)
    missing = [name for name in ("vwap", "trades") if name not in optional]
    good = good.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in missing)
    return Prepared(
        staged=_staged(good.rename({"event_time": "bar_start"}), bars.STAGING.columns),
        refused=refused,
    )


def _judge(
    rows: pl.DataFrame,
    given: pl.DataFrame,
    symbols: Symbols,
    first: list[tuple[Reason, pl.Expr]],
    second: list[tuple[Reason, pl.Expr]],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split rows; instruments are looked up only for rows that pass the first rules.

    They are made only for rows that pass all.
    """
    rows = rows.with_columns(
        rules.first_reason([(Reason.BAD_SYMBOL, rules.bad_symbol()), *first]).alias("reason")
    )
    refused = [rows.filter(pl.col("reason").is_not_null())]
    rows = symbols.resolve(rows.filter(pl.col("reason").is_null()))
    unknown = (Reason.UNKNOWN_SYMBOL, pl.col("instrument_id").is_null() & ~pl.col("is_new"))
    rows = rows.with_columns(rules.first_reason([unknown, *second]).alias("reason"))
    refused.append(rows.filter(pl.col("reason").is_not_null()))
    reasons = pl.concat(part.select("line", "reason") for part in refused).sort("line")
    texts = [pl.col(name).fill_null("") for name in given.columns if name != "line"]
    records = given.join(reasons, on="line", how="semi").select(
        "line", pl.concat_str(texts, separator=",").alias("record")
    )
    return symbols.make(rows.filter(pl.col("reason").is_null())), reasons.join(
        records, on="line", how="left", maintain_order="left"
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


def _staged(rows: pl.DataFrame, columns: Sequence[tuple[str, str]]) -> pl.DataFrame:
    return rows.select(name for name, _ in columns)
