"""Whatever a client sends, the others keep their database."""

import os
import struct

import psycopg
import pytest

from tests.embedded.conftest import Connection, answers, wire
from tests.embedded.wire_client import (
    EXECUTE,
    FLUSH,
    SYNC,
    bind,
    codes,
    message,
    parse,
    query,
    rows,
    startup,
)


def packet(length: int, code: int, body: bytes = b"") -> bytes:
    return struct.pack("!iI", length, code) + body


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "08P01", id="http"),
        pytest.param(packet(0, 196608), "08P01", id="length 0"),
        pytest.param(packet(-1, 196608), "08P01", id="negative length"),
        pytest.param(packet(2**31 - 1, 196608), "08P01", id="huge length"),
        pytest.param(packet(8, 131072), "0A000", id="protocol 2"),
        pytest.param(packet(8, 262144), "0A000", id="protocol 4"),
        pytest.param(bytes.fromhex("16030100a5010000a10303"), "08P01", id="tls hello"),
        pytest.param(packet(9, 196608, b"\0"), "28000", id="no user"),
        pytest.param(packet(12, 196608, b"user"), "08P01", id="no terminator"),
        pytest.param(startup(replication="true"), "0A000", id="replication"),
        pytest.param(packet(12, 80877102, b"\0\0\0\1"), "08P01", id="short cancel"),
    ],
)
def test_bad_start_up_is_refused(url: str, sent: bytes, code: str) -> None:
    with wire(url) as client:
        client.send(sent)
        received = client.until("Z")
        assert codes(received) == [code]
        assert client.is_closed_by_server()
    assert answers(url)


@pytest.mark.parametrize("code", [80877103, 80877104])
def test_encryption_is_declined_and_the_start_goes_on(url: str, code: int) -> None:
    with wire(url) as client:
        client.send(packet(8, code))
        assert client.raw(1) == b"N"
        assert client.start()[-1] == ("Z", b"I")


def test_newer_minor_protocol_is_negotiated_down(url: str) -> None:
    with wire(url) as client:
        body = startup(**{"_pq_.fancy": "1"})[8:]
        client.send(packet(len(body) + 8, 196610, body))
        first, *_, last = client.until("Z")
        assert first[0] == "v"
        assert b"_pq_.fancy" in first[1]
        assert last == ("Z", b"I")


def test_random_bytes_never_harm(url: str) -> None:
    for seed in range(40):
        with wire(url) as client:
            if seed % 2:
                client.start()
            try:
                client.send(os.urandom(64))
            except BrokenPipeError:
                continue
    assert answers(url)


def test_start_up_may_arrive_byte_by_byte(url: str) -> None:
    with wire(url) as client:
        for byte in startup() + query("SELECT 7"):
            client.send(bytes([byte]))
        client.until("Z")
        assert rows(client.until("Z")) == [b"7"]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x01\0\0\0\4", id="unknown type"),
        pytest.param(b"Q\xff\xff\xff\xff", id="negative length"),
        pytest.param(b"Q\0\0\0\3", id="length 3"),
        pytest.param(b"Q\x7f\xff\xff\xffabc", id="2 GB length"),
        pytest.param(b"Q\0\0\0\x0cselect 1", id="query without end"),
        pytest.param(message(b"P", b"ab"), id="cut Parse"),
        pytest.param(message(b"B", b"\0"), id="cut Bind"),
        pytest.param(message(b"p", b"secret\0"), id="late password"),
    ],
)
def test_broken_message_ends_its_connection_only(url: str, sent: bytes) -> None:
    with wire(url) as client:
        client.start()
        client.send(sent)
        assert codes(client.until("Z")) == ["08P01"]
        assert client.is_closed_by_server()
    assert answers(url)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(bind() + SYNC, "26000", id="bind nothing"),
        pytest.param(EXECUTE + SYNC, "34000", id="execute nothing"),
        pytest.param(
            parse("", "SELECT $1") + message(b"B", b"\0\0\0\1") + SYNC, "08P01", id="bind"
        ),
        pytest.param(message(b"F", b"\0\0\4\xd2" + b"\0" * 6), "42883", id="function call"),
        pytest.param(message(b"Q", b"SELECT '\xff\xfe'\0"), "22021", id="invalid utf-8"),
        pytest.param(message(b"D", b"Snone\0") + SYNC, "26000", id="describe nothing"),
    ],
)
def test_wrong_message_fails_and_the_connection_goes_on(url: str, sent: bytes, code: str) -> None:
    with wire(url) as client:
        client.start()
        client.send(sent)
        assert codes(client.until("Z")) == ([code] if code else [])
        client.send(query("SELECT 7"))
        assert rows(client.until("Z")) == [b"7"]


