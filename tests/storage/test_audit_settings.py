"""Changed settings are told once, and their secrets never."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.storage.audit_settings import masked_value, record_configuration
from app.storage.database import Connection
from tests.conftest import TestDatabase
from tests.ingestion.imports import writing
from tests.storage.audit_trail import add_discard, look


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    with writing(database.url) as connection:
        yield connection


def told(connection: Connection) -> list[tuple[str, str, dict[str, str]]]:
    rows = connection.execute(
        "SELECT actor, subject, detail FROM audit WHERE action = 'CONFIGURATION' ORDER BY sequence"
    ).fetchall()
    return [(actor, subject, json.loads(detail)) for actor, subject, detail in rows]


def test_settings_are_told_when_they_change(connection: Connection) -> None:
    one = {"port": "8000", "database_url": "postgresql://tick:pa@ss@host/db", "token": "t"}
    first = record_configuration(connection, actor="me", settings=one)
    assert first is not None
    assert (
        record_configuration(connection, actor="other", settings=dict(reversed(one.items())))
        is None
    )
    add_discard(connection, 1)
    again = one | {"database_url": "postgresql://tick:changed@host/db", "token": "u"}
    assert record_configuration(connection, actor="me", settings=again) is None
    assert record_configuration(connection, actor="me", settings=one, subject="policies")
    assert record_configuration(connection, actor="you", settings=one | {"port": "1"})
    assert record_configuration(connection, actor="me", settings=one)
    masked = one | {"database_url": "postgresql://tick:***@host/db", "token": "***"}
    assert told(connection) == [
        ("me", "settings", masked),
        ("me", "policies", masked),
        ("you", "settings", masked | {"port": "1"}),
        ("me", "settings", masked),
    ]
    assert look(connection).whole


def test_servers_that_start_at_once_tell_it_once(
    connection: Connection, database: TestDatabase
) -> None:
    def start(number: int) -> bool:
        with writing(database.url) as own:
            made = record_configuration(own, actor="me", settings={"a": "b"}, subject="at once")
            return made is not None

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(start, range(6))) == 1
    assert look(connection).whole


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("postgresql://user:secret@host:5432/db", "postgresql://user:***@host:5432/db"),
        ("postgres://user:s:e/c@r?e#t@host/db", "postgres://user:***@host/db"),
        ("postgresql://user@host/db?application_name=a:b", None),
        ("postgresql:///db?host=/run/socket&user=u", None),
        (
            "postgresql://host/db?user=u&password=secret&x=1",
            "postgresql://host/db?user=u&password=***&x=1",
        ),
        ("postgresql://host/db?pass%77ord=secret", "postgresql://host/db?pass%77ord=***"),
        ("postgresql://u@h/db?sslpassword=secret", "postgresql://u@h/db?sslpassword=***"),
        ("redis://:secret@host:6379/0", "redis://:***@host:6379/0"),
        ("host=h password=secret user=u", "host=h password=*** user=u"),
        ("host=h password = 'sec\\' ret' user=u", "host=h password = *** user=u"),
        ("postgresql://one:s1@h1,h2/db postgresql://two:s2@h3/db", "postgresql://one:***@h3/db"),
        ("8000", None),
        ("None", None),
        ("10.0.0.0/8, ::1", None),
        ("", None),
    ],
)
def test_a_value_is_kept_without_its_password(value: str, masked: str | None) -> None:
    assert masked_value("database_url", value) == (value if masked is None else masked)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("admin_token", True),
        ("token", True),
        ("TICKGRAPH_WRITE_PASSWORD", True),
        ("signing-key", True),
        ("client.secret", True),
        ("max_query_tokens", False),
        ("keys", False),
        ("monkey", False),
    ],
)
def test_a_name_can_say_that_all_of_it_is_secret(name: str, secret: bool) -> None:
    assert masked_value(name, "value") == ("***" if secret else "value")
    assert masked_value(name, "") == ""
