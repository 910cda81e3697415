"""What a database server does by itself and the embedded one does not.

It has no background workers: policies do not run, nothing is checkpointed, vacuumed or analysed,
and it counts no dead rows, so the amount of write-ahead log decides what is due.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import LiteralString

import psycopg
from psycopg import sql

logger = logging.getLogger(__name__)

# User-visible jobs: TimescaleDB numbers its own below 1000.
DUE_JOBS = """
SELECT job_id, proc_name
FROM timescaledb_information.jobs
WHERE scheduled AND job_id >= 1000 AND (next_start IS NULL OR next_start <= now())
ORDER BY next_start NULLS FIRST, job_id
"""
RUN_JOB = "CALL run_job(%s)"
# Runs in the foreground leave no statistics, so nothing else would move a job on.
RESCHEDULE_JOB = """
SELECT alter_job(job_id, next_start => now() + schedule_interval)
FROM timescaledb_information.jobs
WHERE job_id = %s
"""
RETRY_JOB = """
SELECT alter_job(job_id, next_start => now() + greatest(retry_period, INTERVAL '1 second'))
FROM timescaledb_information.jobs
WHERE job_id = %s
"""
WAL_BYTES = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
TABLES = """
SELECT n.nspname, c.relname
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('information_schema')
  AND n.nspname NOT LIKE 'pg\\_temp%' AND n.nspname NOT LIKE 'pg\\_toast%'
ORDER BY c.oid
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """How often the database is looked after, and how much must have been written for it."""

    jobs_s: float = 5
    checkpoint_s: float = 60
    analyze_s: float = 300
    vacuum_s: float = 3600
    # One job may keep the one backend from everybody else for this long.
    job_timeout_s: float = 300
    analyze_after_wal_bytes: int = 16 << 20
    vacuum_after_wal_bytes: int = 64 << 20


@contextmanager
def maintained(url: str, intervals: Intervals, *, stop_timeout_s: float = 2) -> Iterator[None]:
    """Look after the database in a thread of its own within the block."""
    stop = threading.Event()
    thread = threading.Thread(
        target=_Caretaker(url, intervals, stop).run, name="embedded-maintenance", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        # A statement under way cannot be taken back; the thread ends with the connection then.
        thread.join(stop_timeout_s)


@dataclass(slots=True, kw_only=True)
class _Chore:
    """Something done again and again, unless too little was written since the last time."""

    name: str
    every_s: float
    work: Callable[[psycopg.Connection], None]
    after_wal_bytes: int = 0
    due: float = field(default=0.0)
    wal_bytes: int = field(default=0)


class _Caretaker:
    def __init__(self, url: str, intervals: Intervals, stop: threading.Event) -> None:
        self._url = url
        self._intervals = intervals
        self._stop = stop
        self._connection: psycopg.Connection | None = None
        self._own_wal_bytes = 0
        now = time.monotonic()
        self._chores = [
            _Chore(name="jobs", every_s=intervals.jobs_s, work=self._run_due_jobs),
            _Chore(
                name="checkpoint",
                every_s=intervals.checkpoint_s,
                work=lambda connection: _execute(connection, "CHECKPOINT"),
                after_wal_bytes=1,
            ),
            _Chore(
                name="analyze",
                every_s=intervals.analyze_s,
                work=lambda connection: self._each_table(connection, "ANALYZE"),
                after_wal_bytes=intervals.analyze_after_wal_bytes,
            ),
            _Chore(
                name="vacuum",
                every_s=intervals.vacuum_s,
                work=lambda connection: self._each_table(connection, "VACUUM (ANALYZE)"),
                after_wal_bytes=intervals.vacuum_after_wal_bytes,
            ),
        ]
        for chore in self._chores:
            chore.due = now + chore.every_s

    def run(self) -> None:
        try:
            while not self._stop.wait(self._seconds_to_next()):
                self._do_due_chores()
        finally:
            self._disconnect()

    def _seconds_to_next(self) -> float:
        return max(0.0, min(chore.due for chore in self._chores) - time.monotonic())

    def _do_due_chores(self) -> None:
        for chore in self._chores:
            if self._stop.is_set() or chore.due > time.monotonic():
                continue
            try:
                self._do(chore)
            except psycopg.Error as error:
                self._disconnect()
                if not self._stop.is_set():
                    logger.warning("maintenance %s failed: %s", chore.name, _one_line(error))
            chore.due = time.monotonic() + chore.every_s

    def _do(self, chore: _Chore) -> None:
        connection = self._connected()
        if not chore.after_wal_bytes:
            chore.work(connection)
            return
        before = _wal_bytes(connection)
        written = before - self._own_wal_bytes
        if written - chore.wal_bytes < chore.after_wal_bytes:
            return
        chore.work(connection)
        # Its own writing is not a reason to do it, or another chore, again.
        self._own_wal_bytes += _wal_bytes(connection) - before
        chore.wal_bytes = written

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            timeout_ms = round(self._intervals.job_timeout_s * 1000)
            self._connection = psycopg.connect(
                self._url,
                autocommit=True,
                application_name="tickgraph maintenance",
                options=f"-c statement_timeout={timeout_ms}",
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run_due_jobs(self, connection: psycopg.Connection) -> None:
        for job_id, name in connection.execute(DUE_JOBS).fetchall():
            if self._stop.is_set():
                return
            try:
                connection.execute(RUN_JOB, (job_id,))
            except psycopg.Error as error:
                if connection.closed:
                    raise
                logger.warning("job %s (%s) failed: %s", job_id, name, _one_line(error))
                connection.execute(RETRY_JOB, (job_id,))
            else:
                connection.execute(RESCHEDULE_JOB, (job_id,))

    def _each_table(self, connection: psycopg.Connection, command: LiteralString) -> None:
        # One statement a table, so that others get their turns in between.
        for schema, table in connection.execute(TABLES).fetchall():
            if self._stop.is_set():
                return
            statement = sql.SQL(command) + sql.SQL(" ") + sql.Identifier(schema, table)
            try:
                connection.execute(statement)
            except psycopg.errors.UndefinedTable:
                continue


def _execute(connection: psycopg.Connection, statement: LiteralString) -> None:
    connection.execute(statement)


def _wal_bytes(connection: psycopg.Connection) -> int:
    row = connection.execute(WAL_BYTES).fetchone()
    return int(row[0]) if row else 0


def _one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
