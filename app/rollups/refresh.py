"""Bring the roll-ups up to the commit log: batch by batch, level by level.

TimescaleDB does not show rows below a roll-up's watermark until a refresh; so the commit log is the
truth of what is fresh. Batches up to `refreshed_batch_id` are in the roll-ups (or above every
watermark, where the views read the rows themselves); what later batches touched is read from the
rows (app.query.plan). A refresh ends at the present bucket, which stays open: a watermark past it
would freeze it. The next one begins there (`rollup_progress`), or the watermark would leap over it.
That is why the server's own refresh policies are not used: they know neither the log nor the end.
And a refresh never begins below the horizon of retention: it would delete the candles of rows that
were dropped.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import sql

from app.market.interval import ORIGIN
from app.rollups.catalogue import ROLLUPS, Rollup
from app.storage.database import Connection, one_row
from app.storage.faults import psycopg_faults
from app.storage.horizons import horizons

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

# progress: up to where each roll-up is made; it never goes back, whatever a clock says.
PROGRESS = "SELECT view_name, made_to FROM rollup_progress"
MADE = """
INSERT INTO rollup_progress AS p (view_name, made_to)
VALUES (%s, %s)
ON CONFLICT (view_name) DO UPDATE SET made_to = greatest(p.made_to, excluded.made_to)
"""

# newest_rows: the newest time of trades and of bars.
NEWEST_ROWS = """
SELECT CASE WHEN interval_minutes = 0 THEN 'TRADES' ELSE 'BARS' END, max(last_time)
FROM latest
GROUP BY 1
"""

# advance: the mark only moves forward.
ADVANCE = """
UPDATE rollup_state
SET refreshed_batch_id = greatest(refreshed_batch_id, %s), refreshed_at = clock_timestamp()
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
    with psycopg_faults(), alone(connection) as granted:
        if not granted:
            return None
        newest, mark = _number(connection, NEWEST), _number(connection, MARK)
        if not are_continuous(connection):
            connection.execute(ADVANCE, (newest,))
            return Refreshed(batch_id=newest, windows=0)
        windows = _follow(connection, mark, newest, now or clock(connection))
        return Refreshed(batch_id=newest, windows=windows)


def _follow(connection: Connection, mark: int, newest: int, now: datetime) -> int:
    """Refresh what batches in (mark, newest] touched, and buckets that have closed since."""
    pending = connection.execute(PENDING, (mark, newest)).fetchall() if newest > mark else []
    progress: dict[str, datetime] = dict(connection.execute(PROGRESS).fetchall())
    newest_rows: dict[str, datetime] = dict(connection.execute(NEWEST_ROWS).fetchall())
    kept: dict[str, datetime] = {str(kind): each for kind, each in horizons(connection).items()}
    windows, made = 0, []
    for rollup in ROLLUPS:
        rows = newest_rows.get(rollup.source)
        made_to = progress.get(rollup.view)
        end = floor(now, rollup.width)
        end = end if made_to is None else max(end, made_to)
        ranges = [(first, last) for kind, first, last in pending if kind == rollup.source]
        if made_to is not None and rows is not None and made_to <= rows and made_to < end:
            # To the present bucket: nothing below the watermark may be left out.
            ranges = sorted([*ranges, (made_to, end)])
        if ranges:
            made.append((rollup.view, end))
        for first, last in _joined(ranges):
            bounds = window(rollup, first, last, end, kept.get(rollup.source))
            if bounds is not None:
                connection.execute(_refresh_call(rollup, *bounds))
                windows += 1
    if made or newest > mark:
        with connection.transaction():
            for view, end in made:
                connection.execute(MADE, (view, end))
            connection.execute(ADVANCE, (newest,))
    return windows


def window(
    rollup: Rollup, first: datetime, last: datetime, end: datetime, kept: datetime | None = None
) -> tuple[datetime, datetime] | None:
    """Give the whole buckets that hold [first, last], before `end`; None where there is none.

    None of them begins before `kept`, the start of a day: no bucket lies across it.
    """
    start = floor(first, rollup.width)
    if kept is not None:
        start = max(start, kept)
    stop = min(floor(last, rollup.width) + rollup.width, end)
    return (start, stop) if start < stop else None


def _refresh_call(rollup: Rollup, start: datetime, end: datetime) -> sql.Composed:
    # CALL takes no parameters over the extended protocol when it must not be in a transaction.
    return sql.SQL("CALL refresh_continuous_aggregate({}, {}, {})").format(
        *(sql.Literal(each) for each in (rollup.view, start.isoformat(), end.isoformat()))
    )


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


def floor(moment: datetime, width: timedelta) -> datetime:
    """Give the start of the bucket of `width` that holds a moment."""
    return ORIGIN + (moment - ORIGIN) // width * width


def clock(connection: Connection) -> datetime:
    """Give the database's time: one clock for all processes."""
    moment: datetime = one_row(connection, "SELECT clock_timestamp()")[0]
    return moment


def _number(connection: Connection, statement: str) -> int:
    return int(one_row(connection, statement.encode())[0])


@contextmanager
def alone(connection: Connection) -> Iterator[bool]:
    """Hold the right to change roll-ups; False where another process has it."""
    granted = bool(one_row(connection, "SELECT pg_try_advisory_lock(%s)", (_LOCK_KEY,))[0])
    try:
        yield granted
    finally:
        if granted and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK_KEY,))