def test_copy_messages_without_a_copy_are_ignored(url: str) -> None:
    with wire(url) as client:
        client.start()
        client.send(
            message(b"d", b"abc") + message(b"c") + message(b"f", b"x\0") + query("SELECT 7")
        )
        assert rows(client.until("Z")) == [b"7"]


def test_messages_after_an_error_are_skipped_until_sync(url: str) -> None:
    with wire(url) as client:
        client.start()
        failing = parse("", "SELECT 1 / 0") + bind() + EXECUTE
        client.send(failing + FLUSH + parse("", "SELECT 8") + bind() + EXECUTE)
        assert codes(client.until("E")) == ["22012"]
        client.send(query("SELECT 9") + SYNC)
        assert rows(client.until("Z")) == []
        client.send(query("SELECT 7"))
        assert rows(client.until("Z")) == [b"7"]


def test_error_in_prepare_skips_until_sync(url: str) -> None:
    with wire(url) as client:
        client.start()
        client.send(parse("a", "SELEC") + FLUSH)
        assert codes(client.until("E")) == ["42601"]
        client.send(bind("", "a") + EXECUTE + SYNC)
        assert [kind for kind, _ in client.until("Z")] == ["Z"]


def test_copy_by_the_extended_protocol_stores_its_rows(url: str, table: str) -> None:
    with wire(url) as client:
        client.start()
        client.send(parse("", "COPY item (id) FROM STDIN") + bind() + EXECUTE + SYNC)
        assert client.until("G")[-1][0] == "G"
        client.send(message(b"d", b"1\n2\n") + message(b"c") + SYNC)
        assert [kind for kind, _ in client.until("Z")] == ["C", "Z"]
        for table_name, code in (("nothing", "42P01"), ("item", "22P02")):
            client.send(parse("", f"COPY {table_name} FROM STDIN") + bind() + EXECUTE + SYNC)
            client.until("G")
            client.send(message(b"d", b"bad\n") + message(b"c") + SYNC)
            assert codes(client.until("Z")) == [code]
        client.send(query("SELECT count(*) FROM item"))
        assert rows(client.until("Z")) == [b"2"]


def test_strange_message_during_copy_ends_its_connection(url: str, table: str) -> None:
    with wire(url) as client:
        client.start()
        client.send(query("COPY item (id) FROM STDIN"))
        client.until("G")
        client.send(message(b"d", b"1\n") + query("SELECT 1"))
        assert codes(client.until("Z")) == ["08P01"]
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (0,)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT length(repeat('x', 1000000000))", "53200"),
        ("COPY item FROM '/no/such/file'", "58P01"),
        ("SET exit_on_error = on; SELECT 1 / 0", "22012"),
        ("RESET ALL; SELECT 1 / 0", "22012"),
        ("ROLLBACK; SELECT 1 / 0", "22012"),
        ("PREPARE TRANSACTION 'a'", None),
        ("SELECT pg_terminate_backend(pg_backend_pid())", None),
        ("SELECT " + "(" * 5000 + "1" + ")" * 5000, None),
    ],
)
def test_harsh_statement_fails_at_most_itself(
    connection: Connection, table: str, sql: str, code: str | None
) -> None:
    if code is None:
        connection.execute(sql)
    else:
        with pytest.raises(psycopg.Error) as raised:
            connection.execute(sql)
        assert raised.value.sqlstate == code
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_large_parameter_and_large_text_pass(connection: Connection) -> None:
    large = "x" * (16 << 20)
    assert connection.execute("SELECT length(%s::text)", (large,)).fetchone() == (16 << 20,)
    row = connection.execute(f"SELECT length('{large}')").fetchone()
    assert row == (16 << 20,)


def test_hundred_abrupt_connections_leave_room(url: str) -> None:
    for i in range(200):
        with wire(url) as client:
            if i % 2:
                client.send(startup())
    assert answers(url)
