"""Hold the roll-ups against the rows they are made of: recompute every column, give what differs.

Time is gone through in steps, each one snapshot of the database. Ranges that the roll-ups have not
followed yet are left out (reads take those from the rows), and so is what lies below the horizon of
retention, where there are no rows to recompute from; both are said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from psycopg.rows import TupleRow
from psycopg.sql import SQL

from app.rollups.catalogue import DAY, HOUR, MINUTE, ROLLUPS, Rollup
from app.rollups.recomputation import differences
from app.rollups.refresh import floor
from app.storage.batches import BatchKind
from app.storage.database import Connection
from app.storage.faults import psycopg_faults
from app.storage.horizons import hold_horizons, horizons

# How much time one statement looks at, and how many differences it may give before it is halved.
STEPS = {MINUTE: timedelta(days=1), HOUR: timedelta(days=7), DAY: timedelta(days=28)}
MAX_DIFFERENCES = 10_000

# extent: between which times there have ever been rows of a kind.
EXTENT = """
SELECT min(first_time), max(last_time)
FROM latest
WHERE (interval_minutes = 0) = (%(kind)s = 'TRADES')
"""

# unfollowed: what later batches have touched within the step.
UNFOLLOWED = SQL(
    """
SELECT count(DISTINCT instrument_id), min(first_time), max(last_time)
FROM batch_range
WHERE batch_id > (SELECT refreshed_batch_id FROM rollup_state) AND kind = %(kind)s
  AND first_time < %(end)s AND last_time >= %(start)s AND {chosen}
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A column of a bucket that is not what its rows give; None: no such bucket, or NULL.

    `interval_minutes` is that of the bars it is made of, 0 for trades; `session` is 0 to 2.
    """

    view: str
    instrument_id: int
    interval_minutes: int
    session: int
    trading_date: date
    bucket: datetime
    column: str
    stored: str | None
    recomputed: str | None


class Unverifiable(StrEnum):
    """Why a range was left out."""

    UNFOLLOWED = "UNFOLLOWED"
    DROPPED = "DROPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A part of [start, end) that was not compared; `instruments` is how many, None for all.

    UNFOLLOWED: only buckets that unfollowed batches touched; after a refresh they can be compared.
    DROPPED: retention has dropped the rows.
    """

    view: str
    start: datetime
    end: datetime
    reason: Unverifiable
    instruments: int | None = None


def verify_rollups(
    connection: Connection,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    instrument_ids: Sequence[int] | None = None,
    rollups: Sequence[Rollup] = ROLLUPS,
) -> Iterator[Difference | Skipped]:
    """Recompute the buckets that overlap [start, end); give what differs and what was left out.

    Roll-up by roll-up, in order of time. None means from the first row, to the last, and all
    instruments. Between two items no transaction is open, and at most `MAX_DIFFERENCES` differences
    are held (more only where a single bucket time has more).
    """
    chosen = SQL("true") if instrument_ids is None else SQL("instrument_id = ANY (%(ids)s)")
    values: dict[str, object] = {"ids": None if instrument_ids is None else list(instrument_ids)}
    for rollup in rollups:
        with psycopg_faults():
            bounds = _bounds(connection, rollup, start, end)
        if bounds is None:
            continue
        position, stop = bounds
        while position < stop:
            until = min(stop, floor(position, STEPS[rollup.width]) + STEPS[rollup.width])
            yield from _step(connection, rollup, position, until, chosen, values)
            position = until


def _bounds(
    connection: Connection, rollup: Rollup, start: datetime | None, end: datetime | None
) -> tuple[datetime, datetime] | None:
    first, last = connection.execute(EXTENT, {"kind": rollup.source}).fetchone() or (None, None)
    if first is None:
        return None
    first, last = floor(first, rollup.width), floor(last, rollup.width) + rollup.width
    if start is not None:
        first = max(first, floor(start, rollup.width))
    if end is not None:
        last = min(last, floor(end - timedelta.resolution, rollup.width) + rollup.width)
    return (first, last) if first < last else None


def _step(
    connection: Connection,
    rollup: Rollup,
    start: datetime,
    end: datetime,
    chosen: SQL,
    values: dict[str, object],
) -> Iterator[Difference | Skipped]:
    """Compare one step within one snapshot; where too much differs, its halves."""
    values = values | {
        "kind": rollup.source,
        "width": rollup.width,
        "minutes": rollup.width // MINUTE,
        "end": end,
    }
    found: list[Difference | Skipped] = []
    rows: list[TupleRow] = []
    narrow = end - start <= rollup.width
    with psycopg_faults(), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        hold_horizons(connection)
        kept = horizons(connection).get(BatchKind(rollup.source), start)
        if kept > start:
            dropped = min(kept, end)
            found.append(_skipped(rollup, start, dropped, Unverifiable.DROPPED))
            start = dropped
        if start < end:
            values["start"] = start
            values["limit"] = None if narrow else MAX_DIFFERENCES + 1
            found += _unfollowed(connection, rollup, chosen, values)
            # Planned for its times: a generic plan would look at every chunk.
            rows = connection.execute(differences(rollup, chosen), values, prepare=False).fetchall()
    if len(rows) > MAX_DIFFERENCES and not narrow:
        middle = max(floor(start + (end - start) / 2, rollup.width), start + rollup.width)
        yield from _step(connection, rollup, start, middle, chosen, values)
        yield from _step(connection, rollup, middle, end, chosen, values)
        return
    yield from found
    yield from (_difference(rollup, row) for row in rows)


def _unfollowed(
    connection: Connection, rollup: Rollup, chosen: SQL, values: Mapping[str, object]
) -> Iterator[Skipped]:
    statement = UNFOLLOWED.format(chosen=chosen)
    for instruments, first, last in connection.execute(statement, values):
        if instruments:
            start, end = floor(first, rollup.width), floor(last, rollup.width) + rollup.width
            yield _skipped(rollup, start, end, Unverifiable.UNFOLLOWED, instruments)


def _skipped(
    rollup: Rollup,
    start: datetime,
    end: datetime,
    reason: Unverifiable,
    instruments: int | None = None,
) -> Skipped:
    return Skipped(view=rollup.view, start=start, end=end, reason=reason, instruments=instruments)


def _difference(rollup: Rollup, row: TupleRow) -> Difference:
    instrument_id, interval_minutes, session, trading_date, bucket, name, stored, made = row
    return Difference(
        view=rollup.view,
        instrument_id=instrument_id,
        interval_minutes=interval_minutes,
        session=session,
        trading_date=trading_date,
        bucket=bucket,
        column=name,
        stored=stored,
        recomputed=made,
    )
