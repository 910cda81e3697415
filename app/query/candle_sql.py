"""Write the one statement that reads candles of any interval from any mix of levels.

$1 and $2 bound the time of all rows (app.query.candle_rows), $3 the number of candles.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from app.market.adjustment import Adjustment
from app.market.grid import moment_of
from app.query.candle_rows import Layout, Part, Value, Values, source_rows
from app.query.ledger import MARKS
from app.query.plan import Recipe
from app.query.shapes import Shape

_MAX_TEXTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """SQL with its values; rows: part (from 1), what the shape asks, the marks."""

    sql: str
    values: list[Any]


def candles_statement(
    recipe: Recipe, parts: Sequence[Part], limit: int, shape: Shape[Any]
) -> Statement:
    """Ask for each part's newest `limit` candles in a shape; a part without any has a row too."""
    every = [segment for part in parts for segment in part.segments]
    first, end = min(each.start for each in every), max(each.end for each in every)
    used = [each.level for each in every]
    levels = tuple(level for level in recipe.levels if level in used)
    alone = len(levels) == 1 and len(every) == len(parts)
    same = alone and all(each.start == first and each.end == end for each in every)
    adjusted = any(part.adjustments for part in parts)
    layout = Layout(levels=levels, alone=alone, same=same, adjusted=adjusted)
    sql, values = _written(recipe, layout, shape)
    return Statement(sql=sql, values=[first, end, limit, *(value(parts) for value in values)])


# The columns of `s`, the instruments: kind and values.
_COLUMNS: dict[str, tuple[str, Value]] = {
    "instrument_id": ("integer[]", lambda parts: [part.instrument_id for part in parts]),
    "final_before": ("timestamptz[]", lambda parts: [part.final_before for part in parts]),
}
_DATES: dict[str, tuple[str, Value]] = {
    "first_date": ("date[]", lambda parts: [part.first_date for part in parts]),
    "end_date": ("date[]", lambda parts: [part.end_date for part in parts]),
}
_BOUNDS: dict[str, tuple[str, Value]] = {
    "first_time": ("timestamptz[]", lambda parts: [part.segments[0].start for part in parts]),
    "end_time": ("timestamptz[]", lambda parts: [part.segments[0].end for part in parts]),
}


@lru_cache(maxsize=_MAX_TEXTS)
def _written(recipe: Recipe, layout: Layout, shape: Shape[Any]) -> tuple[str, Sequence[Value]]:
    """Write the SQL; $1 and $2 are the bounds of all parts, $3 the limit, the rest the values."""
    bound = Values()
    columns, within = _COLUMNS, "true"
    if recipe.spec.is_dated:
        columns = columns | _DATES
        within = "r.trading_date >= s.first_date AND r.trading_date < s.end_date"
    if layout.alone and not layout.same:
        columns = columns | _BOUNDS
    arrays = ", ".join(bound.bind(values, kind) for kind, values in columns.values())
    rows = source_rows(recipe, layout, bound)
    if layout.adjusted:
        rows = _ADJUSTED.format(rows=rows, factors=_factors(bound))
    # Rows that are candles already come off an index in order; only others need grouping.
    ready = not recipe.listed and all(
        level.width == recipe.interval.width for level in recipe.levels
    )
    candles = _READY if ready else _GROUPED
    body = candles.format(rows=rows, within=within, bucket="" if ready else _bucket(recipe, bound))
    sql = f"""
-- candles: the newest of each instrument's range, oldest first
SELECT s.part, f.*, {MARKS}
FROM unnest({arrays}) WITH ORDINALITY AS s ({", ".join(columns)}, part)
LEFT JOIN LATERAL ({shape.sql(body)}) AS f ON true
ORDER BY s.part
"""  # noqa: S608 - names from the catalogue, values bound
    return sql, bound.values


_READY = """
    SELECT r.bucket AS time, r.open, r.high, r.low, r.close, r.volume, r.notional,
           coalesce(r.trades, 0) AS trades, r.revision
    FROM ({rows}) AS r
    WHERE r.open IS NOT NULL AND {within}
    ORDER BY 1 DESC
    LIMIT $3::integer
"""

