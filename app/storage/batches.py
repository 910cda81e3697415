"""The commit log. A batch id is taken under a lock that only the commit gives back.

So ids are ordered as commits are: whoever has seen batch n has seen every batch below it, and a
candle's revision, the largest id under it, can only grow. The lock is taken after the rows are
staged, so that writers wait for each other's insert but not for each other's parsing and copying.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.storage.database import Connection, one_row

CHANNEL = "tickgraph_batch"
_LOCK_KEY = 0x7469636B67726166  # "tickgraf", so that no other program's lock collides


class BatchKind(StrEnum):
    """What a batch wrote."""

    INSTRUMENTS = "INSTRUMENTS"
    TRADES = "TRADES"
    BARS = "BARS"


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


# next_batch: after this, no other writer gets an id until this transaction ends.
LOCK = "SELECT pg_advisory_xact_lock(%s)"
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
                   received_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

# notify: tells every listener that the batch is committed, when it is.
NOTIFY = "SELECT pg_notify(%s, %s)"


def next_batch_id(connection: Connection, touching: Sequence[int] | None) -> int:
    """Announce what will change, take the commit lock, give the id of this transaction's batch.

    `touching` are the instruments that the batch may touch; None: instruments themselves change.
    Processes that remember answers stop using those meanwhile (app.query.ledger).
    """
    keys = [ANNOUNCED_ALL] if touching is None or len(touching) > _MAX_ANNOUNCED else list(touching)
    connection.execute(ANNOUNCE, (_ANNOUNCE_CLASS, keys))
    time.sleep(PAUSE_S)
    connection.execute(LOCK, (_LOCK_KEY,))
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
) -> None:
    """Log the batch and queue its notification; both happen with the commit or not at all."""
    connection.execute(
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
        ),
    )
    connection.execute(NOTIFY, (CHANNEL, str(batch_id)))
