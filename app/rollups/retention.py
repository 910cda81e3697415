"""Drop rows that are older than wanted, in such a way that their candles stay.

Whole chunks go, oldest first, each only after the roll-ups have followed every batch that touched
it and hold exactly what its rows give (app.rollups.verification). In one transaction, under the
commit lock, it is made sure that no batch has come between, the horizon moves and the chunk goes.
From then on nothing refreshes the roll-ups below the horizon (app.rollups.refresh), and no batch
can store a row there (migration 0014): what the roll-ups hold there stays.

Dropping is a batch of the log: what was remembered of the rows is forgotten by every process.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from app.rollups.catalogue import DAY
from app.rollups.policies import Policies, Table, refuse_impossible
from app.rollups.refresh import MARK, PROGRESS, alone, clock, floor
from app.rollups.verification import Skipped, Unverifiable, verify_rollups
from app.storage.batches import BatchKind, Counts, next_batch_id, record_batch
from app.storage.database import Connection, one_row
from app.storage.faults import psycopg_faults
from app.storage.horizons import horizons, move_horizon

_LOG = logging.getLogger("tickgraph.retention")
ACTOR = "retention"
_NOT_YET = "%ss before %s are not dropped yet: %s"

# old_chunks: those that end by a time and after the horizon; below it everything was seen to.
OLD_CHUNKS = """
SELECT range_start, range_end
FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = %s
  AND range_end <= %s AND range_end > %s
ORDER BY range_start
"""

# unfollowed_below: whether a batch after the mark has touched what is to be dropped.
UNFOLLOWED_BELOW = """
SELECT EXISTS (
    SELECT FROM batch_range WHERE batch_id > %s AND kind = %s AND first_time < %s
)
"""

# stays: whether the range has bars that no roll-up holds.
STAYS = """
SELECT EXISTS (
    SELECT
    FROM bar
    WHERE bar_start >= %s AND bar_start < %s
      AND NOT (interval_minutes < 1440 AND 1440 %% interval_minutes = 0)
)
"""

# drop: all chunks that lie within the range.
DROP = "SELECT count(*) FROM drop_chunks(%s, older_than => %s, newer_than => %s)"

# delete_bars: the bars of the range whose candles a roll-up holds.
DELETE_BARS = """
DELETE FROM bar
WHERE bar_start >= %s AND bar_start < %s
  AND interval_minutes < 1440 AND 1440 %% interval_minutes = 0
"""

# A reader of an old chunk makes this wait, and this makes writers wait: not for long.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"
LOCK_HORIZONS = "LOCK TABLE retention IN EXCLUSIVE MODE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Rows of a table within [start, end) that are no longer there."""

    table: str
    start: datetime
    end: datetime


def retain(
    connection: Connection, policies: Policies, *, now: datetime | None = None
) -> list[Dropped]:
    """Drop what is older than the policies want kept, and can be dropped.

    What has to wait is logged and tried again the next time. The connection must be outside a
    transaction.

    Raises:
        SettingInvalid: candles would go with their rows on this server.
    """
    done: list[Dropped] = []
    if not policies.retention_days:
        return done
    with psycopg_faults(), alone(connection) as granted:
        if not granted:
            return done
        refuse_impossible(connection, policies)
        today = floor(now or clock(connection), DAY)
        for table, age in policies.retained():
            mark = int(one_row(connection, MARK)[0])
            for start, end in due(connection, table, today - age):
                reason = _reason_to_wait(connection, table, start, end)
                if reason is None and not _drop(connection, table, start, end, mark):
                    reason = "it is in use, or a batch has touched it"
                if reason is not None:
                    _LOG.warning(_NOT_YET, table.name, end.date(), reason)
                    break
                _LOG.info("%ss before %s were dropped", table.name, end.date())
                done.append(Dropped(table=table.name, start=start, end=end))
    return done


def due(
    connection: Connection, table: Table, boundary: datetime
) -> Sequence[tuple[datetime, datetime]]:
    """Give ranges of whole days and chunks before `boundary`, the start of a day, oldest first.

    Only what every roll-up of the table has been made of.
    """
    if table.rollups:
        progress: dict[str, datetime] = dict(connection.execute(PROGRESS).fetchall())
        made = [progress.get(rollup.view) for rollup in table.rollups]
        known = [floor(each, DAY) for each in made if each is not None]
        if len(known) < len(made):
            return []
        boundary = min(boundary, *known)
    kept = horizons(connection).get(table.kind, datetime.min.replace(tzinfo=UTC))
    ranges: list[tuple[datetime, datetime]] = []
    for first, last in connection.execute(OLD_CHUNKS, (table.name, boundary, kept)):
        start, end = floor(first, DAY), floor(last - timedelta.resolution, DAY) + DAY
        if ranges and start < ranges[-1][1]:  # chunks shorter than a day
            start, end = ranges[-1][0], max(end, ranges.pop()[1])
        ranges.append((start, end))
    return ranges


def _reason_to_wait(
    connection: Connection, table: Table, start: datetime, end: datetime
) -> str | None:
    """Give what keeps a range from being dropped: its roll-ups are not all that its rows give."""
    if not table.rollups:
        return None
    for found in verify_rollups(connection, start=start, end=end, rollups=table.rollups):
        if not isinstance(found, Skipped):
            return f"{found.view} at {found.bucket} is not what they give (`tickgraph verify`)"
        if found.reason is Unverifiable.UNFOLLOWED:
            return "the roll-ups have not followed all batches"
    return None


def _drop(connection: Connection, table: Table, start: datetime, end: datetime, mark: int) -> bool:
    """Drop one range and move the horizon, unless a batch after the mark has touched it."""
    try:
        with connection.transaction():
            connection.execute(LOCK_TIMEOUT)
            connection.execute(LOCK_HORIZONS)
            batch_id = next_batch_id(connection, None)
            if table.rollups:
                values = (mark, table.kind, end)
                if one_row(connection, UNFOLLOWED_BELOW, values)[0]:
                    return False
            move_horizon(connection, table.kind, end)
            if table.kind is BatchKind.BARS and one_row(connection, STAYS, (start, end))[0]:
                connection.execute(DELETE_BARS, (start, end))
            else:
                connection.execute(DROP, (table.name, end, start))
            record_batch(
                connection,
                batch_id=batch_id,
                kind=BatchKind.INSTRUMENTS,
                source=f"{ACTOR}:{table.name}",
                checksum=None,
                counts=Counts(stored=0, duplicate=0, rejected=0),
                received_at=clock(connection),
                actor=ACTOR,
            )
    except psycopg.errors.LockNotAvailable:
        return False
    return True
