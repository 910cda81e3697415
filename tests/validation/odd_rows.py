"""Seeded random rows as a watch takes them, and where odd ones are put among them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import polars as pl

from app.validation.anomalies import FLAGS, Watch
from app.validation.anomaly_past import RowKind

START = datetime(2024, 1, 2, 15, tzinfo=UTC)
MOMENT = pl.Datetime("us", "UTC")
Draw = Callable[[np.random.Generator, int], npt.NDArray[np.float64]]


def normal(random: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    return random.standard_normal(count)


def fat(random: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    return random.standard_t(5, count)


def times(gaps_s: npt.NDArray[np.float64], start: datetime = START) -> pl.Series:
    """Give the moments after so many seconds each."""
    micros = (np.cumsum(gaps_s) * 1e6).astype(np.int64) + int(start.timestamp() * 1e6)
    return pl.Series("event_time", micros).cast(MOMENT)


def trades(
    count: int,
    *,
    seed: int = 1,
    volatility: float = 1e-4,
    tick: float = 0.01,
    asset_class: str = "EQUITY",
    instrument_id: int = 1,
    draw: Draw = normal,
) -> pl.DataFrame:
    """Trades every two seconds or so, on one date: a walk of log prices on a tick, odd lots."""
    random = np.random.default_rng(seed)
    walk = 100 * np.exp(np.cumsum(draw(random, count) * volatility))
    rows = pl.DataFrame(
        {
            "line": np.arange(count) + 2,
            "instrument_id": np.full(count, instrument_id, dtype=np.int32),
            "asset_class": pl.repeat(asset_class, count, eager=True),
            "event_time": times(random.exponential(2.0, count)),
            "trading_date": pl.repeat(START.date(), count, eager=True),
            "row_id": np.arange(count) + 1000,
            "price": np.maximum(np.round(walk / tick), 1) * tick,
            "size": np.round(random.lognormal(4, 1, count)) + 1,
        }
    )
    return rows.with_columns(pl.col("price").round(6))


def bars(
    count: int, *, volatility: float = 0.02, minutes: int = 1440, **given: object
) -> pl.DataFrame:
    """Bars whose open is the close before, with wicks; daily ones a trading date each."""
    rows = trades(count, volatility=volatility, **given)  # type: ignore[arg-type]
    random = np.random.default_rng(99)
    open_ = pl.Series("open", rows["price"].shift(1).fill_null(100.0))
    wick = volatility * rows["price"] / 2
    moments = pl.datetime_range(
        START, START + timedelta(minutes=minutes * (count - 1)), f"{minutes}m", eager=True
    ).cast(MOMENT)
    return rows.with_columns(
        open_,
        pl.max_horizontal("price", open_).alias("high") + wick * random.random(count),
        pl.min_horizontal("price", open_).alias("low") - wick * random.random(count),
        moments.alias("event_time"),
        moments.dt.date().alias("trading_date"),
        pl.lit(0).alias("row_id"),
        pl.col("size") + random.integers(1000, 5000, count),
    )


def quotes(count: int, *, spread: float = 0.02, **given: object) -> pl.DataFrame:
    """Quotes of both sides around a walk."""
    rows = trades(count, **given)  # type: ignore[arg-type]
    random = np.random.default_rng(98)
    return rows.select(
        pl.exclude("price", "size"),
        bid=(pl.col("price") - spread / 2).round(6),
        ask=(pl.col("price") + spread / 2).round(6),
        bid_size=random.integers(1, 50, count).astype(np.float64),
        ask_size=random.integers(1, 50, count).astype(np.float64),
    )


def changed(rows: pl.DataFrame, at: int, **values: object) -> pl.DataFrame:
    """Give one row other values."""
    here = pl.int_range(pl.len()) == at
    return rows.with_columns(
        pl.when(here).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def scaled(rows: pl.DataFrame, at: int, until: int, factor: float, *names: str) -> pl.DataFrame:
    """Multiply columns of the rows [at, until)."""
    here = pl.int_range(pl.len()).is_between(at, until, closed="left")
    return rows.with_columns(
        pl.when(here).then((pl.col(name) * factor).round(6)).otherwise(pl.col(name)).alias(name)
        for name in names
    )


def flags_of(kind: RowKind, rows: pl.DataFrame, size: int | None = None) -> pl.DataFrame:
    """Judge rows in chunks of a size."""
    watch, step = Watch(kind), size or max(rows.height, 1)
    parts = [watch.judge(rows[first : first + step]) for first in range(0, rows.height, step)]
    return pl.concat([pl.DataFrame(schema=FLAGS), *parts]).sort("line", "rule")


def found(kind: RowKind, rows: pl.DataFrame) -> list[tuple[int, str]]:
    """Give (place, rule) of what is flagged; lines begin at 2."""
    return [(line - 2, rule) for line, rule in flags_of(kind, rows).select("line", "rule").rows()]


def shares() -> pl.DataFrame:
    """Real daily bars of five shares, 2000 to 2013, unadjusted; `symbol` says which."""
    path = files("bokeh_sampledata") / "_data" / "stocks.csv.gz"
    rows = pl.read_csv(str(path), try_parse_dates=True)
    rows = rows.rename({name: name.lower() for name in rows.columns})
    return rows.select(
        pl.int_range(2, pl.len() + 2, dtype=pl.Int64).alias("line"),
        pl.col("ticker").rank("dense").cast(pl.Int32).alias("instrument_id"),
        pl.lit("EQUITY").alias("asset_class"),
        pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("event_time"),
        pl.col("date").alias("trading_date"),
        pl.lit(0).alias("row_id"),
        *("open", "high", "low"),
        pl.col("close").alias("price"),
        pl.col("volume").cast(pl.Float64).alias("size"),
        pl.col("ticker").alias("symbol"),
    )


def day(text: str) -> date:
    return date.fromisoformat(text)
