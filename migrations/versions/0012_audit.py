"""Who did what, when: append-only, each entry bound to the one before it by its hash.

Batches that are there already get an entry each, in their order, marked `before_trail`: from here
on they are bound as all others are; nothing is claimed of what happened to their rows before.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from alembic import op
from sqlalchemy import Connection

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_COMMIT_LOCK = 0x7469636B67726166
_PAGE = 5_000

# earlier: a page of the batches that were there before, with times as the session cannot change
# them.
EARLIER = """
SELECT batch_id, kind, source, checksum, received, stored, duplicate, rejected,
       to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
       to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
       idempotency_key, flagged, actor
FROM batch
WHERE batch_id > %s
ORDER BY batch_id
LIMIT %s
"""
COLUMNS = (
    "batch_id",
    "kind",
    "source",
    "checksum",
    "received",
    "stored",
    "duplicate",
    "rejected",
    "received_at",
    "committed_at",
    "idempotency_key",
    "flagged",
)

# now: the one time of all entries that are made here, as it is stored and as it is hashed.
NOW = "SELECT now(), timestamptz_send(now())"
KEEP = "INSERT INTO audit VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"


def upgrade() -> None:
    op.execute(f"SELECT pg_advisory_xact_lock({_COMMIT_LOCK})")
    op.execute(
        """
        CREATE TABLE audit (
            sequence bigint PRIMARY KEY CHECK (sequence > 0),
            recorded_at timestamptz NOT NULL,
            actor text NOT NULL,
            action text NOT NULL,
            subject text NOT NULL,
            detail text NOT NULL,
            previous_hash bytea NOT NULL CHECK (octet_length(previous_hash) = 32),
            hash bytea NOT NULL CHECK (octet_length(hash) = 32)
        )
        """
    )
    op.execute(
        "COMMENT ON COLUMN audit.detail IS 'canonical JSON; text, so that it is hashed as is'"
    )
    op.execute(
        "CREATE INDEX audit_configuration ON audit (subject, sequence)"
        " WHERE action = 'CONFIGURATION'"
    )
    _enter_earlier(op.get_bind())
    op.execute(
        """
        CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit table is append-only' USING ERRCODE = '42501';
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
    )
    # Also where a session says that it is a replica's.
    op.execute("ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_append_only")


def downgrade() -> None:
    op.execute("DROP TABLE audit")
    op.execute("DROP FUNCTION refuse_audit_change")


def _enter_earlier(connection: Connection) -> None:
    """Make the entries of earlier batches, hashed as app.storage.audit says."""
    recorded_at, time_bytes = connection.exec_driver_sql(NOW).one()
    previous = bytes(32)
    sequence = 0
    for page in _earlier(connection):
        entries = []
        for *values, actor in page:
            sequence += 1
            told = dict(zip(COLUMNS, values, strict=True)) | {"before_trail": True}
            detail = json.dumps(told, sort_keys=True, separators=(",", ":"))
            action = "INSTRUMENTS" if told["kind"] == "INSTRUMENTS" else "BATCH"
            texts = (actor, action, f"batch {told['batch_id']}", detail)
            digest = hashlib.sha256(previous + sequence.to_bytes(8, "big") + bytes(time_bytes))
            for text in texts:
                encoded = text.encode()
                digest.update(len(encoded).to_bytes(4, "big") + encoded)
            entries.append((sequence, recorded_at, *texts, previous, digest.digest()))
            previous = digest.digest()
        connection.exec_driver_sql(KEEP, entries)


def _earlier(connection: Connection) -> Iterator[list[Any]]:
    newest = 0
    while page := connection.exec_driver_sql(EARLIER, (newest, _PAGE)).all():
        yield list(page)
        newest = page[-1][0]
