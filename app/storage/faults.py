"""Turn what the drivers raise into the few errors of Tickgraph: no driver leaves storage."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import psycopg

from app.errors import DatabaseUnavailable, QueryTimeout, TickgraphError

_DOWN = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.TooManyConnectionsError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    OSError,
)


_DROPPED_RANGE = "TG001"  # raised by the trigger of migration 0014


class RowsTooOld(TickgraphError):
    """Rows lie in a range that retention dropped meanwhile; nothing was stored: send them again."""

    code = "ROWS_TOO_OLD"


class StatementFailed(TickgraphError):
    """The database refused a statement; this is a fault of ours."""

    code = "INTERNAL"


@contextmanager
def asyncpg_faults() -> Iterator[None]:
    """Map asyncpg's exceptions; unexpected ones keep their cause for the log."""
    try:
        yield
    except (asyncpg.QueryCanceledError, TimeoutError) as error:
        raise QueryTimeout from error
    except _DOWN as error:
        raise DatabaseUnavailable(_line("the database cannot be reached", error)) from error
    except asyncpg.PostgresError as error:
        raise StatementFailed(_line("the database refused a statement", error)) from error


@contextmanager
def psycopg_faults() -> Iterator[None]:
    """Map psycopg's exceptions; unexpected ones keep their cause for the log."""
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        raise QueryTimeout(
            "a statement of a write took longer than TICKGRAPH_WRITE_TIMEOUT_S, or was cancelled"
        ) from error
    except psycopg.Error as error:
        if error.sqlstate == _DROPPED_RANGE:
            raise RowsTooOld from error
        if _is_down(error):
            raise DatabaseUnavailable(_line("the database cannot be reached", error)) from error
        raise StatementFailed(_line("the database refused a statement", error)) from error


def _is_down(error: psycopg.Error) -> bool:
    """Tell a lost server from one that refused: a deadlock or a full disk is no lost server."""
    if error.sqlstate is None:
        return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    # Connection exceptions, and shutdowns and crashes.
    return error.sqlstate.startswith(("08", "57P"))


def _line(what: str, error: BaseException) -> str:
    words = str(error).strip().splitlines()
    return f"{what}: {words[0] if words else type(error).__name__}"
