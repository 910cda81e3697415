"""Connections for writers, and what kind of server is on the other end."""

import re
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

# What libpq says where a login is refused; a code it does not give.
_REFUSED_LOGIN = re.compile(
    r"password authentication failed|no password supplied|authentication failed|pg_hba"
    r'|role "[^"]*" (?:does not exist|is not permitted to log in)'
)

_UNPACK_ANY = "timescaledb.max_tuples_decompressed_per_dml_transaction"

# setting: one server setting.
SETTING = "SELECT current_setting(%s, true)"

MIN_POSTGRES = 150000
MIN_TIMESCALE = (2, 17)


class DatabaseUnusable(DatabaseUnavailable):
    """The database cannot be used as it is; `advice` says what to do about it."""

    def __init__(self, found: str, *, advice: str) -> None:
        super().__init__(f"{found}: {advice}")
        self.found = found
        self.advice = advice


class Edition(StrEnum):
    """The TimescaleDB licence in force."""

    COMMUNITY = "COMMUNITY"
    APACHE = "APACHE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server said of itself; `timescale` is None where the extension is not created.

    Whether it is preloaded shows in its loader's settings, which are there before the extension is
    created (and in pg_settings only where something has defined them, not where postgresql.conf
    alone names them); the edition shows only after.
    """

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
        DatabaseUnusable: no server, no such database, or a refused login.
    """
    if not url.startswith(("postgresql://", "postgres://")):
        raise _no_address()
    with psycopg_faults():
        try:
            connection = psycopg.connect(
                url,
                autocommit=True,
                connect_timeout=max(2, round(timeout_s)),
                application_name="tickgraph",
                # A correction of compressed rows is bounded by its time, not by their number.
                options=f"-c timezone=UTC -c datestyle=ISO -c jit=off -c {_UNPACK_ANY}=0"
                f" -c statement_timeout={int(statement_timeout_s * 1000)}",
            )
        except psycopg.Error as error:
            raise _unconnected(url, error) from error
    # The commit lock gives ids in order only to statements that see what was just committed.
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    try:
        with psycopg_faults():
            yield connection
    finally:
        connection.close()


def one_row(
    connection: Connection, statement: QueryNoTemplate, values: Params | None = None
) -> TupleRow:
    """Run a statement that always gives a row, and give it."""
    row = connection.execute(statement, values).fetchone()
    if row is None:
        raise psycopg.DataError("a statement that always gives a row gave none")
    return row


def server_setting(connection: Connection, name: str) -> str:
    """Give one setting of the server as text."""
    return str(one_row(connection, SETTING, (name,))[0])


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
               EXISTS (SELECT FROM pg_settings WHERE starts_with(name, 'timescaledb.')),
               current_setting('timescaledb.license', true)
        """,
    )
    return ServerFacts(
        postgres=row[0],
        postgres_number=row[1],
        timescale=row[2],
        timescale_available=row[3],
        preloaded=row[4],
        edition=Edition.COMMUNITY if row[5] == "timescale" else Edition.APACHE,
    )


def refuse_unusable(facts: ServerFacts) -> None:
    """Stop early where a migration could only fail.

    Raises:
        DatabaseUnusable: the server is too old, or TimescaleDB is missing or not preloaded.
    """
    if facts.postgres_number < MIN_POSTGRES:
        raise DatabaseUnusable(
            f"PostgreSQL {facts.postgres} is too old", advice="15 or newer is needed"
        )
    if facts.timescale_available is None:
        raise DatabaseUnusable(
            "the server has no TimescaleDB", advice="install the extension's package on it"
        )
    if not facts.preloaded:
        raise DatabaseUnusable(
            "TimescaleDB is not loaded",
            advice="add it to shared_preload_libraries and restart the server",
        )
    version = facts.timescale or facts.timescale_available
    if tuple(int(part) for part in version.split("-")[0].split(".")[:2]) < MIN_TIMESCALE:
        wanted = ".".join(map(str, MIN_TIMESCALE))
        raise DatabaseUnusable(
            f"TimescaleDB {version} is too old", advice=f"{wanted} or newer is needed"
        )


def _unconnected(url: str, error: psycopg.Error) -> DatabaseUnusable:
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return _no_address()
    where = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}"
    text = " ".join(str(error).split())
    user, name = parts.get("user", ""), parts.get("dbname", parts.get("user", ""))
    if _REFUSED_LOGIN.search(text):
        return DatabaseUnusable(
            f"the database at {where} refused the login of {user!r}",
            advice="check user and password",
        )
    if "permission denied for database" in text:
        return DatabaseUnusable(
            f"{user!r} may not connect to the database {name!r} at {where}",
            advice="GRANT it CONNECT",
        )
    if "does not exist" in text:
        return DatabaseUnusable(
            f"the server at {where} has no database {name!r}", advice="create it first"
        )
    return DatabaseUnusable(
        f"no database answers at {where} ({text[:200]})",
        advice="start it, or correct TICKGRAPH_DATABASE_URL",
    )


def _no_address() -> DatabaseUnusable:
    return DatabaseUnusable(
        "TICKGRAPH_DATABASE_URL is not a PostgreSQL address",
        advice="write it as postgresql://user:password@host:5432/name",
    )
