"""Compare the batch log with the audit trail: each batch has one entry that says what its row says.

Batch ids are drawn, and entries appended, under one lock; so both logs name the batches in the same
order, and one pass over both is enough.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

import orjson
from psycopg.rows import TupleRow

from app.storage.audit import BATCH_ACTIONS, BEFORE_TRAIL
from app.storage.audit_walk import PAGE, Row
from app.storage.database import Connection

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# What an entry says of its batch, in the order of the log's columns below; the actor is its own.
_TOLD = (
    "batch_id",
    "kind",
    "source",
    "checksum",
    "received",
    "stored",
    "duplicate",
    "rejected",
    "idempotency_key",
    "flagged",
    "received_at",
    "committed_at",
    "actor",
)
_IN_ORDER = itemgetter(*_TOLD[:-1])
_REJECTED = _TOLD.index("rejected")

# log: a page of batches and how many records of each are in quarantine.
LOG = """
SELECT batch_id, kind, source, checksum, received, stored, duplicate, rejected, idempotency_key,
       flagged, timestamptz_send(received_at), timestamptz_send(committed_at), actor,
       (SELECT count(*) FROM quarantine AS q WHERE q.batch_id = b.batch_id)
FROM batch AS b
WHERE batch_id BETWEEN %s AND %s
ORDER BY batch_id
FETCH FIRST %s ROWS WITH TIES
"""

# counts: what became of each source's records; only batches after the given one kept the refused
# ones in quarantine.
COUNTS = """
SELECT source, count(*), sum(received)::bigint, sum(stored)::bigint, sum(duplicate)::bigint,
       sum(rejected)::bigint,
       coalesce(sum(rejected) FILTER (WHERE batch_id > %(since)s), 0)::bigint,
       coalesce(sum(quarantined), 0)::bigint
FROM batch
LEFT JOIN (
    SELECT batch_id, count(*) AS quarantined FROM quarantine GROUP BY batch_id
) AS q USING (batch_id)
WHERE batch_id <= %(upto)s
GROUP BY source
ORDER BY source
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What the log and the trail do not agree on; no batch id: an entry that names no batch."""

    batch_id: int | None
    found: str

    def __str__(self) -> str:
        return self.found if self.batch_id is None else f"batch {self.batch_id}: {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCounts:
    """What became of the records of a source.

    `kept` of the rejected ones should be in quarantine; batches from before it have none there.
    """

    source: str
    batches: int
    received: int
    stored: int
    duplicate: int
    rejected: int
    kept: int
    quarantined: int

    @property
    def agrees(self) -> bool:
        """Whether every record that came in is accounted for."""
        sums = self.stored + self.duplicate + self.rejected
        return self.received == sums and self.kept == self.quarantined


def source_counts(connection: Connection, *, upto: int, since: int) -> list[SourceCounts]:
    """Count the records of batches up to `upto`, per source, in the order of their names."""
    rows = connection.execute(COUNTS, {"upto": upto, "since": since}).fetchall()
    names = SourceCounts.__slots__
    return [SourceCounts(**dict(zip(names, row, strict=True))) for row in rows]


class LogComparison:
    """Takes the trail's entries in their order and holds the batch log against them."""

    def __init__(
        self, connection: Connection, *, upto: int, limit: int = 100, page: int = PAGE
    ) -> None:
        """Compare batches up to `upto`; of the differences the first `limit` are kept."""
        self._log = _log(connection, upto, page)
        self._next = next(self._log, None)
        self._limit = limit
        self._newest = 0
        self.differences: list[Difference] = []
        self.count = 0
        self.batches = 0
        self.before_trail = 0

    def take(self, entry: Row) -> None:
        """Take the next entry; what is no batch's is passed over."""
        if entry.action not in BATCH_ACTIONS:
            return
        told = _told(entry)
        batch_id = told.get("batch_id")
        if not isinstance(batch_id, int):
            self._differ(None, f"entry {entry.sequence} does not say which batch it is of")
        elif batch_id <= self._newest:
            self._differ(batch_id, f"entry {entry.sequence} is another one of it, or out of order")
        else:
            self._newest = batch_id
            self._hold(entry, batch_id, told)

    def finish(self) -> None:
        """Tell of the batches that no entry was there for."""
        self._skip_to(None)

    def _hold(self, entry: Row, batch_id: int, told: dict[str, Any]) -> None:
        self._skip_to(batch_id)
        row = self._next
        if row is None or row[0] != batch_id:
            self._differ(batch_id, f"the batch log lacks it, entry {entry.sequence} tells of it")
            return
        self._advance()
        if _said(entry, told) != row[:-1]:
            pairs = zip(_TOLD, _said(entry, dict.fromkeys(_TOLD, _TOLD) | told), row, strict=False)
            names = ", ".join(name for name, said, logged in pairs if said != logged)
            self._differ(batch_id, f"{names}: not what entry {entry.sequence} says")
        rejected, quarantined = row[_REJECTED], row[-1]
        if told.get(BEFORE_TRAIL) is True:
            self.before_trail = batch_id
        elif quarantined != rejected:
            self._differ(
                batch_id, f"{rejected} records were rejected, {quarantined} are in quarantine"
            )

    def _skip_to(self, batch_id: int | None) -> None:
        """Tell of the batches below this one, all of them where there is none: without an entry."""
        while self._next is not None and (batch_id is None or self._next[0] < batch_id):
            self._differ(self._next[0], "it has no entry in the audit trail")
            self._advance()

    def _advance(self) -> None:
        self.batches += 1
        self._next = next(self._log, None)

    def _differ(self, batch_id: int | None, found: str) -> None:
        self.count += 1
        if len(self.differences) < self._limit:
            self.differences.append(Difference(batch_id=batch_id, found=found))


def _told(entry: Row) -> dict[str, Any]:
    """Read what an entry says of its batch; nothing where that is not to be read."""
    try:
        told = orjson.loads(entry.detail)
    except ValueError:  # also where there is half of a surrogate pair, which JSON can escape
        try:
            told = json.loads(entry.detail)
        except (TypeError, ValueError, RecursionError):
            return {}
    return told if isinstance(told, dict) else {}


def _said(entry: Row, told: dict[str, Any]) -> tuple[Any, ...]:
    """Give what an entry says in the order of `_TOLD`; nothing where it does not say all."""
    try:
        *said, received_at, committed_at = _IN_ORDER(told)
    except KeyError:
        return ()
    return (*said, _sent(received_at), _sent(committed_at), entry.actor)


def _sent(told: object) -> bytes:
    """Give a time as the server sends it; nothing where it is none."""
    try:
        moment = datetime.fromisoformat(str(told))
        return ((moment - _EPOCH) // _MICROSECOND).to_bytes(8, "big", signed=True)
    except (TypeError, ValueError):
        return b""


def _log(connection: Connection, upto: int, page: int) -> Iterator[TupleRow]:
    start = -(1 << 63)
    with connection.cursor(binary=True) as cursor:
        while start <= upto:
            rows = cursor.execute(LOG, (start, upto, page)).fetchall()
            if not rows:
                return
            yield from rows
            start = rows[-1][0] + 1
