"""Connections for writers, and what kind of server is on the other end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import psycopg
from psycopg.abc import Params, QueryNoTemplate
from psycopg.rows import TupleRow

from app.errors import DatabaseUnavailable
from app.storage.faults import psycopg_faults

Connection = psycopg.Connection[TupleRow]

MIN_POSTGRES = 150000
MIN_TIMESCALE = (2, 17)


class Edition(StrEnum):
    """The TimescaleDB licence in force."""

    COMMUNITY = "COMMUNITY"
    APACHE = "APACHE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server said of itself; `timescale` is None where the extension is not created."""

    postgres: str
    postgres_number: int
    timescale: str | None
    timescale_available: str | None
    preloaded: bool
    edition: Edition


@contextmanager
def connect(url: str, *, timeout_s: float, statement_timeout_s: float) -> Iterator[Connection]:
    """Open one connection for writing, in UTC; transactions are the caller's.

    Raises:
        DatabaseUnavailable: no server, no such database, or a refused login.
    """
    with psycopg_faults():
        try:
            connection = psycopg.connect(
                url,
                autocommit=True,
                connect_timeout=max(2, round(timeout_s)),
                application_name="tickgraph",
                options=f"-c timezone=UTC -c jit=off"
                f" -c statement_timeout={int(statement_timeout_s * 1000)}",
            )
        except psycopg.Error as error:
            raise DatabaseUnavailable(_reason(url, error)) from error
    try:
        with psycopg_faults():
            yield connection
    finally:
        connection.close()


def one_row(connection: Connection, statement: QueryNoTemplate, values: Params | None = None) -> TupleRow:
    """Run a statement that always gives a row, and give it."""
    row = connection.execute(statement, values).fetchone()
    if row is None:
        raise psycopg.DataError("a statement that always gives a row gave none")
    return row


def server_facts(connection: Connection) -> ServerFacts:
    """Ask versions, licence and whether the extension is loaded and created."""
    # server_facts: one row, from catalogues that exist with and without the extension.
    row = one_row(
        connection,
        """
        SELECT current_setting('server_version'),
               current_setting('server_version_num')::integer,
               (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
               (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'),
               current_setting('timescaledb.license', true)
        """,
    )
    return ServerFacts(
        postgres=row[0],
        postgres_number=row[1],
        timescale=row[2],
        timescale_available=row[3],
        preloaded=row[4] is not None,
        edition=Edition.COMMUNITY if row[4] == "timescale" else Edition.APACHE,
    )


def refuse_unusable(facts: ServerFacts) -> None:
    """Stop early where a migration could only fail.

    Raises:
        DatabaseUnavailable: the server is too old, or TimescaleDB is missing or not preloaded.
    """
    if facts.postgres_number < MIN_POSTGRES:
        raise DatabaseUnavailable(f"PostgreSQL {facts.postgres} is too old: 15 or newer is needed")
    if facts.timescale_available is None:
        raise DatabaseUnavailable(
            "the server has no TimescaleDB: install the extension's package on it"
        )
    if not facts.preloaded:
        raise DatabaseUnavailable(
            "TimescaleDB is not loaded: add it to shared_preload_libraries and restart the server"
        )
    version = facts.timescale or facts.timescale_available
    if tuple(int(part) for part in version.split("-")[0].split(".")[:2]) < MIN_TIMESCALE:
        wanted = ".".join(map(str, MIN_TIMESCALE))
        raise DatabaseUnavailable(f"TimescaleDB {version} is too old: {wanted} or newer is needed")


def _reason(url: str, error: psycopg.Error) -> str:
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return (
            "TICKGRAPH_DATABASE_URL is not a PostgreSQL address such as postgresql://user@host/name"
        )
    where = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}"
    text = " ".join(str(error).split())
    user, name = parts.get("user", ""), parts.get("dbname", parts.get("user", ""))
    if "password" in text or "authentication" in text or "pg_hba" in text or "role" in text:
        return f"the database at {where} refused the login of {user!r}: check user and password"
    if "does not exist" in text:
        return f"the server at {where} has no database {name!r}: create it first"
    return f"no database answers at {where}: {text.splitlines()[0][:200]}"
