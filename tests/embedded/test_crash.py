"""Nothing that was acknowledged is lost, and the database comes back by itself."""

import threading
import time
from pathlib import Path

import asyncpg
import psutil
import psycopg
import pytest

from app.embedded.supervisor import embedded_database
from tests.embedded.conftest import answers

ROUNDS = 4
ROWS_BEFORE_KILL = 200


def newest_node() -> psutil.Process:
    """The youngest database process of this one; other tests' servers are older."""
    nodes = [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE
        and any(argument.endswith("main.mjs") for argument in child.cmdline())
    ]
    return max(nodes, key=lambda child: child.create_time())


def wait_until_it_answers(url: str, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            assert answers(url)
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def insert_until_killed(url: str, first: int, acknowledged: list[int]) -> None:
    """Commit rows one by one until the database goes, noting each that it confirmed."""
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            for number in range(first, first + 1_000_000):
                connection.execute("INSERT INTO entry VALUES (now(), %s)", (number,))
                acknowledged.append(number)
    except psycopg.OperationalError:
        return


def test_kill_9_under_writes_loses_no_acknowledged_row(data_dir: Path) -> None:
    acknowledged: list[int] = []
    with embedded_database(data_dir, maintenance=None) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE entry (at timestamptz NOT NULL, number int)")
            connection.execute("SELECT create_hypertable('entry', 'at')")
        for round_number in range(ROUNDS):
            victim = newest_node()
            writer = threading.Thread(
                target=insert_until_killed, args=(url, round_number * 1_000_000, acknowledged)
            )
            enough = len(acknowledged) + ROWS_BEFORE_KILL
            writer.start()
            while len(acknowledged) < enough:
                time.sleep(0.001)
            victim.kill()
            writer.join(30)
            assert not writer.is_alive()
            wait_until_it_answers(url)
        with psycopg.connect(url) as connection:
            stored = {row[0] for row in connection.execute("SELECT number FROM entry")}
    assert len(acknowledged) >= ROUNDS * ROWS_BEFORE_KILL
    assert set(acknowledged) - stored == set()


async def test_pool_recovers_after_the_backend_has_died(data_dir: Path) -> None:
    with embedded_database(data_dir, maintenance=None) as url:
        async with asyncpg.create_pool(url, min_size=2, max_size=2) as pool:
            await pool.execute("CREATE TABLE kept AS SELECT 1 AS a")
            await pool.execute(
                "CREATE FUNCTION endless(i int) RETURNS int LANGUAGE plpgsql"
                " AS $$ BEGIN RETURN endless(i + 1); END $$"
            )
            with pytest.raises((asyncpg.PostgresError, ConnectionError, OSError)):
                await pool.fetchval("SELECT endless(1)")
            deadline = time.monotonic() + 30
            while True:
                try:
                    assert await pool.fetchval("SELECT a FROM kept") == 1
                except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    assert time.monotonic() < deadline
                else:
                    break
        log = (data_dir / "database.log").read_text()
    assert "RuntimeError" in log or "RangeError" in log


def test_restart_loads_timescaledb(data_dir: Path) -> None:
    with embedded_database(data_dir, maintenance=None) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE point (at timestamptz NOT NULL)")
            connection.execute("SELECT create_hypertable('point', 'at')")
        newest_node().kill()
        wait_until_it_answers(url)
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO point VALUES ('2030-01-01')")
            chunks = connection.execute("SELECT count(*) FROM show_chunks('point')").fetchone()
            assert chunks == (1,)
