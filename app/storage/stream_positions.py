"""Forget the positions of a stream that can never come again.

The rule. A broker's floor is the position below which everything is acknowledged. Positions below
a floor of some time ago (`FLOOR_AGE_S`) are forgotten, while nobody holds the stream's fence; and
whoever delivers holds the fence, and lets go of entries that were read longer ago than that. So an
entry that was acknowledged is not in anybody's hands any more when its position is forgotten.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from app.storage.database import Connection, one_row
from app.storage.faults import StatementFailed

# Also more than a broker may forget when it crashes: Redis loses a second of acknowledgements.
FLOOR_AGE_S = 15.0

_FENCE_CLASS = 0x7374726D  # "strm"

# hold, let_go: of many, until the session ends at the latest.
HOLD = "SELECT pg_advisory_lock_shared(%s, hashtext(%s))"
LET_GO = "SELECT pg_advisory_unlock_shared(%s, hashtext(%s))"

# prune: what is below a floor, while nobody holds the fence; whoever waits for it waits briefly.
PATIENCE = "SET LOCAL lock_timeout = '1s'"
CLOSE = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
PRUNE = """
WITH gone AS (
    DELETE FROM stream_position WHERE source = %s AND position < %s RETURNING true
)
SELECT count(*) FROM gone
"""


@contextmanager
def fence(connection: Connection, source: str) -> Iterator[None]:
    """Keep the positions of a stream from being forgotten."""
    connection.execute(HOLD, (_FENCE_CLASS, source))
    try:
        yield
    finally:
        # A session that has ended has let go.
        with suppress(psycopg.OperationalError):
            connection.execute(LET_GO, (_FENCE_CLASS, source))


def prune_positions(connection: Connection, source: str, *, below: str) -> int | None:
    """Forget a stream's positions below a floor; None: somebody delivers, another time then."""
    try:
        with connection.transaction():
            connection.execute(PATIENCE)
            connection.execute(CLOSE, (_FENCE_CLASS, source))
            return int(one_row(connection, PRUNE, (source, below))[0])
    except psycopg.errors.LockNotAvailable:
        return None


def blames_records(error: StatementFailed) -> bool:
    """Tell whether a statement failed because of what it was to store (SQLSTATE 22 and 23)."""
    cause = error.__cause__
    return isinstance(cause, psycopg.Error) and (cause.sqlstate or "").startswith(("22", "23"))
