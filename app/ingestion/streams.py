"""Take records from a broker, through the one way in, each exactly once; free of any broker.

Entries are acknowledged after the commit that stored them, and the commit notes their positions.
So nothing is lost where this process, the database or the broker dies; and what comes again, since
the acknowledgement was lost, or comes to two consumers at once, is known and skipped.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from app.errors import DatabaseUnavailable, QueryTimeout, TickgraphError
from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.kinds import kind_of
from app.ingestion.pipeline import deliver
from app.ingestion.stream_table import open_entries
from app.storage.batches import PositionsTaken, known_positions
from app.storage.database import Connection
from app.storage.faults import RowsTooOld, StatementFailed, psycopg_faults
from app.storage.stream_positions import FLOOR_AGE_S, blames_records, fence, prune_positions

logger = logging.getLogger(__name__)

_IDLE_S = 0.5  # how long a read waits, and so how late the word to stop is heard
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.1, 5.0


class BrokerUnavailable(TickgraphError):
    """The broker cannot be reached."""

    code = "BROKER_UNAVAILABLE"


class BrokerRefused(TickgraphError):
    """The broker has no such stream for us."""

    code = "BROKER_REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message: its position, and its fields; none where the broker has dropped it.

    Positions are texts that sort as the stream does.
    """

    position: str
    fields: Mapping[bytes, bytes]


class Broker(Protocol):
    """One consumer of a stream's group; `source` tells this stream and group from all others.

    Raises from every method:
        BrokerUnavailable: it cannot be reached now.
        BrokerRefused: it never will do what is asked.
    """

    source: str

    def read(self, limit: int, wait_s: float) -> list[Entry]:
        """Give entries that nobody of the group has had, waiting for the first of them."""

    def resume(self, limit: int) -> list[Entry]:
        """Give entries that this consumer has had and not acknowledged, oldest first."""

    def reclaim(self, limit: int, idle_s: float) -> list[Entry]:
        """Take over entries that a consumer has held for longer than `idle_s`."""

    def acknowledge(self, positions: Sequence[str]) -> None:
        """Tell that these need not come again."""

    def floor(self) -> str:
        """Give the position below which everything has been delivered and acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Entries in one batch, seconds to wait for it to fill, seconds until others' are taken."""

    batch: int = 10_000
    linger_s: float = 0.05
    claim_after_s: float = 60.0


# What another try can mend, once what was not acknowledged has been asked for again.
_PASSING = (
    BrokerUnavailable,
    DatabaseUnavailable,
    PositionsTaken,
    QueryTimeout,
    RowsTooOld,
    StatementFailed,
)


