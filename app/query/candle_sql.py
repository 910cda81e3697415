"""Write the one statement that reads candles of any interval from any mix of levels.

Every hypertable read is bounded in time by constants ($1, $2) besides each instrument's own bounds:
only constants let the planner leave chunks out (0.4 ms at 2,000 chunks). Names come from the closed
catalogue, values are bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from app.market.instrument import CandleSource
from app.query.ledger import MARKS
from app.query.plan import Level, Recipe, Segment
from app.query.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(slots=True)
class _Values:
    values: list[Any] = field(default_factory=list)

    def bind(self, value: Any, kind: str) -> str:
        self.values.append(value)
        return f"${len(self.values)}::{kind}"


def candles_statement(
    recipe: Recipe, parts: Sequence[Part], limit: int, shape: Shape[Any]
) -> Statement:
    """Ask for each part's newest `limit` candles in a shape; a part without any has a row too."""
    bound = _Values()
    every = [segment for part in parts for segment in part.segments]
    bound.values += [
        min(segment.start for segment in every),
        max(segment.end for segment in every),
        [part.instrument_id for part in parts],
        [part.first_date for part in parts],
        [part.end_date for part in parts],
        [part.final_before for part in parts],
        [part.segments[0].start for part in parts],
        [part.segments[0].end for part in parts],
        limit,
    ]
    rows = _rows(recipe, parts, bound)
    within = "true"
    if recipe.interval.is_dated:
        within = "r.trading_date >= s.first_date AND r.trading_date < s.end_date"
    # Rows that are candles already come off an index in order; only others need grouping.
    ready = all(level.width == recipe.interval.width for level in recipe.levels)
    candles = _READY if ready else _GROUPED
    body = candles.format(rows=rows, within=within, bucket="" if ready else _bucket(recipe, bound))
    sql = f"""
-- candles: the newest of each instrument's range, oldest first
SELECT s.part, f.*, {MARKS}
FROM unnest($3::integer[], $4::date[], $5::date[], $6::timestamptz[], $7::timestamptz[],
            $8::timestamptz[]) WITH ORDINALITY
     AS s (instrument_id, first_date, end_date, final_before, first_time, end_time, part)
LEFT JOIN LATERAL ({shape.sql(body)}) AS f ON true
ORDER BY s.part
"""  # noqa: S608 - names from the catalogue, values bound
    return Statement(sql=sql, values=bound.values)


_READY = """
    SELECT r.bucket AS time, r.open, r.high, r.low, r.close, r.volume, r.notional,
           coalesce(r.trades, 0) AS trades, r.revision
    FROM ({rows}) AS r
    WHERE r.open IS NOT NULL AND {within}
    ORDER BY 1 DESC
    LIMIT $9::integer
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
    LIMIT $9::integer
"""


def _bucket(recipe: Recipe, bound: _Values) -> str:
    interval = recipe.interval
    count = bound.bind(interval.count, "integer")
    if not interval.is_dated:
        return f"time_bucket(make_interval(secs => {count}), r.bucket)"
    unit = {"DAY": "days", "MONTH": "months"}[interval.unit]
    bucket = f"time_bucket(make_interval({unit} => {count}), r.trading_date)"
    return f"({bucket})::timestamp AT TIME ZONE 'UTC'"


def _rows(recipe: Recipe, parts: Sequence[Part], bound: _Values) -> str:
    """Give the rows of every level in use.

    Usually each part is one range of one level: its bounds travel beside the instrument. Otherwise
    each level's segments travel as one set of arrays.
    """
    if all(len(part.segments) == 1 for part in parts):
        levels = {part.segments[0].level for part in parts}
        if len(levels) == 1:
            return _level(recipe, levels.pop(), bound, "s")
    reads = []
    for level in recipe.levels:
        used = [
            (number, segment)
            for number, part in enumerate(parts, start=1)
            for segment in part.segments
            if segment.level == level
        ]
        if not used:
            continue
        numbers = bound.bind([number for number, _ in used], "bigint[]")
        starts = bound.bind([segment.start for _, segment in used], "timestamptz[]")
        ends = bound.bind([segment.end for _, segment in used], "timestamptz[]")
        reads.append(
            f"""
        SELECT l.*
        FROM unnest({numbers}, {starts}, {ends}) AS g (part, first_time, end_time)
        CROSS JOIN LATERAL ({_level(recipe, level, bound, "g")}) AS l
        WHERE g.part = s.part"""  # noqa: S608
        )
    return " UNION ALL ".join(reads)


def _level(recipe: Recipe, level: Level, bound: _Values, within: str) -> str:
    """Give one level's rows of an instrument, as roll-ups have them; `within` holds the bounds."""
    if level.view is None and recipe.source is CandleSource.TRADES:
        width = bound.bind(level.width, "interval")
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
              AND t.event_time >= {within}.first_time AND t.event_time < {within}.end_time
              AND t.event_time >= $1 AND t.event_time < $2
            GROUP BY t.session, t.trading_date, time_bucket({width}, t.event_time)"""  # noqa: S608
    if level.view is None:
        minutes = bound.bind(recipe.bar_minutes, "integer")
        return f"""
            SELECT b.trading_date, b.bar_start AS bucket, b.open, b.high, b.low, b.close, b.volume,
                   b.notional, b.trades, b.batch_id AS revision, b.bar_start AS first_time,
                   b.bar_start AS last_time
            FROM bar AS b
            WHERE b.instrument_id = s.instrument_id AND b.interval_minutes = {minutes}
              AND b.bar_start >= {within}.first_time AND b.bar_start < {within}.end_time
              AND b.bar_start >= $1 AND b.bar_start < $2"""  # noqa: S608
    native = ""
    if recipe.source is CandleSource.BARS:
        native = f"AND v.interval_minutes = {bound.bind(recipe.bar_minutes, 'integer')}"
    return f"""
            SELECT v.trading_date, v.bucket, v.open, v.high, v.low, v.close, v.volume, v.notional,
                   v.trades, v.revision, v.first_time, v.last_time
            FROM {level.view} AS v
            WHERE v.instrument_id = s.instrument_id {native}
              AND v.bucket >= {within}.first_time AND v.bucket < {within}.end_time
              AND v.bucket >= $1 AND v.bucket < $2"""  # noqa: S608
