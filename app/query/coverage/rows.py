"""What the commit log and the rows tell of their own making: late, corrected, cancelled, flagged.

Rows are counted only where the log says that a batch may have brought such: a batch whose range
begins before what was there already, and changes of single trades. On data that came in order no
row is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.market.instrument import CandleSource
from app.query.market import Subject
from app.storage.corrections import SOURCE
from app.storage.reader import Reader

# Of the instruments of a venue so many are looked at, those whose data span most of the range.
MAX_PEERS = 20

# peers: instruments of some venues whose rows may lie within [$2, $3), the longest spans first.
PEERS = """
SELECT p.instrument_id, p.symbol, v.mic
FROM unnest($1::text[]) AS v (mic)
CROSS JOIN LATERAL (
    SELECT i.instrument_id, i.symbol
    FROM instrument AS i
    JOIN latest AS l USING (instrument_id)
    WHERE i.exchange = v.mic AND l.first_time < $3 AND l.last_time >= $2
    GROUP BY i.instrument_id, i.symbol
    ORDER BY max(least(l.last_time, $3) - greatest(l.first_time, $2)) DESC, i.instrument_id
    LIMIT $4
) AS p
ORDER BY v.mic, p.instrument_id
"""

# row_quality: of each instrument's rows within [$4, $5): late, changed, flagged ones.
_QUALITY = """
SELECT s.part, q.late, q.corrected, q.cancelled, f.flagged
FROM unnest($1::integer[], $2::integer[]) WITH ORDINALITY
     AS s (instrument_id, interval_minutes, part)
CROSS JOIN LATERAL (
    SELECT count(DISTINCT (event_time, row_id)) AS flagged
    FROM flag
    WHERE instrument_id = s.instrument_id AND kind = $3
      AND interval_minutes = s.interval_minutes
      AND event_time >= $4 AND event_time < $5
) AS f
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE NOT b.changes AND t.event_time + $6 < b.watermark) AS late,
           count(*) FILTER (WHERE b.changes AND NOT t.cancelled) AS corrected,
           count(*) FILTER (WHERE t.cancelled) AS cancelled
    FROM (
        SELECT r.batch_id, r.first_time, r.last_time, r.watermark, l.source = $7 AS changes
        FROM (
            SELECT batch_id, first_time, last_time,
                   max(last_time) OVER (
                       ORDER BY batch_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                   ) AS watermark
            FROM batch_range
            WHERE instrument_id = s.instrument_id AND kind = $3 AND last_time >= $4
        ) AS r
        JOIN batch AS l USING (batch_id)
        WHERE r.first_time < $5
          AND (r.first_time + $6 < r.watermark OR l.source = $7)
    ) AS b
    CROSS JOIN LATERAL ({rows}) AS t
) AS q
ORDER BY s.part
"""
TRADE_QUALITY = _QUALITY.format(
    rows="""
        SELECT event_time, cancelled
        FROM trade
        WHERE instrument_id = s.instrument_id AND batch_id = b.batch_id
          AND event_time >= b.first_time AND event_time <= b.last_time
          AND event_time >= $4 AND event_time < $5"""
)
BAR_QUALITY = _QUALITY.format(
    rows="""
        SELECT bar_start AS event_time, false AS cancelled
        FROM bar
        WHERE instrument_id = s.instrument_id AND batch_id = b.batch_id
          AND interval_minutes = s.interval_minutes
          AND bar_start >= b.first_time AND bar_start <= b.last_time
          AND bar_start >= $4 AND bar_start < $5"""
)
_STATEMENTS = {CandleSource.TRADES: TRADE_QUALITY, CandleSource.BARS: BAR_QUALITY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Whose rows: of trades, or of bars of a native interval."""

    instrument_id: int
    source: CandleSource
    bar_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowQuality:
    """How many rows of a range came late, were corrected, are cancelled, are flagged."""

    late: int
    corrected: int
    cancelled: int
    flagged: int


async def read_peers(
    reader: Reader, mics: Sequence[str], start: datetime, end: datetime
) -> list[Subject]:
    """Give instruments of the venues that may have data within [start, end), twenty of each."""
    rows = await reader.fetch(PEERS, list(mics), start, end, MAX_PEERS)
    return [
        Subject(instrument_id=row["instrument_id"], symbol=row["symbol"], exchange=row["mic"])
        for row in rows
    ]


async def read_quality(
    reader: Reader,
    asked: Sequence[Rows],
    start: datetime,
    end: datetime,
    lateness: timedelta,
) -> dict[Rows, RowQuality]:
    """Count rows within [start, end); one statement for trades, one for bars."""
    found: dict[Rows, RowQuality] = {}
    for source, statement in _STATEMENTS.items():
        own = [each for each in asked if each.source is source]
        if not own:
            continue
        rows = await reader.fetch(
            statement,
            [each.instrument_id for each in own],
            [each.bar_minutes for each in own],
            source.value,
            start,
            end,
            lateness,
            SOURCE,
        )
        for each, row in zip(own, rows, strict=True):
            found[each] = RowQuality(
                late=row["late"],
                corrected=row["corrected"],
                cancelled=row["cancelled"],
                flagged=row["flagged"],
            )
    return found
