"""The commit log. A batch id is taken under a lock that only the commit gives back.

So ids are ordered as commits are: whoever has seen batch n has seen every batch below it, and a
candle's revision, the largest id under it, can only grow. The lock is taken after the rows are
staged, so that writers wait for each other's insert but not for each other's parsing and copying.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import psycopg

from app.errors import TickgraphError
from app.storage.audit import Action, append_batch
from app.storage.commit_lock import take_commit_lock
from app.storage.database import Connection, one_row

CHANNEL = "tickgraph_batch"


class PositionsTaken(TickgraphError):
    """Another batch holds some of these records already."""

    code = "POSITIONS_TAKEN"


class BatchKind(StrEnum):
    """What a batch wrote."""

    INSTRUMENTS = "INSTRUMENTS"
    TRADES = "TRADES"
    BARS = "BARS"
    QUOTES = "QUOTES"
    ACTIONS = "ACTIONS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the records of a batch; `received` is always the sum."""

    stored: int
    duplicate: int
    rejected: int

    @property
    def received(self) -> int:
        """How many records came in."""
        return self.stored + self.duplicate + self.rejected

    def as_json(self) -> dict[str, int]:
        """Give the counts by name: received is the sum of the others."""
        return {
            "received": self.received,
            "stored": self.stored,
            "duplicate": self.duplicate,
            "rejected": self.rejected,
        }


# next_batch: under the commit lock, so that no other writer gets an id before the commit.
NEXT = "SELECT coalesce(max(batch_id), 0) + 1 FROM batch"

# What is remembered of unannounced instruments may be used for VALID_S after a look at the log; a
# writer holds its announcement for longer than that before it commits.
VALID_S = 0.020
PAUSE_S = 0.025
ANNOUNCED_ALL = 0
_ANNOUNCE_CLASS = 0x7469636B  # "tick"
_MAX_ANNOUNCED = 64  # a lock each; the server's lock table is shared

# announce: locks are seen by everybody at once, and end with the transaction.
ANNOUNCE = "SELECT pg_advisory_xact_lock_shared(%s, key) FROM unnest(%s::integer[]) AS key"

# record: the row of the log.
RECORD = """
INSERT INTO batch (batch_id, kind, source, checksum, received, stored, duplicate, rejected,
                   received_at, actor, idempotency_key, flagged)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
RETURNING committed_at
"""

# under_key: the batch that a source once delivered under a key.
UNDER_KEY = """
SELECT batch_id, checksum, stored, duplicate, rejected, flagged
FROM batch
WHERE source = %s AND idempotency_key = %s
"""

# positions: of a stream's records, those that some batch holds; and that this batch now holds them.
KNOWN_POSITIONS = """
SELECT position FROM stream_position
WHERE source = %s AND position = ANY (string_to_array(%s, ' '))
"""
TAKE_POSITIONS = """
INSERT INTO stream_position (source, position, batch_id)
SELECT %s, position, %s FROM unnest(string_to_array(%s, ' ')) AS position
"""

# notify: tells every listener that the batch is committed, when it is.
NOTIFY = "SELECT pg_notify(%s, %s)"


def next_batch_id(connection: Connection, touching: Sequence[int] | None) -> int:
    """Announce what will change, take the commit lock, give the id of this transaction's batch.

    `touching` are the instruments that the batch may touch; None: instruments themselves change.
    Processes that remember answers stop using those meanwhile (app.query.ledger).
    """
    keys = [ANNOUNCED_ALL] if touching is None or len(touching) > _MAX_ANNOUNCED else list(touching)
    if keys:
        connection.execute(ANNOUNCE, (_ANNOUNCE_CLASS, keys))
        time.sleep(PAUSE_S)
    take_commit_lock(connection)
    return int(one_row(connection, NEXT)[0])


def record_batch(
    connection: Connection,
    *,
    batch_id: int,
    kind: BatchKind,
    source: str,
    checksum: str | None,
    counts: Counts,
    received_at: datetime,
    actor: str,
    idempotency_key: str | None = None,
    flagged: int = 0,
    action: Action = Action.BATCH,
    extra: Mapping[str, object] | None = None,
) -> None:
    """Log and audit the batch and queue its notification: with the commit or not at all.

    `action` and `extra` are for the audit trail (app.storage.audit.append_batch).
    """
    (committed_at,) = one_row(
        connection,
        RECORD,
        (
            batch_id,
            kind,
            source,
            checksum,
            counts.received,
            counts.stored,
            counts.duplicate,
            counts.rejected,
            received_at,
            actor,
            idempotency_key,
            flagged,
        ),
    )
    append_batch(
        connection,
        batch_id=batch_id,
        kind=kind,
        source=source,
        checksum=checksum,
        counts=counts,
        received_at=received_at,
        committed_at=committed_at,
        actor=actor,
        idempotency_key=idempotency_key,
        flagged=flagged,
        action=action,
        extra=extra,
    )
    connection.execute(NOTIFY, (CHANNEL, str(batch_id)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What the log says of a batch."""

    batch_id: int
    checksum: str | None
    counts: Counts
    flagged: int


def batch_under_key(connection: Connection, source: str, key: str) -> Logged | None:
    """Give the batch that a source delivered under an idempotency key; None: there is none."""
    row = connection.execute(UNDER_KEY, (source, key)).fetchone()
    if row is None:
        return None
    batch_id, checksum, stored, duplicate, rejected, flagged = row
    counts = Counts(stored=stored, duplicate=duplicate, rejected=rejected)
    return Logged(batch_id=batch_id, checksum=checksum, counts=counts, flagged=flagged)


def known_positions(connection: Connection, source: str, positions: Sequence[str]) -> set[str]:
    """Give those of a stream's positions, which have no spaces, whose records some batch holds."""
    # As one text: an array would cost more than all the rest that is done with a position.
    rows = connection.execute(KNOWN_POSITIONS, (source, " ".join(positions))).fetchall()
    return {position for (position,) in rows}


def take_positions(
    connection: Connection, *, batch_id: int, source: str, positions: Sequence[str]
) -> None:
    """Note that a batch holds the records of these positions.

    Raises:
        PositionsTaken: another batch holds one of them.
    """
    try:
        connection.execute(TAKE_POSITIONS, (source, batch_id, " ".join(positions)))
    except psycopg.errors.UniqueViolation as error:
        raise PositionsTaken from error
