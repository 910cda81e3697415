"""The recent past that rows are judged by, and the flags of those that looked odd beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from app.storage.batches import BatchKind
from app.storage.database import Connection, one_row
from app.storage.staging import Staging

DEPTH = 65  # rows of an instrument: what a watch looks back on
_WIDEN = 8

STAGING = Staging(
    table="staged_flag",
    columns=(
        ("line", "bigint"),
        ("event_time", "timestamptz"),
        ("rule", "text"),
        ("severity", "text"),
        ("score", "double precision"),
        ("threshold", "double precision"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where rows of a kind are: their key, what is read of them, and what else they say.

    `look` is how far back the newest rows are looked for at first, a chunk of the table or two.
    """

    table: str
    time: str
    row_id: str
    values: Mapping[str, str]
    content: tuple[str, ...]
    key: tuple[str, ...]
    only: str
    look: timedelta


_SOURCES = {
    BatchKind.TRADES: _Source(
        table="trade",
        time="event_time",
        row_id="trade_id",
        values={"price": "price", "size": "size"},
        content=("price", "size"),
        key=("instrument_id", "event_time", "trade_id"),
        only="AND NOT cancelled",
        look=timedelta(days=7),
    ),
    BatchKind.BARS: _Source(
        table="bar",
        time="bar_start",
        row_id="0::bigint",
        values={
            "open": "open",
            "high": "high",
            "low": "low",
            "price": "close",
            "size": "volume",
        },
        content=("open", "high", "low", "close", "volume"),
        key=("instrument_id", "bar_start"),
        only="AND interval_minutes = %(interval_minutes)s",
        look=timedelta(days=30),
    ),
    BatchKind.QUOTES: _Source(
        table="quote",
        time="event_time",
        row_id="quote_id",
        values={each: each for each in ("bid", "ask", "bid_size", "ask_size")},
        content=("bid", "ask", "bid_size", "ask_size"),
        key=("instrument_id", "event_time", "quote_id"),
        only="",
        look=timedelta(days=1),
    ),
}

# extents: between which times an instrument has rows.
EXTENTS = """
SELECT instrument_id, first_time, last_time
FROM latest
WHERE instrument_id = ANY (%(instrument_ids)s) AND interval_minutes = %(interval_minutes)s
"""

# quote_extents: the same of quotes, as far as each instrument's last thousand batches tell.
QUOTE_EXTENTS = """
SELECT r.instrument_id, min(r.first_time), max(r.last_time)
FROM unnest(%(instrument_ids)s::integer[]) AS i (instrument_id)
CROSS JOIN LATERAL (
    SELECT instrument_id, first_time, last_time
    FROM batch_range
    WHERE instrument_id = i.instrument_id AND kind = 'QUOTES'
    ORDER BY batch_id DESC
    LIMIT 1000
) AS r
GROUP BY r.instrument_id
"""

# newest_rows: the last rows of each instrument within [start, end).
NEWEST = """
SELECT f.*
FROM unnest(%(instrument_ids)s::integer[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
     AS s (instrument_id, first_time, end_time)
CROSS JOIN LATERAL (
    SELECT instrument_id, {time} AS event_time, trading_date, {row_id} AS row_id, {values}
    FROM {table}
    WHERE instrument_id = s.instrument_id {only}
      AND {time} >= s.first_time AND {time} < s.end_time
      AND {time} >= %(start)s AND {time} < %(end)s
    ORDER BY {order}
    LIMIT %(depth)s
) AS f
"""

BOUNDS = "SELECT count(*), min(event_time), max(event_time) FROM staged_flag"

# flag: the staged flags of rows that this batch has stored as they were staged. One look-up a row:
# a join of so unlike tables would be planned by guesses, as the staged ones have no statistics.
INSERT = """
WITH staged AS MATERIALIZED (
    SELECT s.*, f.rule, f.severity, f.score, f.threshold
    FROM staged_flag AS f
    JOIN {source} AS s USING (line)
), flagged AS (
    INSERT INTO flag (batch_id, kind, instrument_id, interval_minutes, event_time, row_id, rule,
                      severity, score, threshold)
    SELECT DISTINCT ON (s.instrument_id, s.{time}, {row_id}, s.rule)
           %(batch_id)s, %(kind)s, s.instrument_id, %(interval_minutes)s, s.{time}, {row_id},
           s.rule, s.severity, s.score, s.threshold
    FROM staged AS s
    CROSS JOIN LATERAL (
        SELECT
        FROM {table} AS t
        WHERE {match} {only}
          AND t.{time} >= %(first)s AND t.{time} <= %(last)s
          AND t.batch_id = %(batch_id)s AND ({stored}) IS NOT DISTINCT FROM ({staged})
        LIMIT 1
    ) AS own
    ORDER BY s.instrument_id, s.{time}, {row_id}, s.rule, s.line
    RETURNING instrument_id, event_time, row_id
)
SELECT count(DISTINCT (instrument_id, event_time, row_id)) FROM flagged
"""