_GROUPED = """
    SELECT {bucket} AS time,
           first(r.open, r.first_time) FILTER (WHERE r.open IS NOT NULL) AS open,
           max(r.high) AS high,
           min(r.low) AS low,
           last(r.close, r.last_time) FILTER (WHERE r.open IS NOT NULL) AS close,
           sum(r.volume) AS volume,
           CASE WHEN bool_and(r.notional IS NOT NULL OR r.open IS NULL) THEN sum(r.notional) END
               AS notional,
           coalesce(sum(r.trades), 0)::bigint AS trades,
           max(r.revision) AS revision
    FROM ({rows}) AS r
    WHERE {within}
    GROUP BY 1
    HAVING count(r.open) > 0
    ORDER BY 1 DESC
    LIMIT $3::integer
"""


# Factors have 40 digits; what they change gets ten places behind the point, money twenty (vwap
# divides by volumes). What they do not change stays as it is, digit for digit.
# A part's ranges of dates are adjacent: a row's is found by halving their ends, its place in the
# arrays is that of the factors. Three shares' 3,000 days with 32 factors each took 1.5 times as
# long as unadjusted ones; with a join of the ranges 4 times.
_ADJUSTED = """
    SELECT q.trading_date, q.bucket,
           CASE WHEN a.price = 1 THEN q.open
                ELSE trim_scale(round(q.open * a.price, 10)) END AS open,
           CASE WHEN a.price = 1 THEN q.high
                ELSE trim_scale(round(q.high * a.price, 10)) END AS high,
           CASE WHEN a.price = 1 THEN q.low
                ELSE trim_scale(round(q.low * a.price, 10)) END AS low,
           CASE WHEN a.price = 1 THEN q.close
                ELSE trim_scale(round(q.close * a.price, 10)) END AS close,
           CASE WHEN a.volume = 1 THEN q.volume
                ELSE trim_scale(round(q.volume * a.volume, 10)) END AS volume,
           CASE WHEN a.price = 1 AND a.volume = 1 THEN q.notional
                ELSE trim_scale(round(q.notional * a.price * a.volume, 20)) END AS notional,
           q.trades, q.revision, q.first_time, q.last_time
    FROM (
        SELECT array_agg(e.end_date ORDER BY e.end_date) AS end_dates,
               array_agg(e.price_factor ORDER BY e.end_date) AS prices,
               array_agg(e.volume_factor ORDER BY e.end_date) AS volumes
        FROM {factors}
        WHERE e.part = s.part
    ) AS f
    CROSS JOIN LATERAL ({rows}) AS q
    CROSS JOIN LATERAL (
        SELECT coalesce(f.prices[n.place], 1) AS price, coalesce(f.volumes[n.place], 1) AS volume
        FROM (SELECT width_bucket(q.trading_date, f.end_dates) + 1 AS place OFFSET 0) AS n
        OFFSET 0
    ) AS a
"""


def _factors(bound: Values) -> str:
    """Give the adjustments of all parts as a relation."""
    arrays = ", ".join(
        bound.bind(_adjusted(value), kind)
        for kind, value in (
            ("bigint[]", lambda number, _: number),
            ("date[]", lambda _, each: each.end_date),
            ("numeric[]", lambda _, each: each.price_factor),
            ("numeric[]", lambda _, each: each.volume_factor),
        )
    )
    return f"unnest({arrays}) AS e (part, end_date, price_factor, volume_factor)"


def _adjusted(value: Callable[[int, Adjustment], Any]) -> Value:
    return lambda parts: [
        value(number, each)
        for number, part in enumerate(parts, start=1)
        for each in part.adjustments
    ]


def _starts(parts: Sequence[Part]) -> list[datetime]:
    starts = parts[0].starts
    return [] if starts is None else [moment_of(at) for at in starts.tolist()]


def _bucket(recipe: Recipe, bound: Values) -> str:
    interval = recipe.interval
    if recipe.listed:
        starts = bound.bind(_starts, "timestamptz[]")
        return f"({starts})[width_bucket(r.bucket, {starts})]"
    count = bound.bind(lambda _: interval.count, "integer")
    if not recipe.spec.is_dated:
        return f"time_bucket(make_interval(secs => {count}), r.bucket)"
    unit = {"DAY": "days", "MONTH": "months"}[interval.unit]
    bucket = f"time_bucket(make_interval({unit} => {count}), r.trading_date)"
    return f"({bucket})::timestamp AT TIME ZONE 'UTC'"
