"""Write the reads of source rows and roll-ups that candles are made of.

Every hypertable read is bounded in time by constants ($1, $2): only constants let the planner leave
chunks out (0.4 ms at 2,000 chunks). Each instrument's own bounds come on top only where they are
narrower: with both, the planner would rather read all of a time than one instrument. Names come
from the closed catalogue, values are bound.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from app.market.adjustment import Adjustment
from app.market.grid import Micros
from app.market.instrument import CandleSource
from app.query.plan import Level, Recipe, Segment

_FIXED = 3  # values that each statement has: the bounds of all parts, the limit


@dataclass(slots=True, kw_only=True)
class Part:
    """One instrument's share of a statement: segments cover its time, dates bound dated buckets.

    `starts` are the buckets of a listed recipe, the same for all parts of a statement.
    """

    instrument_id: int
    segments: Sequence[Segment]
    first_date: date
    end_date: date
    final_before: datetime
    starts: Micros | None = None
    adjustments: Sequence[Adjustment] = ()


Value = Callable[[Sequence[Part]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the parts' times are spread; equal layouts have equal SQL.

    Usually each part is one range of one level, `alone`, and often the same range for all, `same`.
    Otherwise each level's segments travel as one set of arrays. `adjusted`: some part has factors.
    """

    levels: tuple[Level, ...]
    alone: bool
    same: bool
    adjusted: bool


@dataclass(slots=True)
class Values:
    """What is bound, as functions of the parts: the text is written once for many of them."""

    values: list[Value] = field(default_factory=list)

    def bind(self, value: Value, kind: str) -> str:
        """Give the place of a value in the text."""
        self.values.append(value)
        return f"${_FIXED + len(self.values)}::{kind}"


def source_rows(recipe: Recipe, layout: Layout, bound: Values) -> str:
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


def _level(recipe: Recipe, level: Level, bound: Values, within: str | None) -> str:
    """Give one level's rows of an instrument, as roll-ups have them.

    `within` names what holds the instrument's own bounds; None: they are those of all.
    """
    session = ""
    if recipe.spec.session is not None:
        session = f"AND session = {bound.bind(_session(recipe), 'smallint')}"
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
              AND {_bounded("t.event_time", within)} {session}
            GROUP BY t.session, t.trading_date, time_bucket({width}, t.event_time)"""  # noqa: S608
    if level.view is None:
        minutes = bound.bind(lambda _: recipe.bar_minutes, "integer")
        return f"""
            SELECT b.trading_date, b.bar_start AS bucket, b.open, b.high, b.low, b.close, b.volume,
                   b.notional, b.trades, b.batch_id AS revision, b.bar_start AS first_time,
                   b.bar_start AS last_time
            FROM bar AS b
            WHERE b.instrument_id = s.instrument_id AND b.interval_minutes = {minutes}
              AND {_bounded("b.bar_start", within)} {session}"""  # noqa: S608
    native = ""
    if recipe.source is CandleSource.BARS:
        native = f"AND v.interval_minutes = {bound.bind(lambda _: recipe.bar_minutes, 'integer')}"
    return f"""
            SELECT v.trading_date, v.bucket, v.open, v.high, v.low, v.close, v.volume, v.notional,
                   v.trades, v.revision, v.first_time, v.last_time
            FROM {level.view} AS v
            WHERE v.instrument_id = s.instrument_id {native}
              AND {_bounded("v.bucket", within)} {session}"""  # noqa: S608


def _session(recipe: Recipe) -> Value:
    return lambda _: recipe.spec.session


def _bounded(time: str, within: str | None) -> str:
    bounds = f"{time} >= $1 AND {time} < $2"
    if within is None:
        return bounds
    return f"{bounds} AND {time} >= {within}.first_time AND {time} < {within}.end_time"
