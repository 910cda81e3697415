"""The audit trail: who did what and when, each entry bound to the one before it by its hash.

An entry's hash is SHA-256 over these bytes, in this order (ADR 10):

    previous hash (32 bytes; of the first entry: zeros), sequence (8 bytes, big-endian),
    recorded_at (8 bytes, big-endian: microseconds since 2000-01-01 UTC), and then actor, action,
    subject and detail, each as its length (4 bytes, big-endian) and its UTF-8 bytes.

The server computes it in the statement that stores the entry; app.storage.audit_walk computes it
again, here. Entries are made under the commit lock, so they are in commit order, without gaps;
whoever forgot the lock would meet the primary key, not break the chain.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from app.storage.commit_lock import take_commit_lock
from app.storage.database import Connection, one_row

if TYPE_CHECKING:  # the batch log appends here
    from app.storage.batches import Counts

# In the detail of entries that migration 0012 made for the batches that were there before.
BEFORE_TRAIL = "before_trail"
FIRST_PREVIOUS = bytes(32)

# append: one entry after the newest, whose hash it carries. Nothing here depends on the session:
# times go in as the server's binary form, texts as UTF-8. The entry is materialised, so that its
# one reading of the clock is both stored and hashed.
APPEND = """
WITH entry AS MATERIALIZED (
    SELECT coalesce(newest.sequence, 0) + 1 AS sequence,
           clock_timestamp() AS recorded_at,
           %(actor)s::text AS actor,
           %(action)s::text AS action,
           %(subject)s::text AS subject,
           %(detail)s::text AS detail,
           coalesce(newest.hash, %(first)s::bytea) AS previous_hash
    FROM (VALUES (true)) AS one
    LEFT JOIN (SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1) AS newest ON true
), encoded AS (
    SELECT e.*,
           convert_to(actor, 'UTF8') AS actor_bytes, convert_to(action, 'UTF8') AS action_bytes,
           convert_to(subject, 'UTF8') AS subject_bytes, convert_to(detail, 'UTF8') AS detail_bytes
    FROM entry AS e
)
INSERT INTO audit (sequence, recorded_at, actor, action, subject, detail, previous_hash, hash)
SELECT sequence, recorded_at, actor, action, subject, detail, previous_hash,
       sha256(previous_hash || int8send(sequence) || timestamptz_send(recorded_at)
              || int4send(octet_length(actor_bytes)) || actor_bytes
              || int4send(octet_length(action_bytes)) || action_bytes
              || int4send(octet_length(subject_bytes)) || subject_bytes
              || int4send(octet_length(detail_bytes)) || detail_bytes)
FROM encoded
RETURNING sequence, hash
"""


class Action(StrEnum):
    """What was done. A batch has one entry, under the action that says most of it."""

    BATCH = "BATCH"  # rows were stored
    CORRECTION = "CORRECTION"  # a batch that may change stored rows
    CANCELLATION = "CANCELLATION"  # a batch that takes stored rows back
    RELEASE = "RELEASE"  # a batch of records that were in quarantine
    INSTRUMENTS = "INSTRUMENTS"  # a batch of instruments
    DISCARD = "DISCARD"  # quarantined records that will not be stored
    CONFIGURATION = "CONFIGURATION"  # settings other than before


BATCH_ACTIONS = frozenset(
    {
        Action.BATCH,
        Action.CORRECTION,
        Action.CANCELLATION,
        Action.RELEASE,
        Action.INSTRUMENTS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A place in the chain. As text, `sequence:hexhash`, it can be kept elsewhere as the head."""

    sequence: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash.hex()}"


def append(
    connection: Connection,
    *,
    actor: str,
    action: Action,
    subject: str,
    detail: Mapping[str, object],
) -> Entry:
    """Append an entry; the caller's transaction must hold the commit lock.

    `detail` is kept as canonical JSON: texts, whole numbers, booleans, None, and lists and mappings
    of these; times go in as `instant` writes them.

    Raises:
        TypeError, ValueError: the detail is not JSON.
        psycopg.errors.UniqueViolation: the lock was not held and another writer was first.
    """
    values = {
        "actor": actor,
        "action": action.value,
        "subject": subject,
        "detail": canonical(detail),
        "first": FIRST_PREVIOUS,
    }
    sequence, digest = one_row(connection, APPEND, values)
    return Entry(sequence=sequence, hash=bytes(digest))


def append_alone(
    connection: Connection,
    *,
    actor: str,
    action: Action,
    subject: str,
    detail: Mapping[str, object],
) -> Entry:
    """Append an entry that belongs to no batch: takes the commit lock first.

    Call it last in its transaction, since every other writer waits from here to the commit; outside
    of a transaction it makes its own.

    Raises:
        TypeError, ValueError: the detail is not JSON.
    """
    with connection.transaction():
        take_commit_lock(connection)
        return append(connection, actor=actor, action=action, subject=subject, detail=detail)


def append_batch(
    connection: Connection,
    *,
    batch_id: int,
    kind: str,
    source: str,
    checksum: str | None,
    counts: "Counts",
    received_at: datetime,
    committed_at: datetime,
    actor: str,
    idempotency_key: str | None,
    flagged: int,
    action: Action,
    extra: Mapping[str, object] | None = None,
) -> Entry:
    """Append a batch's one entry, in its transaction, which holds the commit lock.

    Everything is what the batch's row says, `committed_at` as the insert returned it; `extra` is
    what else is worth telling (a note, overridden reasons, the batch that is corrected).

    Raises:
        ValueError: the action is not a batch's, or `extra` has a name of the batch's own.
    """
    if action not in BATCH_ACTIONS:
        raise ValueError(f"{action} is not what a batch does")
    detail: dict[str, object] = {
        "batch_id": batch_id,
        "kind": str(kind),
        "source": source,
        "checksum": checksum,
        "received": counts.received,
        "stored": counts.stored,
        "duplicate": counts.duplicate,
        "rejected": counts.rejected,
        "received_at": instant(received_at),
        "committed_at": instant(committed_at),
        "idempotency_key": idempotency_key,
        "flagged": flagged,
    }
    more = dict(extra or {})
    if taken := more.keys() & {*detail, BEFORE_TRAIL}:
        raise ValueError(f"the detail of a batch says {', '.join(sorted(taken))} itself")
    return append(
        connection, actor=actor, action=action, subject=f"batch {batch_id}", detail=detail | more
    )


def canonical(detail: Mapping[str, object]) -> str:
    """Give the one JSON text of a detail: sorted names, no spaces, ASCII.

    Raises:
        TypeError, ValueError: it holds what JSON cannot say.
    """
    return json.dumps(detail, sort_keys=True, separators=(",", ":"), allow_nan=False)


def instant(moment: datetime) -> str:
    """Write an aware time to the microsecond, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
