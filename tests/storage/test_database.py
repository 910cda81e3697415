"""Connections that cannot be had, servers that cannot be used: one clear line each."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from app.errors import DatabaseUnavailable, QueryTimeout
from app.storage.database import (
    DatabaseUnusable,
    Edition,
    ServerFacts,
    connect,
    refuse_unusable,
    server_facts,
)
from app.storage.faults import StatementFailed, psycopg_faults
from tests.conftest import TestDatabase
from tests.parts.guarded import free_port
from tests.parts.postgres import NativeServer

USABLE = ServerFacts(
    postgres="17.2",
    postgres_number=170002,
    timescale="2.19.3",
    timescale_available="2.19.3",
    preloaded=True,
    edition=Edition.COMMUNITY,
)


def refusal(url: str) -> DatabaseUnusable:
    with (
        pytest.raises(DatabaseUnusable) as refused,
        connect(url, timeout_s=2, statement_timeout_s=5),
    ):
        pass
    assert "\n" not in refused.value.message
    assert refused.value.message == f"{refused.value.found}: {refused.value.advice}"
    return refused.value


def test_no_server_is_said_with_its_address() -> None:
    port = free_port()
    refused = refusal(f"postgresql://somebody:secret@127.0.0.1:{port}/market")
    assert refused.found.startswith(f"no database answers at 127.0.0.1:{port} (")
    assert refused.advice == "start it, or correct TICKGRAPH_DATABASE_URL"
    assert "secret" not in refused.message


@pytest.mark.parametrize(
    "url",
    [
        "localhost",
        "mysql://root@localhost/market",
        "host=localhost dbname=market",
        "postgresql://user@host/name?no_such_option=1",
    ],
)
def test_what_is_no_address_is_said_without_it(url: str) -> None:
    refused = refusal(url)
    assert refused.found == "TICKGRAPH_DATABASE_URL is not a PostgreSQL address"


def test_a_missing_database_is_named(native_server: NativeServer) -> None:
    refused = refusal(native_server.database_url("no such place"))
    assert refused.found.endswith("has no database 'no such place'")
    assert refused.advice == "create it first"


@pytest.mark.parametrize("right", ["LOGIN", "NOLOGIN"])
def test_a_role_that_may_not_log_in_is_named(right: str, native_server: NativeServer) -> None:
    role = f"stranger_{right.lower()}"
    with psycopg.connect(native_server.url, autocommit=True) as session:
        session.execute("CREATE DATABASE closed")
        session.execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
        session.execute(f"CREATE ROLE {role} {right}".encode())
    try:
        address = native_server.database_url("closed").replace("postgres@", f"{role}@")
        refused = refusal(address)
        unknown = refusal(native_server.url.replace("postgres@", "nobody_at_all@"))
    finally:
        with psycopg.connect(native_server.url, autocommit=True) as session:
            session.execute("DROP DATABASE closed")
            session.execute(f"DROP ROLE {role}".encode())
    wanted = "may not connect to the database 'closed'" if right == "LOGIN" else "refused the login"
    assert wanted in refused.found
    assert repr(role) in refused.found
    assert unknown.found.endswith("refused the login of 'nobody_at_all'")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"postgres": "14.9", "postgres_number": 140009}, "PostgreSQL 14.9 is too old"),
        ({"timescale": None, "timescale_available": None}, "the server has no TimescaleDB"),
        ({"preloaded": False}, "TimescaleDB is not loaded"),
        ({"timescale": "2.16.1"}, "TimescaleDB 2.16.1 is too old"),
        (
            {"timescale": None, "timescale_available": "2.9.0-dev"},
            "TimescaleDB 2.9.0-dev is too old",
        ),
    ],
)
def test_servers_that_cannot_be_used_are_refused(changes: dict[str, Any], found: str) -> None:
    with pytest.raises(DatabaseUnusable) as refused:
        refuse_unusable(replace(USABLE, **changes))
    assert refused.value.found == found
    assert refused.value.advice


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"timescale": None},
        {"timescale": "2.17.0"},
        {"timescale": "3.0.0-rc1"},
        {"postgres_number": 150000},
        {"edition": Edition.APACHE},
    ],
)
def test_servers_that_can_be_used_pass(changes: dict[str, Any]) -> None:
    refuse_unusable(replace(USABLE, **changes))


def test_a_database_without_the_extension_can_still_get_it(native_server: NativeServer) -> None:
    with psycopg.connect(native_server.url, autocommit=True) as session:
        session.execute("CREATE DATABASE bare TEMPLATE template0")
    try:
        with connect(
            native_server.database_url("bare"), timeout_s=5, statement_timeout_s=5
        ) as connection:
            facts = server_facts(connection)
    finally:
        native_server.drop_database("bare")
    assert facts.timescale is None
    assert facts.timescale_available is not None
    assert facts.preloaded
    refuse_unusable(facts)


def test_facts_are_the_servers(database: TestDatabase) -> None:
    with connect(database.url, timeout_s=10, statement_timeout_s=5) as connection:
        facts = server_facts(connection)
    refuse_unusable(facts)
    assert facts.preloaded
    assert facts.timescale is not None
    editions = {"embedded": Edition.COMMUNITY, "native": Edition.APACHE}
    assert facts.edition is editions.get(database.kind, facts.edition)


def test_sessions_are_utc_and_read_committed(database: TestDatabase) -> None:
    with connect(database.url, timeout_s=10, statement_timeout_s=7.5) as connection:
        names = ("timezone", "jit", "statement_timeout")
        shown = [connection.execute(f"SHOW {name}".encode()).fetchone() for name in names]
        assert shown == [("UTC",), ("off",), ("7500ms",)]
        with connection.transaction():
            assert connection.execute("SHOW transaction_isolation").fetchone() == (
                "read committed",
            )


def test_a_statement_that_takes_too_long_names_the_setting(
    native_database: TestDatabase,
) -> None:
    with (
        pytest.raises(QueryTimeout, match="TICKGRAPH_WRITE_TIMEOUT_S"),
        connect(native_database.url, timeout_s=5, statement_timeout_s=0.1) as connection,
    ):
        connection.execute("SELECT pg_sleep(5)")


def test_a_lost_server_is_unavailable_and_a_refusal_is_a_fault(
    native_database: TestDatabase,
) -> None:
    with (
        pytest.raises(DatabaseUnavailable, match="the database cannot be reached"),
        connect(native_database.url, timeout_s=5, statement_timeout_s=5) as connection,
    ):
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    for error in (psycopg.errors.DeadlockDetected(), psycopg.errors.DiskFull("no space")):
        with pytest.raises(StatementFailed), psycopg_faults():
            raise error
    with pytest.raises(DatabaseUnavailable), psycopg_faults():
        raise psycopg.OperationalError("server closed the connection unexpectedly")
