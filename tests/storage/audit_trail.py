"""Make audit trails in tests, as batches and other writes do, and hold both logs together."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg.types.json import Json

from app.storage.audit import Action, Entry, append_alone, append_batch
from app.storage.audit_batches import Difference, LogComparison
from app.storage.audit_walk import Chain, bounds, walk
from app.storage.batches import Counts
from app.storage.commit_lock import take_commit_lock
from app.storage.database import Connection

NOON = datetime(2024, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was found in both logs."""

    chain: Chain
    differences: list[Difference]
    before_trail: int

    @property
    def whole(self) -> bool:
        return self.chain.broken is None and not self.differences


def look(connection: Connection, head: Entry | None = None, page: int = 16) -> Looked:
    upto = bounds(connection)
    log = LogComparison(connection, upto=upto.batch_id, page=page)
    chain = walk(connection, upto=upto.sequence, head=head, on_entry=log.take, page=page)
    log.finish()
    assert log.count == len(log.differences)
    return Looked(chain=chain, differences=log.differences, before_trail=log.before_trail)


def add_batch(
    connection: Connection,
    *,
    source: str = "file:t.csv",
    counts: Counts | None = None,
    action: Action = Action.BATCH,
    key: str | None = None,
    received_at: datetime = NOON,
    actor: str = "tester",
    extra: Mapping[str, object] | None = None,
    entered: bool = True,
) -> int:
    """Log a batch with its rejects and its entry in one transaction; give its id."""
    made = counts or Counts(stored=3, duplicate=1, rejected=2)
    kind = "INSTRUMENTS" if action is Action.INSTRUMENTS else "TRADES"
    with connection.transaction():
        take_commit_lock(connection)
        # In binary, since psycopg reads times as text in one DateStyle alone.
        logged = connection.cursor(binary=True).execute(
            """
            INSERT INTO batch (batch_id, kind, source, checksum, received, stored, duplicate,
                               rejected, received_at, actor, idempotency_key, flagged)
            SELECT coalesce(max(batch_id), 0) + 1, %s, %s, 'aa', %s, %s, %s, %s, %s, %s, %s, 1
            FROM batch
            RETURNING batch_id, committed_at
            """,
            (
                kind,
                source,
                made.received,
                made.stored,
                made.duplicate,
                made.rejected,
                received_at,
                actor,
                key,
            ),
        )
        batch_id, committed_at = logged.fetchone() or (0, NOON)
        connection.execute(
            """
            INSERT INTO quarantine (batch_id, position, reasons, record, options)
            SELECT %s, n, '{BAD_PRICE}', 'record', %s FROM generate_series(1, %s) AS n
            """,
            (batch_id, Json({}), made.rejected),
        )
        if entered:
            append_batch(
                connection,
                batch_id=batch_id,
                kind=kind,
                source=source,
                checksum="aa",
                counts=made,
                received_at=received_at,
                committed_at=committed_at,
                actor=actor,
                idempotency_key=key,
                flagged=1,
                action=action,
                extra=extra,
            )
    return int(batch_id)


def add_discard(connection: Connection, number: int) -> Entry:
    return append_alone(
        connection,
        actor="Zoë \N{SNOWMAN}",
        action=Action.DISCARD,
        subject=f"quarantine {number}",
        detail={"note": "not \N{EURO SIGN} our \U0001f4c8", "records": [number, number + 1]},
    )


def unlock(connection: Connection) -> None:
    """Do what the table's owner can: let the entries be changed."""
    connection.execute("ALTER TABLE audit DISABLE TRIGGER audit_append_only")
