"""The one lock of all who write to the logs: only the end of the transaction gives it back."""

from app.storage.database import Connection

# lock: after this, nobody else gets a batch id or appends to the audit trail until this
# transaction ends.
LOCK = "SELECT pg_advisory_xact_lock(%s)"
LOCK_KEY = 0x7469636B67726166  # "tickgraf", so that no other program's lock collides


def take_commit_lock(connection: Connection) -> None:
    """Wait for other writers' commits; the caller's transaction holds the lock from here on."""
    connection.execute(LOCK, (LOCK_KEY,))
