"""Refused records: kept verbatim with their reasons until somebody releases or discards them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from app.storage.database import Connection
from app.storage.staging import Staging

STAGING = Staging(
    table="staged_reject",
    columns=(
        ("position", "bigint"),
        ("reasons", "text[]"),
        ("record", "bytea"),
        ("fields", "json"),
    ),
)

# quarantine: the staged rejects of one batch.
KEEP = """
INSERT INTO quarantine (batch_id, position, reasons, record, fields, options)
SELECT %(batch_id)s, position, reasons, record, fields, %(options)s::json
FROM staged_reject
ORDER BY position
"""

# pending: what somebody is about to decide on; nobody else decides on it meanwhile.
PENDING = """
SELECT quarantine_id, reasons, fields::text, options::text
FROM quarantine
WHERE quarantine_id = ANY (%s) AND state = 'PENDING'
ORDER BY quarantine_id
FOR UPDATE
"""

RELEASE = """
UPDATE quarantine
SET state = 'RELEASED', decided_at = clock_timestamp(), decided_by = %(actor)s, note = %(note)s,
    overrides = %(overrides)s, released_batch_id = %(batch_id)s
WHERE quarantine_id = ANY (%(ids)s)
"""

DISCARD = """
UPDATE quarantine
SET state = 'DISCARDED', decided_at = clock_timestamp(), decided_by = %(actor)s, note = %(note)s
WHERE quarantine_id = ANY (%(ids)s) AND state = 'PENDING'
RETURNING quarantine_id
"""


class State(StrEnum):
    """What has become of a refused record."""

    PENDING = "PENDING"
    RELEASED = "RELEASED"
    DISCARDED = "DISCARDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A record in quarantine: its texts by field (None: it could not be read), how to read them."""

    quarantine_id: int
    reasons: list[str]
    fields: dict[str, str | None] | None
    options: dict[str, Any]


def keep(connection: Connection, *, batch_id: int, options: Mapping[str, object]) -> None:
    """Quarantine the staged rejects; `options` tell how the source was read."""
    connection.execute(KEEP, {"batch_id": batch_id, "options": orjson.dumps(options).decode()})


def pending(connection: Connection, ids: Sequence[int]) -> list[Refused]:
    """Give those of the records that nobody has decided on, and hold them for this transaction."""
    return [
        Refused(
            quarantine_id=quarantine_id,
            reasons=reasons,
            fields=None if fields is None else orjson.loads(fields),
            options=orjson.loads(options),
        )
        for quarantine_id, reasons, fields, options in connection.execute(PENDING, (list(ids),))
    ]


def release(
    connection: Connection,
    ids: Sequence[int],
    *,
    batch_id: int,
    actor: str,
    overrides: Sequence[str],
    note: str | None,
) -> None:
    """Say that a batch holds the records now, and which rules were waived for them."""
    values = {
        "ids": list(ids),
        "batch_id": batch_id,
        "actor": actor,
        "overrides": list(overrides),
        "note": note,
    }
    connection.execute(RELEASE, values)


def discard(
    connection: Connection, ids: Sequence[int], *, actor: str, note: str | None
) -> list[int]:
    """Say that the records will not be stored; gives those that nobody had decided on before."""
    rows = connection.execute(DISCARD, {"ids": list(ids), "actor": actor, "note": note})
    return sorted(quarantine_id for (quarantine_id,) in rows)