class Consumer:
    """Delivers what a broker gives until it is told to stop; `on_batch` is told each receipt."""

    def __init__(
        self,
        broker: Broker,
        delivery: Delivery,
        connecting: Callable[[], AbstractContextManager[Connection]],
        *,
        pace: Pace,
        stop: threading.Event,
        on_batch: Callable[[Receipt], None],
    ) -> None:
        self._broker = broker
        self._delivery = replace(delivery, source=broker.source)
        self._connecting = connecting
        self._pace = pace
        self._stop = stop
        self._on_batch = on_batch
        self._resuming = True
        self._claim_at = 0.0
        self._floors: list[tuple[float, str]] = []
        self._delay_s = _FIRST_DELAY_S

    def run(self) -> None:
        """Work until stopped; a batch that was begun is finished.

        A database or broker that is away is waited for; nothing is read meanwhile.

        Raises:
            BrokerRefused: no second try can help.
        """
        while not self._stop.is_set():
            try:
                with self._connecting() as connection:
                    while not self._stop.is_set():
                        self._step(connection)
            except _PASSING as error:
                self._back_off(error)

    def _step(self, connection: Connection) -> None:
        read_at = time.monotonic()
        entries, is_new = self._next(read_at)
        if entries:
            with psycopg_faults(), fence(connection, self._broker.source):
                # Read so long ago, they may be stored by somebody else, and that be forgotten.
                if time.monotonic() - read_at > FLOOR_AGE_S:
                    logger.warning("a batch came too slowly, and is asked for again")
                    self._resuming = True
                    return
                self._store(connection, entries, is_new=is_new)
            self._broker.acknowledge([entry.position for entry in entries])
        self._delay_s = _FIRST_DELAY_S
        with psycopg_faults():
            self._forget(connection)

    def _next(self, now: float) -> tuple[list[Entry], bool]:
        """Give entries, what was left over first; and whether they come for the first time."""
        limit = self._pace.batch
        if self._resuming:
            entries = self._broker.resume(limit)
            self._resuming = bool(entries)
            if entries:
                return entries, False
        if now >= self._claim_at:
            entries = self._broker.reclaim(limit, self._pace.claim_after_s)
            if entries:
                return entries, False
            self._claim_at = now + self._pace.claim_after_s / 2
        entries = self._broker.read(limit, _IDLE_S)
        if entries and len(entries) < limit and not self._stop.wait(self._pace.linger_s):
            entries += self._broker.read(limit - len(entries), 0)
        return entries, True

    def _store(self, connection: Connection, entries: Sequence[Entry], *, is_new: bool) -> None:
        """Deliver the entries that no batch holds; where they are new, none is expected to be held.

        Raises:
            PositionsTaken: a batch holds some of them, by a consumer that has them too.
        """
        # A broker that has lost a moment in a crash may give an entry again within one batch.
        rest = list({entry.position: entry for entry in entries}.values())
        if not is_new:
            rest = self._unknown(connection, rest)
        kept = [entry for entry in rest if entry.fields]
        if len(kept) < len(rest):
            lost = len(rest) - len(kept)
            logger.warning("the broker dropped %d entries before they were stored", lost)
        if kept:
            self._deliver(connection, kept)

    def _unknown(self, connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
        positions = [entry.position for entry in entries]
        known = known_positions(connection, self._broker.source, positions)
        return [entry for entry in entries if entry.position not in known]

    def _deliver(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Deliver entries as one batch; where one of them spoils it, that one is refused alone."""
        try:
            receipt = self._deliver_once(connection, entries)
        except Exception as error:
            if not _may_blame_records(error):
                raise
            if len(entries) > 1:
                logger.warning("a batch of %d entries failed: trying halves", len(entries))
                middle = len(entries) // 2
                self._deliver(connection, entries[:middle])
                self._deliver(connection, entries[middle:])
                return
            logger.exception("an entry cannot be stored and goes to quarantine")
            receipt = self._deliver_once(connection, entries, malformed=True)
        self._on_batch(receipt)

    def _deliver_once(
        self, connection: Connection, entries: Sequence[Entry], *, malformed: bool = False
    ) -> Receipt:
        positions = [entry.position for entry in entries]
        delivery = replace(self._delivery, positions=positions)
        header = kind_of(delivery).fields.all
        fields = [entry.fields for entry in entries]
        with psycopg_faults():
            return deliver(
                connection, lambda: open_entries(fields, header, malformed=malformed), delivery
            )

    def _forget(self, connection: Connection) -> None:
        """Now and then, drop positions that cannot come again (app.storage.stream_positions)."""
        now = time.monotonic()
        if self._floors and now - self._floors[-1][0] < FLOOR_AGE_S:
            return
        floor = self._broker.floor()
        self._floors = [*self._floors[-1:], (now, floor)]
        if len(self._floors) > 1:
            below = min(floor for _, floor in self._floors)
            prune_positions(connection, self._broker.source, below=below)

    def _back_off(self, error: TickgraphError) -> None:
        """Wait, each time longer, and then take up what was not acknowledged."""
        self._resuming = True
        logger.warning("%s; trying again", error.message)
        self._stop.wait(self._delay_s * random.uniform(0.5, 1.0))
        self._delay_s = min(self._delay_s * 2, _LONGEST_DELAY_S)


def _may_blame_records(error: Exception) -> bool:
    """Tell what a record can cause from what only time can mend."""
    if isinstance(error, StatementFailed):
        return blames_records(error)
    return not isinstance(error, DatabaseUnavailable | QueryTimeout | RowsTooOld | PositionsTaken)
