"""The schema goes up, down and up again, on each edition, and never by two at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

import migrations
from app.errors import DatabaseUnavailable
from app.rollups.catalogue import ROLLUPS
from app.rollups.refresh import are_continuous
from app.storage.database import connect
from app.storage.migrate import SchemaState, downgrade, migrate, rebuild_rollups, schema_state
from tests.conftest import TestDatabase
from tests.ingestion.imports import load, new_instruments, write_text, writing
from tests.parts.postgres import NativeServer

REVISIONS = sorted(path.name[:4] for path in Path(migrations.__path__[0], "versions").glob("0*.py"))
HEAD = REVISIONS[-1]
TABLES = """
SELECT table_name::text FROM information_schema.tables
WHERE table_schema = 'public' AND table_name <> 'alembic_version'
ORDER BY 1
"""


def tables(url: str) -> list[str]:
    with psycopg.connect(url, autocommit=True) as session:
        return [row[0] for row in session.execute(TABLES).fetchall()]


def continuous(url: str) -> bool:
    with connect(url, timeout_s=10, statement_timeout_s=60) as connection:
        return are_continuous(connection)


def test_up_down_and_up_again_gives_the_same(database: TestDatabase, tmp_path: Path) -> None:
    before = tables(database.url)
    assert {rollup.view for rollup in ROLLUPS} < set(before)
    text = "symbol,time,price,size\nUP.DOWN,2024-01-02,1,1\n"
    path = write_text(tmp_path / "t.csv", text)
    with writing(database.url) as connection:
        load(connection, path, create=new_instruments())
    assert downgrade(database.url, "base") == SchemaState(current=None, head=HEAD)
    assert tables(database.url) == []
    state = migrate(database.url)
    assert (state.current, state.up_to_date, state.known) == (HEAD, True, True)
    assert tables(database.url) == before
    with writing(database.url) as connection:
        assert load(connection, path, create=new_instruments()).numbers == (1, 1, 0, 0)
    assert migrate(database.url).up_to_date


@pytest.mark.parametrize("target", REVISIONS[:-1])
def test_every_step_can_be_taken_back(target: str, native_database: TestDatabase) -> None:
    before = tables(native_database.url)
    state = downgrade(native_database.url, target)
    assert state.current == target
    assert not state.up_to_date
    assert schema_state(native_database.url) == state
    migrate(native_database.url)
    assert tables(native_database.url) == before


def test_rebuilt_rollups_are_what_the_edition_allows_and_the_rows_stay(
    database: TestDatabase, tmp_path: Path
) -> None:
    path = write_text(tmp_path / "t.csv", "symbol,time,price,size\nKEPT,2024-01-02,1,1\nX,x,1,1\n")
    with writing(database.url) as connection:
        load(connection, path, create=new_instruments())
        allowed = are_continuous(connection)
        # As a server of the Apache edition has them.
        for rollup in reversed(ROLLUPS):
            kind = "MATERIALIZED VIEW" if allowed else "VIEW"
            connection.execute(f"DROP {kind} {rollup.view}".encode())
        for rollup in ROLLUPS:
            connection.execute(f"CREATE VIEW {rollup.view} AS SELECT 1 AS one".encode())
        head = connection.execute("SELECT max(sequence) FROM audit").fetchone()
    assert not continuous(database.url)
    assert rebuild_rollups(database.url).up_to_date
    assert continuous(database.url) is allowed
    with writing(database.url) as connection:
        assert connection.execute("SELECT max(sequence) FROM audit").fetchone() == head
        assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (1,)
        counted = connection.execute(f"SELECT sum(trades) FROM {ROLLUPS[0].view}".encode())
        assert counted.fetchone() == connection.execute("SELECT count(*) FROM trade").fetchone()


def test_two_that_migrate_at_once_both_succeed(empty: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        states = list(pool.map(migrate, [empty] * 4))
    assert all(state.up_to_date for state in states)


def test_an_empty_database_is_at_nothing(empty: str) -> None:
    assert schema_state(empty) == SchemaState(current=None, head=HEAD)


def test_a_schema_of_a_newer_version_is_not_known(empty: str) -> None:
    migrate(empty)
    with psycopg.connect(empty, autocommit=True) as session:
        session.execute("UPDATE alembic_version SET version_num = '9999'")
    state = schema_state(empty)
    assert (state.current, state.known, state.up_to_date) == ("9999", False, False)
    with pytest.raises(DatabaseUnavailable, match="the schema could not be changed: .*9999"):
        migrate(empty)


def test_a_role_that_may_not_create_is_told_so(empty: str, native_server: NativeServer) -> None:
    with psycopg.connect(native_server.url, autocommit=True) as session:
        session.execute("CREATE ROLE onlooker LOGIN")
    try:
        with pytest.raises(DatabaseUnavailable, match="permission denied"):
            migrate(empty.replace("postgres@", "onlooker@"))
    finally:
        with psycopg.connect(native_server.url, autocommit=True) as session:
            session.execute("DROP ROLE onlooker")


@pytest.fixture
def empty(native_server: NativeServer) -> Iterator[str]:
    """A database with nothing in it, not even the extension."""
    with psycopg.connect(native_server.url, autocommit=True) as session:
        session.execute("CREATE DATABASE nothing_yet TEMPLATE template0")
    yield native_server.database_url("nothing_yet")
    native_server.drop_database("nothing_yet")
