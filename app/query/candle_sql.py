"""Write the one statement that reads candles of any interval from any mix of levels.

Every hypertable read is bounded in time by constants ($1, $2): only constants let the planner leave
chunks out (0.4 ms at 2,000 chunks). Each instrument's own bounds come on top only where they are
narrower: with both, the planner would rather read all of a time than one instrument. Names come
from the closed catalogue, values are bound.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from app.market.instrument import CandleSource
from app.query.ledger import MARKS
from app.query.plan import Level, Recipe, Segment
from app.query.shapes import Shape

_MAX_TEXTS = 1000
_FIXED = 3  # values that each statement has: the bounds of all parts, the limit


@dataclass(slots=True, kw_only=True)
class Part:
    """One instrument's share of a statement: segments cover its time, dates bound dated buckets."""

    instrument_id: int
    segments: Sequence[Segment]
    first_date: date
    end_date: date
    final_before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """SQL with its values; rows: part (from 1), what the shape asks, the marks."""

    sql: str
    values: list[Any]


Value = Callable[[Sequence[Part]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """How the parts' times are spread; equal layouts have equal SQL.

    Usually each part is one range of one level, `alone`, and often the same range for all, `same`.
    Otherwise each level's segments travel as one set of arrays.
    """

    levels: tuple[Level, ...]
    alone: bool
    same: bool


@dataclass(slots=True)
class _Values:
    """What is bound, as functions of the parts: the text is written once for many of them."""

    values: list[Value] = field(default_factory=list)

    def bind(self, value: Value, kind: str) -> str:
        self.values.append(value)
        return f"${_FIXED + len(self.values)}::{kind}"


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
    layout = _Layout(levels=levels, alone=alone, same=same)
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
def _written(recipe: Recipe, layout: _Layout, shape: Shape[Any]) -> tuple[str, Sequence[Value]]:
    """Write the SQL; $1 and $2 are the bounds of all parts, $3 the limit, the rest the values."""
    bound = _Values()
    columns, within = _COLUMNS, "true"
    if recipe.interval.is_dated:
        columns = columns | _DATES
        within = "r.trading_date >= s.first_date AND r.trading_date < s.end_date"
    if layout.alone and not layout.same:
        columns = columns | _BOUNDS
    arrays = ", ".join(bound.bind(values, kind) for kind, values in columns.values())
    rows = _rows(recipe, layout, bound)
    # Rows that are candles already come off an index in order; only others need grouping.
    ready = all(level.width == recipe.interval.width for level in recipe.levels)
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


def _bucket(recipe: Recipe, bound: _Values) -> str:
    interval = recipe.interval
    count = bound.bind(lambda _: interval.count, "integer")
    if not interval.is_dated:
        return f"time_bucket(make_interval(secs => {count}), r.bucket)"
    unit = {"DAY": "days", "MONTH": "months"}[interval.unit]
    bucket = f"time_bucket(make_interval({unit} => {count}), r.trading_date)"
    return f"({bucket})::timestamp AT TIME ZONE 'UTC'"


def _rows(recipe: Recipe, layout: _Layout, bound: _Values) -> str:
    """Give the rows of every level in use."""
    if layout.alone:
        return _level(recipe, layout.levels[0], bound, None if layout.same else "s")
    reads = []
    for level in layout.levels:
        numbers = bound.bind(_on(level, lambda number, _: number), "bigint[]")
        starts = bound.bind(_on(level, lambda _, segment: segment.start), "timestamptz[]")
        ends = bound.bind(_on(level, lambda _, segment: segment.end), "timestamptz[]")
        reads.append(
            f"""
        SELECT l.*
        FROM unnest({numbers}, {starts}, {ends}) AS g (part, first_time, end_time)
        CROSS JOIN LATERAL ({_level(recipe, level, bound, "g")}) AS l
        WHERE g.part = s.part"""  # noqa: S608
        )
    return " UNION ALL ".join(reads)


def _on(level: Level, value: Callable[[int, Segment], Any]) -> Value:
    """Give a value of each segment of a level; parts are numbered from 1."""
    return lambda parts: [
        value(number, segment)
        for number, part in enumerate(parts, start=1)
        for segment in part.segments
        if segment.level == level
    ]


def _level(recipe: Recipe, level: Level, bound: _Values, within: str | None) -> str:
    """Give one level's rows of an instrument, as roll-ups have them.

    `within` names what holds the instrument's own bounds; None: they are those of all.
    """
    if level.view is None and recipe.source is CandleSource.TRADES:
        width = bound.bind(lambda _: level.width, "interval")
        return f"""
            SELECT t.trading_date, time_bucket({width}, t.event_time) AS bucket,
                   first(t.price, t.order_key) FILTER (WHERE NOT t.cancelled) AS open,
                   max(t.price) FILTER (WHERE NOT t.cancelled) AS high,
                   min(t.price) FILTER (WHERE NOT t.cancelled) AS low,
                   last(t.price, t.order_key) FILTER (WHERE NOT t.cancelled) AS close,
                   sum(t.size) FILTER (WHERE NOT t.cancelled) AS volume,
                   sum(t.price * t.size) FILTER (WHERE NOT t.cancelled) AS notional,
                   count(*) FILTER (WHERE NOT t.cancelled) AS trades,
                   max(t.batch_id) AS revision,
                   min(t.event_time) FILTER (WHERE NOT t.cancelled) AS first_time,
                   max(t.event_time) FILTER (WHERE NOT t.cancelled) AS last_time
            FROM trade AS t
            WHERE t.instrument_id = s.instrument_id
              AND {_bounded("t.event_time", within)}
            GROUP BY t.session, t.trading_date, time_bucket({width}, t.event_time)"""  # noqa: S608
    if level.view is None:
        minutes = bound.bind(lambda _: recipe.bar_minutes, "integer")
        return f"""
            SELECT b.trading_date, b.bar_start AS bucket, b.open, b.high, b.low, b.close, b.volume,
                   b.notional, b.trades, b.batch_id AS revision, b.bar_start AS first_time,
                   b.bar_start AS last_time
            FROM bar AS b
            WHERE b.instrument_id = s.instrument_id AND b.interval_minutes = {minutes}
              AND {_bounded("b.bar_start", within)}"""  # noqa: S608
    native = ""
    if recipe.source is CandleSource.BARS:
        native = f"AND v.interval_minutes = {bound.bind(lambda _: recipe.bar_minutes, 'integer')}"
    return f"""
            SELECT v.trading_date, v.bucket, v.open, v.high, v.low, v.close, v.volume, v.notional,
                   v.trades, v.revision, v.first_time, v.last_time
            FROM {level.view} AS v
            WHERE v.instrument_id = s.instrument_id {native}
              AND {_bounded("v.bucket", within)}"""  # noqa: S608


def _bounded(time: str, within: str | None) -> str:
    bounds = f"{time} >= $1 AND {time} < $2"
    if within is None:
        return bounds
    return f"{bounds} AND {time} >= {within}.first_time AND {time} < {within}.end_time"
