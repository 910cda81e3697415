"""One writer's connection: kept open between uses, replaced after an error, work retried."""

import logging
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from threading import Event, Lock
from typing import TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from app.errors import BadInput, DatabaseUnavailable, ImportRefused, TickgraphError
from app.storage.database import Connection, DatabaseUnusable, connect
from app.storage.faults import RowsTooOld, psycopg_faults

_LOG = logging.getLogger("tickgraph.intake")

# Seconds before each further attempt.
PAUSES_S = (0.1, 0.5, 1.0)
_CANCEL_TIMEOUT_S = 2.0
_AGAIN = frozenset({"40001", "40P01"})  # serialization failure, deadlock

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """How to connect: seconds for the connect and for one statement."""

    url: str
    connect_timeout_s: float
    statement_timeout_s: float


class Writer:
    """Runs work on a connection of its own; of one thread, except for `cancel`."""

    def __init__(self, address: Address, stopping: Event) -> None:
        self._address = address
        self._stopping = stopping
        self._lock = Lock()  # what is cancelled must not be closed meanwhile
        self._opened = ExitStack()
        self._connection: Connection | None = None

    def perform(self, work: Callable[[Connection], T], *, repeatable: bool) -> T:
        """Do work; where it is repeatable, up to three times more after transient faults.

        Raises:
            TickgraphError: it failed, or the database is not there.
        """
        for pause_s in PAUSES_S:
            try:
                return self._attempt(work)
            except TickgraphError as error:
                if not repeatable or not is_transient(error) or self._stopping.is_set():
                    raise
                _LOG.warning("a write is tried again: %s", error.message)
                self._stopping.wait(pause_s)
        return self._attempt(work)

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._connection = None
        with suppress(TickgraphError):
            self._opened.close()

    def cancel(self) -> None:
        """Ask the database to cancel what runs; callable from any thread."""
        with self._lock, suppress(psycopg.Error):
            if self._connection is not None:
                self._connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)

    def _attempt(self, work: Callable[[Connection], T]) -> T:
        connection = self._ready()
        try:
            with psycopg_faults():
                return work(connection)
        except BaseException as error:
            refused = isinstance(error, BadInput | ImportRefused)
            if not refused or connection.info.transaction_status is not TransactionStatus.IDLE:
                self.close()
            raise

    def _ready(self) -> Connection:
        """Give a connection that has just answered; a server may have gone since its last use."""
        if self._connection is not None:
            try:
                self._connection.execute("")
            except psycopg.Error:
                self.close()
        if self._connection is None:
            opened = connect(
                self._address.url,
                timeout_s=self._address.connect_timeout_s,
                statement_timeout_s=self._address.statement_timeout_s,
            )
            connection = self._opened.enter_context(opened)
            with self._lock:
                self._connection = connection
        return self._connection


def is_transient(error: TickgraphError) -> bool:
    """Tell whether the same work may well succeed in a moment."""
    if isinstance(error, RowsTooOld):
        return True
    if isinstance(error, DatabaseUnavailable):
        return not isinstance(error, DatabaseUnusable)
    cause = error.__cause__
    return isinstance(cause, psycopg.Error) and cause.sqlstate in _AGAIN
