"""What one session must not notice of another, though one backend serves them all."""

from collections.abc import Callable

import psycopg
import pytest

from tests.embedded.conftest import Connection


def shown(connection: Connection, name: str) -> object:
    row = connection.execute(f"SELECT current_setting('{name}', true)").fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TimeZone", "UTC"),
        ("search_path", '"$user", public'),
        ("jit", "off"),
        ("enable_seqscan", "on"),
        ("client_min_messages", "notice"),
        ("statement_timeout", "0"),
        ("role", "none"),
    ],
)
@pytest.mark.parametrize("disturb", ["SELECT 1", "RESET ALL", "DISCARD ALL"])
def test_baseline(connection: Connection, name: str, expected: str, disturb: str) -> None:
    connection.execute(disturb)
    assert shown(connection, name) == expected


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ("SET work_mem = '77MB'", "work_mem", "77MB"),
        ("SET SESSION TIME ZONE 'Asia/Tokyo'", "TimeZone", "Asia/Tokyo"),
        ("SELECT set_config('app.tenant', 'x''y', false)", "app.tenant", "x'y"),
        ("DO $$ BEGIN SET work_mem = '78MB'; END $$", "work_mem", "78MB"),
        ("SET search_path = pg_catalog, public", "search_path", "pg_catalog, public"),
        ("SET enable_seqscan = off", "enable_seqscan", "off"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "transaction_read_only", "on"),
    ],
)
def test_setting_is_kept_for_its_session_alone(
    connection: Connection, other: Connection, change: str, name: str, value: str
) -> None:
    before = shown(other, name) or ""
    connection.execute(change)
    for _ in range(3):
        assert shown(connection, name) == value
        assert (shown(other, name) or "") == before
    connection.execute("RESET ALL")
    assert (shown(connection, name) or "") == before


def test_setting_with_parameters_is_noticed_each_time(url: str, other: Connection) -> None:
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        for value in ("one", "two", "three"):
            connection.execute("SELECT set_config('app.who', %s, false)", (value,))
            assert shown(other, "app.who") in (None, "")
            assert shown(connection, "app.who") == value


def test_local_setting_ends_with_its_transaction(connection: Connection) -> None:
    with connection.transaction():
        connection.execute("SET LOCAL work_mem = '99MB'")
        assert shown(connection, "work_mem") == "99MB"
    assert shown(connection, "work_mem") == "4MB"


def test_setting_of_a_rolled_back_transaction_is_gone(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("SET work_mem = '98MB'")
    assert shown(connection, "work_mem") == "4MB"


def test_role_is_kept_for_its_session_alone(connection: Connection, other: Connection) -> None:
    connection.execute("CREATE ROLE reader LOGIN")
    try:
        for take, give_back in (
            ("SET ROLE reader", "RESET ROLE"),
            ("SET SESSION AUTHORIZATION reader", "RESET SESSION AUTHORIZATION"),
            ("SET SESSION AUTHORIZATION reader", "DISCARD ALL"),
        ):
            connection.execute(take)
            assert other.execute("SELECT current_user, session_user").fetchone() == (
                "postgres",
                "postgres",
            )
            assert connection.execute("SELECT current_user").fetchone() == ("reader",)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("CREATE TABLE mine (a int)")
            connection.execute(give_back)
            assert connection.execute("SELECT current_user").fetchone() == ("postgres",)
    finally:
        other.execute("DROP ROLE reader")


def test_role_of_a_closed_session_is_gone(url: str, other: Connection) -> None:
    other.execute("CREATE ROLE visitor")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET ROLE visitor")
    assert other.execute("SELECT current_user").fetchone() == ("postgres",)
    other.execute("DROP ROLE visitor")


def test_temporary_tables_of_one_name_do_not_meet(
    connection: Connection, other: Connection
) -> None:
    for each, value in ((connection, 1), (other, 2)):
        each.execute("CREATE TEMP TABLE staging (id serial PRIMARY KEY, value int)")
        each.execute("INSERT INTO staging (value) VALUES (%s)", (value,))
    for _ in range(3):
        assert connection.execute("SELECT value FROM staging").fetchall() == [(1,)]
        assert other.execute("SELECT value FROM staging").fetchall() == [(2,)]
    other.execute("DROP TABLE staging")
    assert connection.execute("SELECT value FROM staging").fetchall() == [(1,)]
    other.execute("DISCARD TEMP")
    assert connection.execute("SELECT value FROM staging").fetchall() == [(1,)]


def test_temporary_table_ends_with_its_session(url: str, other: Connection) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE scratch AS SELECT 1 AS a")
        connection.execute("CREATE TEMP VIEW scratch_view AS SELECT a FROM scratch")
    left = other.execute("SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()")
    assert left.fetchall() == []


def test_temporary_table_drops_on_commit(connection: Connection, other: Connection) -> None:
    for each in (connection, other, connection):
        with each.transaction():
            each.execute("CREATE TEMP TABLE load (a int) ON COMMIT DROP")
            with each.cursor().copy("COPY load FROM STDIN") as copy:
                copy.write_row((1,))
            assert each.execute("SELECT count(*) FROM load").fetchone() == (1,)
        assert each.execute("SELECT to_regclass('load')").fetchone() == (None,)


def test_sql_prepared_statements_of_one_name_do_not_meet(
    connection: Connection, other: Connection
) -> None:
    connection.execute("PREPARE pick AS SELECT 1")
    other.execute("PREPARE pick AS SELECT 2")
    assert connection.execute("EXECUTE pick").fetchone() == (1,)
    assert other.execute("EXECUTE pick").fetchone() == (2,)
    assert other.execute("EXPLAIN EXECUTE pick").fetchone() is not None
    with pytest.raises(psycopg.errors.DuplicatePreparedStatement, match='"pick" already exists'):
        connection.execute("PREPARE pick AS SELECT 3")
    other.execute("DEALLOCATE pick")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName, match='"pick" does not exist'):
        other.execute("EXECUTE pick")
    assert connection.execute("EXECUTE pick").fetchone() == (1,)


