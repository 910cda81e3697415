import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from app.embedded.maintenance import Intervals, maintained
from app.embedded.supervisor import embedded_database
from tests.embedded.conftest import Connection
from tests.embedded.test_crash import newest_node, wait_until_it_answers

OFTEN = Intervals(
    jobs_s=0.1,
    checkpoint_s=0.1,
    analyze_s=0.1,
    vacuum_s=0.1,
    analyze_after_wal_bytes=100_000,
    vacuum_after_wal_bytes=100_000,
)
JOBS_ONLY = Intervals(jobs_s=0.1, checkpoint_s=1e6, analyze_s=1e6, vacuum_s=1e6)


@pytest.fixture
def db(data_dir: Path) -> Iterator[str]:
    with embedded_database(data_dir, maintenance=None) as url:
        yield url


@pytest.fixture
def client(db: str) -> Iterator[Connection]:
    with psycopg.connect(db, autocommit=True) as connection:
        yield connection


def eventually(condition: Callable[[], object], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def one(connection: Connection, sql: str) -> object:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


def make_rollup(connection: Connection) -> None:
    connection.execute("CREATE TABLE tick (at timestamptz NOT NULL, price numeric)")
    connection.execute("SELECT create_hypertable('tick', 'at')")
    connection.execute(
        "CREATE MATERIALIZED VIEW minute WITH (timescaledb.continuous) AS"
        " SELECT time_bucket('1 minute', at) AS start, max(price) AS high"
        " FROM tick GROUP BY 1 WITH NO DATA"
    )
    connection.execute(
        "SELECT add_continuous_aggregate_policy('minute', start_offset => INTERVAL '1 day',"
        " end_offset => INTERVAL '1 minute', schedule_interval => INTERVAL '1 second')"
    )


def insert_tick(connection: Connection, minutes_ago: int) -> None:
    connection.execute(
        "INSERT INTO tick VALUES (now() - %s * INTERVAL '1 minute', 5)", (minutes_ago,)
    )


def test_due_refresh_policy_runs_again_and_again(db: str, client: Connection) -> None:
    make_rollup(client)
    insert_tick(client, 10)
    with maintained(db, JOBS_ONLY):
        eventually(lambda: one(client, "SELECT count(*) FROM minute") == 1)
        due = "SELECT next_start > now() FROM timescaledb_information.jobs WHERE job_id >= 1000"
        eventually(lambda: one(client, due) is True)
        insert_tick(client, 20)
        eventually(lambda: one(client, "SELECT count(*) FROM minute") == 2)


def test_job_that_is_not_due_does_not_run(db: str, client: Connection) -> None:
    make_rollup(client)
    insert_tick(client, 10)
    client.execute(
        "SELECT alter_job(job_id, next_start => now() + INTERVAL '1 hour')"
        " FROM timescaledb_information.jobs WHERE job_id >= 1000"
    )
    with maintained(db, JOBS_ONLY):
        time.sleep(1)
    assert one(client, "SELECT count(*) FROM minute") == 0


def test_failing_job_is_logged_and_stops_nothing(
    db: str, client: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    client.execute(
        "CREATE PROCEDURE explode(job_id int, config jsonb) LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE EXCEPTION 'boom'; END $$"
    )
    client.execute("SELECT add_job('explode', INTERVAL '1 hour')")
    make_rollup(client)
    insert_tick(client, 10)
    with caplog.at_level(logging.WARNING), maintained(db, JOBS_ONLY):
        eventually(lambda: one(client, "SELECT count(*) FROM minute") == 1)
        eventually(lambda: "boom" in caplog.text)
    assert "explode" in caplog.text


def test_job_that_takes_too_long_is_cut_off(
    db: str, client: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    client.execute(
        "CREATE PROCEDURE linger(job_id int, config jsonb) LANGUAGE plpgsql"
        " AS $$ BEGIN PERFORM count(*) FROM generate_series(1, 2000000000); END $$"
    )
    client.execute("SELECT add_job('linger', INTERVAL '1 hour')")
    short = Intervals(jobs_s=0.1, checkpoint_s=1e6, analyze_s=1e6, vacuum_s=1e6, job_timeout_s=0.5)
    with caplog.at_level(logging.WARNING), maintained(db, short):
        eventually(lambda: "statement timeout" in caplog.text)
        assert one(client, "SELECT 1") == 1


def test_tables_are_vacuumed_and_analysed_after_enough_writing(db: str, client: Connection) -> None:
    client.execute("CREATE TABLE busy AS SELECT generate_series(1, 20000) AS a")
    done = (
        "SELECT count(*) FROM pg_stat_user_tables"
        " WHERE relname = 'busy' AND last_analyze IS NOT NULL AND last_vacuum IS NOT NULL"
    )
    assert one(client, done) == 0
    with maintained(db, OFTEN):
        eventually(lambda: one(client, done) == 1)


def test_checkpoints_bound_the_write_ahead_log(db: str, client: Connection) -> None:
    last = "SELECT redo_lsn FROM pg_control_checkpoint()"
    before = one(client, last)
    client.execute("CREATE TABLE busy AS SELECT generate_series(1, 1000) AS a")
    with maintained(db, OFTEN):
        eventually(lambda: one(client, last) != before)


def test_nothing_is_done_while_nothing_is_written(db: str, client: Connection) -> None:
    position = "SELECT pg_current_wal_insert_lsn()"
    with maintained(db, OFTEN):
        client.execute("CREATE TABLE busy AS SELECT generate_series(1, 20000) AS a")
        positions: list[object] = [None, one(client, position)]
        while positions[-1] != positions[-2]:
            time.sleep(1)
            positions.append(one(client, position))
            assert len(positions) < 20


def test_it_goes_on_after_the_database_was_restarted(db: str, client: Connection) -> None:
    make_rollup(client)
    with maintained(db, JOBS_ONLY):
        time.sleep(0.5)
        newest_node().kill()
        wait_until_it_answers(db)
        with psycopg.connect(db, autocommit=True) as again:
            insert_tick(again, 10)
            eventually(lambda: one(again, "SELECT count(*) FROM minute") == 1)


def test_it_stops_at_once(db: str) -> None:
    with maintained(db, Intervals(jobs_s=0.1)):
        time.sleep(0.5)
        begun = time.monotonic()
    assert time.monotonic() - begun < 1.9


def test_owner_maintains_by_default(data_dir: Path) -> None:
    with (
        embedded_database(data_dir, maintenance=JOBS_ONLY) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        make_rollup(connection)
        insert_tick(connection, 10)
        eventually(lambda: one(connection, "SELECT count(*) FROM minute") == 1)
