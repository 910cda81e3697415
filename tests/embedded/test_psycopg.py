import threading
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.embedded.conftest import Connection, copy_in


def test_parameters_come_back(connection: Connection) -> None:
    sent = (Jsonb({"a": 1}), Decimal("1.23456789"), datetime(2024, 1, 1, tzinfo=UTC), [1, 2**40])
    row = connection.execute("SELECT %s::jsonb, %s::numeric, %s::timestamptz, %s::int8[]", sent)
    assert row.fetchone() == ({"a": 1}, *sent[1:])


def test_binary_results_are_read(connection: Connection) -> None:
    cursor = connection.cursor(binary=True)
    cursor.execute("SELECT 1.5::float8, 2::int8, 1.25::numeric, 'é'")
    assert cursor.fetchone() == (1.5, 2, Decimal("1.25"), "é")


def test_automatic_prepare_and_eviction(url: str) -> None:
    with psycopg.connect(url, prepare_threshold=0, autocommit=True) as connection:
        connection.prepared_max = 3
        for i in range(12):
            assert connection.execute(f"SELECT {i} + %s::int", (1,)).fetchone() == (i + 1,)
        count = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
        assert count is not None
        assert count[0] <= 5


def test_deallocate_all_and_discard_all_are_for_one_connection(url: str) -> None:
    with (
        psycopg.connect(url, prepare_threshold=0, autocommit=True) as one,
        psycopg.connect(url, prepare_threshold=0, autocommit=True) as two,
    ):
        for command, tag in (("DEALLOCATE ALL", "DEALLOCATE ALL"), ("DISCARD ALL", "DISCARD ALL")):
            assert one.execute("SELECT %s::int + 7", (1,)).fetchone() == (8,)
            assert two.execute("SELECT %s::int + 8", (1,)).fetchone() == (9,)
            assert two.execute(command).statusmessage == tag
            assert one.execute("SELECT %s::int + 7", (2,)).fetchone() == (9,)


def test_prepared_statement_survives_the_drop_of_its_table(url: str) -> None:
    with psycopg.connect(url, prepare_threshold=0) as connection:
        connection.execute("CREATE TABLE gone (a int)")
        connection.commit()
        connection.execute("SELECT * FROM gone WHERE a = %s", (1,))
        connection.execute("DROP TABLE gone")
        connection.commit()
        assert connection.execute("SELECT %s::int", (1,)).fetchone() == (1,)


@pytest.mark.parametrize("form", ["text", "binary"])
def test_copy_in_and_out(connection: Connection, table: str, form: str) -> None:
    cursor = connection.cursor()
    with cursor.copy(f"COPY item FROM STDIN (FORMAT {form})") as copy:
        copy.set_types(["int4", "text", "numeric"])
        for i in range(5000):
            copy.write_row((i, f"é{i}", Decimal(i)))
    assert cursor.rowcount == 5000
    with cursor.copy(
        f"COPY (SELECT id, name FROM item ORDER BY id) TO STDOUT (FORMAT {form})"
    ) as out:
        out.set_types(["int4", "text"])
        assert list(out.rows()) == [(i, f"é{i}") for i in range(5000)]


def test_bad_copy_row_fails_the_copy_alone(connection: Connection, table: str) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        copy_in(connection, "item (id)", ["bad"] * 30_000)
    assert connection.execute("SELECT count(*) FROM item").fetchone() == (0,)


def test_copy_behind_another_statement_is_refused(connection: Connection, table: str) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled, match="first statement"):
        connection.execute("SELECT 1; COPY item FROM STDIN")
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_pipeline_returns_results_in_order(connection: Connection) -> None:
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int", (i,)) for i in range(200)]
    assert [cursor.fetchone() for cursor in cursors] == [(i,) for i in range(200)]


def test_pipeline_is_usable_after_an_error(connection: Connection) -> None:
    def run() -> None:
        with connection.pipeline():
            for divisor in (1, 0, 3):
                connection.execute("SELECT 1 / %s", (divisor,))

    with pytest.raises(psycopg.errors.DivisionByZero):
        run()
    assert connection.execute("SELECT 4").fetchone() == (4,)


def test_pipeline_with_fetches_in_between_is_one_transaction(url: str, table: str) -> None:
    with psycopg.connect(url) as connection, connection.pipeline():
        connection.execute("INSERT INTO item VALUES (1)")
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (1,)
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (0,)


def test_executemany_stores_every_row(connection: Connection, table: str) -> None:
    rows = [(i, "x") for i in range(2000)]
    connection.cursor().executemany("INSERT INTO item VALUES (%s, %s)", rows)
    assert connection.execute("SELECT count(*) FROM item").fetchone() == (2000,)


def test_server_cursor_reads_and_scrolls(url: str) -> None:
    with psycopg.connect(url) as connection, connection.cursor("mine", scrollable=True) as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT generate_series(1, 1000)")
        assert sum(row[0] for row in cursor) == 500_500
        cursor.scroll(10, mode="absolute")
        assert cursor.fetchone() == (11,)


def test_nested_transactions_roll_back_inwards(connection: Connection, table: str) -> None:
    with connection.transaction():
        connection.execute("INSERT INTO item VALUES (1)")
        with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
            connection.execute("INSERT INTO item VALUES (1)")
        connection.execute("INSERT INTO item VALUES (2)")
    assert connection.execute("SELECT count(*) FROM item").fetchone() == (2,)


def test_notification_crosses_threads(url: str, connection: Connection) -> None:
    connection.execute("LISTEN news")

    def publish() -> None:
        with psycopg.connect(url, autocommit=True) as publisher:
            publisher.execute("NOTIFY news, 'hey'")

    thread = threading.Thread(target=publish)
    thread.start()
    heard = [event.payload for event in connection.notifies(timeout=10, stop_after=1)]
    thread.join()
    assert heard == ["hey"]


def test_notices_reach_the_client(connection: Connection) -> None:
    heard: list[str | None] = []
    connection.add_notice_handler(lambda notice: heard.append(notice.message_primary))
    connection.execute("DO $$ BEGIN RAISE NOTICE 'hi'; END $$")
    assert heard == ["hi"]


def test_session_time_zone_is_told_to_the_client(url: str) -> None:
    with psycopg.connect(url, options="-c timezone=Asia/Tokyo") as connection:
        row = connection.execute("SELECT TIMESTAMPTZ '2024-01-01 00:00+00'").fetchone()
        assert row is not None
        assert row[0].isoformat() == "2024-01-01T09:00:00+09:00"
        connection.execute("SET timezone = 'Europe/Berlin'")
        connection.commit()
        assert connection.info.parameter_status("TimeZone") == "Europe/Berlin"
        connection.execute("RESET ALL")
        connection.commit()
        assert connection.info.parameter_status("TimeZone") == "Asia/Tokyo"


@pytest.mark.parametrize("option", ["no_such_setting=1", "work_mem=many", "timezone=Mars/Olympus"])
def test_bad_start_up_setting_refuses_the_connection(url: str, option: str) -> None:
    with pytest.raises(
        psycopg.OperationalError, match=option.partition("=")[0].lower() + "|TimeZone"
    ):
        psycopg.connect(url, options=f"-c {option}")


def test_unknown_database_and_user_are_refused(url: str) -> None:
    with pytest.raises(psycopg.OperationalError, match='database "shop" does not exist'):
        psycopg.connect(url, dbname="shop")
    with pytest.raises(psycopg.OperationalError, match='"bob" cannot connect'):
        psycopg.connect(url, user="bob")


async def test_async_connection_works(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("SELECT %s::int", (5,))
        assert await cursor.fetchone() == (5,)
