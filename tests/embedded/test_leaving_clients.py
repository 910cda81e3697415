"""A client may go at any moment; what it had not committed goes with it."""

from collections.abc import Callable

import psycopg
import pytest

from tests.embedded.conftest import wire
from tests.embedded.wire_client import (
    EXECUTE,
    FLUSH,
    WireClient,
    bind,
    message,
    parse,
    query,
)


def leave_in_query(client: WireClient) -> None:
    client.send(query("SELECT count(*) FROM generate_series(1, 1000000)"))


def leave_in_transaction(client: WireClient) -> None:
    client.send(query("BEGIN; INSERT INTO item VALUES (1)"))
    client.until("Z")


def leave_in_failed_transaction(client: WireClient) -> None:
    client.send(query("BEGIN"))
    client.send(query("INSERT INTO item VALUES (1), (1)"))
    client.until("E")


def leave_in_copy(client: WireClient) -> None:
    client.send(query("COPY item (id) FROM STDIN"))
    client.until("G")
    client.send(message(b"d", b"1\n2\n") + b"d\0\0\1\0half")


def leave_in_copy_in_transaction(client: WireClient) -> None:
    leave_in_transaction(client)
    leave_in_copy(client)


def leave_in_batch(client: WireClient) -> None:
    client.send(parse("", "INSERT INTO item VALUES (1)") + bind() + EXECUTE + FLUSH)
    client.until("C")


def leave_in_failed_batch(client: WireClient) -> None:
    client.send(parse("", "SELECT 1 / 0") + bind() + EXECUTE + FLUSH)
    client.until("E")


def leave_in_message(client: WireClient) -> None:
    client.send(b"Q\0\0\0\x30SELECT")


def leave_with_everything_in_flight(client: WireClient) -> None:
    client.send(
        query("BEGIN") + query("INSERT INTO item VALUES (1)") + query("SELECT pg_sleep(0.2)")
    )


@pytest.mark.parametrize(
    "leave",
    [
        leave_in_query,
        leave_in_transaction,
        leave_in_failed_transaction,
        leave_in_copy,
        leave_in_copy_in_transaction,
        leave_in_batch,
        leave_in_failed_batch,
        leave_in_message,
        leave_with_everything_in_flight,
    ],
)
def test_client_that_leaves_undoes_its_work_and_frees_the_backend(
    url: str, table: str, leave: Callable[[WireClient], None]
) -> None:
    with wire(url) as client:
        client.start()
        leave(client)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
