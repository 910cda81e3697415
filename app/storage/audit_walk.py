"""Walk the audit trail from its first entry and name the first broken link.

Each entry is read as it is stored, in pages, and its hash is computed here: the server is asked for
bytes, never for a judgement. Up to where to walk is fixed at the start, so that writers may go on.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from psycopg.rows import args_row

from app.errors import BadInput
from app.storage.audit import FIRST_PREVIOUS, Entry
from app.storage.database import Connection, one_row

PAGE = 5_000
_LOWEST = -(1 << 63)

# bounds: up to where both logs go, at one moment.
BOUNDS = """
SELECT (SELECT max(sequence) FROM audit), (SELECT max(batch_id) FROM batch)
"""

# page: entries in their order, and all that claim the last place, should there be several.
PAGE_OF = """
SELECT sequence, timestamptz_send(recorded_at) AS recorded_at, actor, action, subject, detail,
       previous_hash, hash
FROM audit
WHERE sequence BETWEEN %s AND %s
ORDER BY sequence
FETCH FIRST %s ROWS WITH TIES
"""

# guarded: whether the table still refuses changes, and two entries in one place.
GUARDED = """
SELECT EXISTS (
           SELECT FROM pg_trigger
           WHERE tgrelid = 'audit'::regclass AND tgname = 'audit_append_only' AND tgenabled = 'A'
       ),
       EXISTS (
           SELECT FROM pg_constraint WHERE conrelid = 'audit'::regclass AND contype = 'p'
       )
"""


class Flaw(StrEnum):
    """What is wrong with a link; the value is what people read."""

    CONTENT = "its hash is not that of its content"
    MISSING = "there is no such entry, but later ones"
    DUPLICATE = "there are several entries with this number"
    PLACE = "there is no such place in the chain"
    ORDER = "it does not follow the entry before it"
    TRUNCATED = "the chain ends before the head that was kept elsewhere"
    REWRITTEN = "its hash is not that of the head that was kept elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first link that does not hold: the entry, and what is wrong with it."""

    sequence: int
    flaw: Flaw

    def __str__(self) -> str:
        return f"entry {self.sequence}: {self.flaw}"


class Row(NamedTuple):
    """An entry as it is stored; an edited table may hold None anywhere."""

    sequence: int
    recorded_at: bytes
    actor: str
    action: str
    subject: str
    detail: str
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The newest entry and the newest batch at one moment; 0: there is none."""

    sequence: int
    batch_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What a walk found: how many entries, the present head, the first broken link if any."""

    entries: int
    head: Entry
    broken: Broken | None


def bounds(connection: Connection) -> Bounds:
    """Give up to where both logs go; a batch and its entry are committed together."""
    sequence, batch_id = one_row(connection, BOUNDS)
    return Bounds(sequence=sequence or 0, batch_id=batch_id or 0)


def walk(
    connection: Connection,
    *,
    upto: int | None = None,
    head: Entry | None = None,
    on_entry: Callable[[Row], None] | None = None,
    page: int = PAGE,
) -> Chain:
    """Walk the chain up to an entry (the newest); `head` is one that was kept elsewhere.

    All entries are read and told to `on_entry`, also those after a broken link. What a consistent
    rewriting from some point on hides, and a truncation, only `head` shows: the flaw is then named
    at the head's place, or at the first place that is gone.
    """
    entries, sequence, digest = 0, 0, FIRST_PREVIOUS
    kept, kept_hash = (-1, b"") if head is None else (head.sequence, head.hash)
    broken = _unlike_head(kept) if kept == 0 and kept_hash != digest else None
    for row in _rows(connection, bounds(connection).sequence if upto is None else upto, page):
        entries += 1
        if broken is None:
            broken = _flaw(row, sequence, digest)
        sequence, digest = row.sequence, row.hash
        if sequence == kept and digest != kept_hash and broken is None:
            broken = _unlike_head(kept)
        if on_entry is not None:
            on_entry(row)
    if broken is None and kept > sequence:
        broken = Broken(sequence=sequence + 1, flaw=Flaw.TRUNCATED)
    return Chain(entries=entries, head=Entry(sequence=sequence, hash=digest or b""), broken=broken)


def unguarded(connection: Connection) -> list[str]:
    """Give what keeps the table append-only and is no longer there."""
    trigger, key = one_row(connection, GUARDED)
    found = []
    if not trigger:
        found.append("the trigger audit_append_only, which refuses changes, is off or gone")
    if not key:
        found.append("the primary key of the audit table is gone")
    return found


def parse_head(text: str) -> Entry:
    """Read a head as it was printed: `sequence:hexhash`.

    Raises:
        BadInput: it is not written so.
    """
    found = re.fullmatch(r"([0-9]{1,18}):([0-9a-fA-F]{64})", text.strip())
    if found is None:
        raise BadInput(f"{text!r} is no head: it is a number, a colon and 64 hexadecimal digits")
    return Entry(sequence=int(found[1]), hash=bytes.fromhex(found[2]))


def _rows(connection: Connection, upto: int, page: int) -> Iterator[Row]:
    start = _LOWEST
    with connection.cursor(binary=True, row_factory=args_row(Row)) as cursor:
        while start <= upto:
            rows = cursor.execute(PAGE_OF, (start, upto, page)).fetchall()
            if not rows:
                return
            yield from rows
            start = rows[-1].sequence + 1


def _flaw(row: Row, last: int, last_hash: bytes) -> Broken | None:
    sequence = row.sequence
    if sequence > last + 1:
        return Broken(sequence=last + 1, flaw=Flaw.MISSING)
    if sequence <= last:
        same = sequence == last and last > 0
        return Broken(sequence=sequence, flaw=Flaw.DUPLICATE if same else Flaw.PLACE)
    if None in row or _digest(row) != row.hash:
        return Broken(sequence=sequence, flaw=Flaw.CONTENT)
    if row.previous_hash != last_hash:
        return Broken(sequence=sequence, flaw=Flaw.ORDER)
    return None


def _digest(row: Row) -> bytes:
    """Compute the hash that the content of an entry has (app.storage.audit)."""
    sequence, recorded_at, *texts, previous_hash, _ = row
    actor, action, subject, detail = [text.encode() for text in texts]
    parts = (
        previous_hash,
        sequence.to_bytes(8, "big", signed=True),
        recorded_at,
        len(actor).to_bytes(4, "big"),
        actor,
        len(action).to_bytes(4, "big"),
        action,
        len(subject).to_bytes(4, "big"),
        subject,
        len(detail).to_bytes(4, "big"),
        detail,
    )
    return hashlib.sha256(b"".join(parts)).digest()


def _unlike_head(sequence: int) -> Broken:
    return Broken(sequence=sequence, flaw=Flaw.REWRITTEN)
