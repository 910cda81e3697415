"""Bring the roll-ups up to the commit log: batch by batch, level by level.

TimescaleDB does not show rows below a roll-up's watermark until a refresh; so the commit log is the
truth of what is fresh. Batches up to `refreshed_batch_id` are in the roll-ups (or above every
watermark, where the views read the rows themselves); what later batches touched is read from the
rows (app.query.plan). A refresh ends at the present bucket, which stays open: a watermark past it
would freeze it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from psycopg import sql

from app.market.interval import ORIGIN
from app.rollups.catalogue import ROLLUPS, Rollup
from app.storage.database import Connection, one_row
from app.storage.faults import psycopg_faults

_LOCK_KEY = 0x7469636B72656672  # "tickrefr"
_JOIN_GAP = timedelta(days=1)

# pending: the newest batch, and for each kind the ranges that batches above the mark have touched.
NEWEST = "SELECT coalesce(max(batch_id), 0) FROM batch"
MARK = "SELECT refreshed_batch_id FROM rollup_state"
PENDING = """
SELECT kind, min(first_time), max(last_time)
FROM batch_range
WHERE batch_id > %s AND batch_id <= %s
GROUP BY kind, batch_id
ORDER BY kind, min(first_time)
"""

# advance: the mark only moves forward.
ADVANCE = """
UPDATE rollup_state
SET refreshed_batch_id = %(batch_id)s, refreshed_at = clock_timestamp()
WHERE refreshed_batch_id < %(batch_id)s
"""

# freshness: how far the roll-ups are behind the commit log, and since when.
FRESHNESS = """
SELECT (SELECT count(*) FROM batch),
       (SELECT count(*) FROM batch WHERE batch_id > s.refreshed_batch_id),
       s.refreshed_at
FROM rollup_state AS s
"""

# are_continuous: false where the roll-ups are plain views (Apache edition), which are always fresh.
ARE_CONTINUOUS = """
SELECT count(*) = %s
FROM timescaledb_information.continuous_aggregates
WHERE view_name = ANY (%s) AND view_schema = current_schema()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What one run did."""

    batch_id: int
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How many batches there are, how many the roll-ups lack, when they were last brought up."""

    batches: int
    pending: int
    refreshed_at: datetime


def freshness(connection: Connection) -> Freshness:
    """Tell how far the roll-ups are behind the commit log."""
    batches, pending, refreshed_at = one_row(connection, FRESHNESS)
    return Freshness(batches=batches, pending=pending, refreshed_at=refreshed_at)


def are_continuous(connection: Connection) -> bool:
    """Tell whether the roll-ups are continuous aggregates rather than plain views."""
    views = [rollup.view for rollup in ROLLUPS]
    return bool(one_row(connection, ARE_CONTINUOUS, (len(views), views))[0])


def refresh(connection: Connection, *, now: datetime | None = None) -> Refreshed | None:
    """Follow the commit log to its present end; None where another process is at it.

    The connection must be outside a transaction: a refresh commits for itself.
    """
    with psycopg_faults(), _alone(connection) as alone:
        if not alone:
            return None
        newest, mark = _number(connection, NEWEST), _number(connection, MARK)
        if newest <= mark:
            return Refreshed(batch_id=mark, windows=0)
        windows = 0
        if are_continuous(connection):
            pending = connection.execute(PENDING, (mark, newest)).fetchall()
            for rollup in ROLLUPS:
                ranges = _joined(
                    [(first, last) for kind, first, last in pending if kind == rollup.source]
                )
                for first, last in ranges:
                    windows += _refresh_window(
                        connection, rollup, first, last, now or datetime.now(UTC)
                    )
        connection.execute(ADVANCE, {"batch_id": newest})
        return Refreshed(batch_id=newest, windows=windows)


def window(
    rollup: Rollup, first: datetime, last: datetime, now: datetime
) -> tuple[datetime, datetime] | None:
    """Give the whole buckets that hold [first, last] and have ended by now; None where none has."""
    start = _floor(first, rollup.width)
    end = min(_floor(last, rollup.width) + rollup.width, _floor(now, rollup.width))
    return (start, end) if start < end else None


def _refresh_window(
    connection: Connection, rollup: Rollup, first: datetime, last: datetime, now: datetime
) -> int:
    bounds = window(rollup, first, last, now)
    if bounds is None:
        return 0
    # CALL takes no parameters over the extended protocol when it must not be in a transaction.
    connection.execute(
        sql.SQL("CALL refresh_continuous_aggregate({}, {}, {})").format(
            sql.Literal(rollup.view), *(sql.Literal(bound.isoformat()) for bound in bounds)
        )
    )
    return 1


def _joined(
    ranges: Sequence[tuple[datetime, datetime]],
) -> list[tuple[datetime, datetime]]:
    joined: list[tuple[datetime, datetime]] = []
    for first, last in ranges:
        if joined and first - joined[-1][1] <= _JOIN_GAP:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def _floor(moment: datetime, width: timedelta) -> datetime:
    return ORIGIN + (moment - ORIGIN) // width * width


def _number(connection: Connection, statement: str) -> int:
    return int(one_row(connection, statement.encode())[0])


@contextmanager
def _alone(connection: Connection) -> Iterator[bool]:
    alone = bool(one_row(connection, "SELECT pg_try_advisory_lock(%s)", (_LOCK_KEY,))[0])
    try:
        yield alone
    finally:
        if alone and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK_KEY,))