def test_unlisten_all_is_for_one_session(connection: Connection, other: Connection) -> None:
    connection.execute("LISTEN shared")
    other.execute("LISTEN shared")
    assert other.execute("UNLISTEN *").statusmessage == "UNLISTEN"
    other.execute("NOTIFY shared, 'x'")
    assert [e.payload for e in connection.notifies(timeout=5, stop_after=1)] == ["x"]
    assert list(other.notifies(timeout=0.1, stop_after=1)) == []


def test_listen_of_a_rolled_back_transaction_is_not_heard(
    connection: Connection, other: Connection
) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("LISTEN undone")
    other.execute("NOTIFY undone")
    assert list(connection.notifies(timeout=0.1, stop_after=1)) == []


def test_held_cursor_outlives_another_sessions_reset(
    connection: Connection, other: Connection
) -> None:
    with connection.transaction():
        connection.execute("DECLARE kept CURSOR WITH HOLD FOR SELECT generate_series(1, 3)")
    other.execute("CLOSE ALL")
    other.execute("DISCARD ALL")
    assert connection.execute("FETCH ALL FROM kept").fetchall() == [(1,), (2,), (3,)]


def test_held_cursor_ends_with_its_session(url: str, other: Connection) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("DECLARE left_open CURSOR WITH HOLD FOR SELECT 1")
    assert other.execute("SELECT name FROM pg_cursors").fetchall() == []


def test_transaction_level_advisory_lock_excludes(
    url: str, connection: Connection, other: Connection
) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(7)")
    with other.transaction():
        assert other.execute("SELECT pg_try_advisory_xact_lock(7)").fetchone() == (True,)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'LISTEN x; SET work_mem = ''1MB''; DISCARD ALL'",
        "SELECT $a$ ; RESET ALL; $a$ -- ; DISCARD ALL",
        "/* SET work_mem = '1MB'; /* nested */ */ SELECT 1",
        "SELECT E'\\'; SET work_mem = ''1MB'''",
        'SELECT 1 AS "; DEALLOCATE ALL;"',
    ],
)
def test_text_that_only_looks_like_a_command_changes_nothing(
    connection: Connection, sql: str
) -> None:
    connection.execute("SET work_mem = '5MB'")
    assert connection.execute(sql).fetchone() is not None
    assert shown(connection, "work_mem") == "5MB"


def test_unnamed_statement_of_another_session_is_not_met(
    connection: Connection, other: Connection
) -> None:
    run: list[Callable[[], object]] = [
        lambda: connection.execute("SELECT %s::int", (1,), prepare=False).fetchone(),
        lambda: other.execute("SELECT %s::text", ("b",), prepare=False).fetchone(),
    ]
    assert [each() for _ in range(3) for each in run] == [(1,), ("b",)] * 3