def recent(
    connection: Connection,
    kind: BatchKind,
    interval_minutes: int,
    instrument_ids: Sequence[int],
    before: datetime,
) -> tuple[pl.DataFrame, dict[int, tuple[datetime, datetime]]]:
    """Give each instrument's last 65 rows before a time, and its newest 65 where those are later.

    Rows as a watch takes them, without line and asset class, in no order. Then, by instrument, what
    is stored between the two and was not read: [from, to). `interval_minutes` is 0 but for bars.
    """
    values = {"instrument_ids": list(instrument_ids), "interval_minutes": interval_minutes}
    statement = QUOTE_EXTENTS if kind is BatchKind.QUOTES else EXTENTS
    found = connection.execute(statement, values).fetchall()
    extents = {each: (first, last) for each, first, last in found}
    firsts = {each: first for each, (first, _) in extents.items()}
    ends = {each: last + timedelta(microseconds=1) for each, (_, last) in extents.items()}
    early = {each: min(before, end) for each, end in ends.items() if firsts[each] < before}
    late = {each: end for each, end in ends.items() if end > before}
    source = _SOURCES[kind]
    rows = _newest(connection, source, interval_minutes, early, firsts)
    newer = _newest(connection, source, interval_minutes, late, firsts)
    unseen = {}
    oldest = newer.group_by("instrument_id").agg(pl.col("event_time").min(), pl.len())
    for each, end, count in oldest.rows():
        start = max(before, firsts[each]) + timedelta(microseconds=1)
        if count >= DEPTH and end > start:
            unseen[each] = (start, end)
    # Where nothing lies between, the two may have rows in common.
    key = ["instrument_id", "event_time", "row_id"]
    return pl.concat([rows, newer]).unique(key), unseen


def _newest(
    connection: Connection,
    source: _Source,
    interval_minutes: int,
    ends: Mapping[int, datetime],
    firsts: Mapping[int, datetime],
) -> pl.DataFrame:
    """Give each instrument's last rows before its end; first from near it, then from further."""
    statement = NEWEST.format(
        table=source.table,
        time=source.time,
        row_id=source.row_id,
        values=", ".join(f"{column}::float8 AS {name}" for name, column in source.values.items()),
        order=", ".join(f"{each} DESC" for each in source.key[1:]),
        only=source.only,
    ).encode()
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "instrument_id": pl.Int32,
        "event_time": pl.Datetime("us", "UTC"),
        "trading_date": pl.Date,
        "row_id": pl.Int64,
        **dict.fromkeys(source.values, pl.Float64),
    }
    rows: list[tuple[object, ...]] = []
    look = source.look
    while ends:
        starts = {each: max(firsts[each], end - look) for each, end in ends.items()}
        found = connection.execute(
            statement,
            {
                "instrument_ids": list(ends),
                "starts": list(starts.values()),
                "ends": list(ends.values()),
                "start": min(starts.values()),
                "end": max(ends.values()),
                "depth": DEPTH,
                "interval_minutes": interval_minutes,
            },
        ).fetchall()
        counts = dict.fromkeys(ends, 0)
        for row in found:
            counts[row[0]] += 1
        again = {
            each: end
            for each, end in ends.items()
            if counts[each] < DEPTH and starts[each] > firsts[each]
        }
        rows.extend(row for row in found if row[0] not in again)
        ends, look = again, look * _WIDEN
    return pl.DataFrame(rows, schema=schema, orient="row")


def insert(
    connection: Connection, kind: BatchKind, source: str, *, interval_minutes: int, batch_id: int
) -> int:
    """Keep the staged flags of rows that this batch has stored; give how many rows have one.

    `source` is the table that the rows were stored from, as their own `insert` was given it. A flag
    of a row that was known, refused as a contradiction, or corrected by a later line is dropped.
    """
    count, first, last = one_row(connection, BOUNDS)
    if not count:
        return 0
    of = _SOURCES[kind]
    statement = INSERT.format(
        source=source,
        table=of.table,
        time=of.time,
        row_id=of.row_id if kind is BatchKind.BARS else f"s.{of.row_id}",
        match=" AND ".join(f"t.{each} = s.{each}" for each in of.key),
        only=of.only if kind is BatchKind.BARS else "",
        stored=", ".join(f"t.{each}" for each in of.content),
        staged=", ".join(f"s.{each}" for each in of.content),
    )
    values = {
        "batch_id": batch_id,
        "kind": kind,
        "interval_minutes": interval_minutes,
        "first": first,
        "last": last,
    }
    return int(one_row(connection, statement.encode(), values)[0])
