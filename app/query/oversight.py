"""What people look after: refused records, odd ones, the audit trail; newest first, in pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.storage.reader import Reader, Row

# refused: records that were refused, by any of their properties.
REFUSED = """
SELECT q.quarantine_id, q.batch_id, b.kind, b.source, b.received_at, q.position, q.reasons,
       q.record, q.state, q.decided_at, q.decided_by, q.note, q.overrides, q.released_batch_id
FROM quarantine AS q
JOIN batch AS b USING (batch_id)
WHERE ($1::bigint IS NULL OR q.quarantine_id < $1)
  AND ($2::text IS NULL OR q.state = $2)
  AND ($3::text IS NULL OR $3 = ANY (q.reasons))
  AND ($4::text IS NULL OR b.kind = $4)
  AND ($5::text IS NULL OR b.source = $5)
  AND ($6::bigint IS NULL OR q.batch_id = $6)
ORDER BY q.quarantine_id DESC
LIMIT $7
"""

# audit: entries by who, what and when.
AUDIT = """
SELECT sequence, recorded_at, actor, action, subject, detail, encode(hash, 'hex') AS hash
FROM audit
WHERE ($1::bigint IS NULL OR sequence < $1)
  AND ($2::text IS NULL OR actor = $2)
  AND ($3::text IS NULL OR action = $3)
  AND ($4::timestamptz IS NULL OR recorded_at >= $4)
  AND ($5::timestamptz IS NULL OR recorded_at < $5)
ORDER BY sequence DESC
LIMIT $6
"""

# flags: rows that looked odd, by instrument, rule and time.
FLAGS = """
SELECT f.flag_id, f.batch_id, f.kind, i.symbol, f.interval_minutes, f.event_time, f.row_id, f.rule,
       f.severity, f.score, f.threshold
FROM flag AS f
JOIN instrument AS i USING (instrument_id)
WHERE ($1::bigint IS NULL OR f.flag_id < $1)
  AND ($2::integer IS NULL OR f.instrument_id = $2)
  AND ($3::text IS NULL OR f.rule = $3)
  AND ($4::timestamptz IS NULL OR f.event_time >= $4)
  AND ($5::timestamptz IS NULL OR f.event_time < $5)
ORDER BY f.flag_id DESC
LIMIT $6
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedFilter:
    """Which refused records; None: any."""

    state: str | None = None
    reason: str | None = None
    kind: str | None = None
    source: str | None = None
    batch_id: int | None = None


async def read_refused(
    reader: Reader, wanted: RefusedFilter, *, before: int | None, limit: int
) -> Sequence[Row]:
    """Give up to `limit` refused records, newest first, older than the one with an id."""
    return await reader.fetch(
        REFUSED,
        before,
        wanted.state,
        wanted.reason,
        wanted.kind,
        wanted.source,
        wanted.batch_id,
        limit,
    )


async def read_audit(
    reader: Reader,
    *,
    actor: str | None,
    action: str | None,
    start: datetime | None,
    end: datetime | None,
    before: int | None,
    limit: int,
) -> Sequence[Row]:
    """Give up to `limit` entries of the audit trail, newest first, older than a sequence."""
    return await reader.fetch(AUDIT, before, actor, action, start, end, limit)


async def read_flags(
    reader: Reader,
    *,
    instrument_id: int | None,
    rule: str | None,
    start: datetime | None,
    end: datetime | None,
    before: int | None,
    limit: int,
) -> Sequence[Row]:
    """Give up to `limit` flags, those made last first, older than the one with an id."""
    return await reader.fetch(FLAGS, before, instrument_id, rule, start, end, limit)
