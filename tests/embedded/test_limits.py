"""Bounds on what clients may use; the server of these tests has small ones."""

import time
from collections.abc import Callable

import asyncpg
import psycopg
import pytest

from tests.embedded.conftest import answers, copy_in, wire
from tests.embedded.wire_client import WireClient, codes, message, query, rows, startup


def test_one_connection_too_many_is_refused(strict_url: str) -> None:
    held = [psycopg.connect(strict_url) for _ in range(5)]
    try:
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            psycopg.connect(strict_url)
        with wire(strict_url) as client:
            client.send(startup())
            assert codes(client.until("Z")) == ["53300"]
    finally:
        for connection in held:
            connection.close()
    assert answers(strict_url)


def test_idle_transaction_ends_and_frees_the_backend(strict_url: str) -> None:
    with wire(strict_url) as client, psycopg.connect(strict_url) as other:
        client.start()
        client.send(query("BEGIN; CREATE TABLE never (a int)"))
        client.until("Z")
        begun = time.monotonic()
        assert other.execute("SELECT to_regclass('never')").fetchone() == (None,)
        assert 1 < time.monotonic() - begun < 15
        assert codes(client.until("Z")) == ["25P03"]
        assert client.is_closed_by_server()


def test_sessions_own_idle_limit_holds(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SET idle_in_transaction_session_timeout = '200ms'")
        time.sleep(1)
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            connection.execute("SELECT 1")


def test_transaction_that_works_on_is_not_idle(strict_url: str) -> None:
    with psycopg.connect(strict_url) as connection:
        for _ in range(5):
            connection.execute("SELECT 1")
            time.sleep(0.6)


def test_copy_that_goes_on_in_a_transaction_is_not_idle(strict_url: str) -> None:
    with psycopg.connect(strict_url) as connection:
        connection.execute("CREATE TEMP TABLE slow (a int) ON COMMIT DROP")
        with connection.cursor().copy("COPY slow FROM STDIN") as copy:
            for _ in range(5):
                copy.write(b"1\n" * 20_000)
                time.sleep(0.6)
        assert connection.execute("SELECT count(*) FROM slow").fetchone() == (100_000,)


def test_silent_connection_is_closed(strict_url: str) -> None:
    with wire(strict_url) as client:
        begun = time.monotonic()
        assert client.is_closed_by_server()
        assert time.monotonic() - begun < 15


def test_oversized_message_is_refused(strict_url: str) -> None:
    with wire(strict_url) as client:
        client.start()
        client.send(b"Q" + (2 << 20).to_bytes(4, "big"))
        assert codes(client.until("Z")) == ["08P01"]
    assert answers(strict_url)


def test_oversized_result_is_an_error(strict_url: str) -> None:
    with psycopg.connect(strict_url, autocommit=True) as connection:
        large = "SELECT repeat('x', 1000) FROM generate_series(1, 50000)"
        for _ in range(2):
            with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="larger than 8 MiB"):
                connection.execute(large)
            with pytest.raises(psycopg.errors.ProgramLimitExceeded):
                connection.execute(large + " WHERE %s", (True,))
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with connection.transaction(), connection.cursor("portions") as cursor:
            cursor.itersize = 1000
            cursor.execute(large)
            assert sum(1 for _ in cursor) == 50_000


def test_oversized_copy_is_an_error(strict_url: str) -> None:
    with psycopg.connect(strict_url, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE big (a text)")
        with pytest.raises(psycopg.errors.QueryCanceled, match="more than 4 MiB"):
            copy_in(connection, "big", ["x" * 100_000] * 100)
        assert connection.execute("SELECT count(*) FROM big").fetchone() == (0,)
        for _ in range(3):
            copy_in(connection, "big", ["x" * 100_000] * 30)
        assert connection.execute("SELECT count(*) FROM big").fetchone() == (90,)


def never_reads_its_results(client: WireClient) -> None:
    client.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 6000)") * 3)


def never_reads_its_notifications(client: WireClient) -> None:
    client.send(query("LISTEN flood"))


@pytest.mark.parametrize("behave", [never_reads_its_results, never_reads_its_notifications])
async def test_client_that_never_reads_is_closed_and_others_go_on(
    strict_url: str, behave: Callable[[WireClient], None]
) -> None:
    with wire(strict_url) as client:
        client.start()
        behave(client)
        connection = await asyncpg.connect(strict_url)
        flood = "SELECT pg_notify('flood', repeat('x', 7000)) FROM generate_series(1, 5)"
        deadline = time.monotonic() + 30
        while client.is_connected():
            assert time.monotonic() < deadline
            await connection.fetch(flood)
            assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


def test_slow_reader_gets_everything(strict_url: str) -> None:
    with wire(strict_url) as client:
        client.start()
        client.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 6000)") * 2)
        time.sleep(1)
        received = client.until("Z")
        assert len(rows(received)) == 6000
        time.sleep(1)
        assert len(rows(client.until("Z"))) == 6000


def test_terminate_message_closes(strict_url: str) -> None:
    with wire(strict_url) as client:
        client.start()
        client.send(message(b"X"))
        assert client.is_closed_by_server()
