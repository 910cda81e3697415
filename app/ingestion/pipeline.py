"""The one way in: read, check, stage, store, quarantine, log; all of a delivery or nothing of it.

Every door (files, HTTP, mutations, streams) brings its records here. Nothing is dropped in silence:
what came in is stored, a duplicate, or in quarantine with its reasons, and the batch's counts add
up to it.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import polars as pl

from app.errors import IdempotencyConflict, ImportRefused
from app.ingestion.columns import find_columns
from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.judging import Limits
from app.ingestion.kinds import Kind, kind_of, limits_of
from app.ingestion.quarantining import NO_RECORD, Quarantining, Refusals
from app.ingestion.rejects import Rejects
from app.ingestion.symbols import Symbols
from app.ingestion.table import Chunk, Opening, Table
from app.storage import flags
from app.storage.batches import (
    Counts,
    batch_under_key,
    next_batch_id,
    record_batch,
    take_positions,
)
from app.storage.database import Connection
from app.storage.horizons import kept_from
from app.storage.staging import Stored
from app.validation.anomalies import Watch
from app.validation.anomaly_past import RowKind
from app.validation.reasons import Reason

Refusing = Callable[[Connection], Refusals]


def deliver(
    connection: Connection,
    opening: Opening,
    delivery: Delivery,
    rejects: Rejects | None = None,
    refusals: Refusing | None = None,
) -> Receipt:
    """Store a delivery as one batch; refused records go to quarantine, and `rejects` is told.

    `refusals` takes their place: what records that are in quarantine already need.

    The connection must be outside a transaction. A delivery whose key is known is not stored
    again: the receipt is that of the first time.

    Raises:
        ImportRefused: the source cannot be read, lacks a column or has no record; nothing is kept.
        IdempotencyConflict: something else was delivered under the same key.
    """
    refusing = refusals or (lambda own: Quarantining(own, rejects or Rejects()))
    run = _Run(connection, delivery, refusing)
    try:
        with connection.transaction():
            return run.all(opening)
    except _Repeated as repeated:
        return repeated.receipt


class _Repeated(Exception):
    """The delivery has come before."""

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt


class _Run:
    """One delivery on its way; lives as long as its transaction."""

    def __init__(self, connection: Connection, delivery: Delivery, refusing: Refusing) -> None:
        self.connection = connection
        self.delivery = delivery
        self.refusing = refusing
        self.touching: set[int] = set()
        self.received = 0
        self.seconds: dict[str, float] = {}

    def all(self, opening: Opening) -> Receipt:
        self._known()
        received_at = datetime.now(UTC)
        kind = kind_of(self.delivery)
        kind.staging.create(self.connection)
        flags.STAGING.create(self.connection)
        self.refused = self.refusing(self.connection)
        with opening() as table:
            places = self._places(table, kind)
            horizon = kept_from(
                self.connection, self.delivery.kind, interval_minutes=self.delivery.minutes
            )
            self._stage(table, kind, places, limits_of(self.delivery, received_at, horizon))
        if not self.received:
            raise ImportRefused(NO_RECORD)
        with self._timed("insert"):
            has_ids = kind.id_field in places
            ready = kind.ready(self.connection, self.delivery, has_ids=has_ids)
            batch_id = next_batch_id(self.connection, sorted(self.touching))
            self._known()
            stored = kind.insert(
                self.connection,
                ready,
                delivery=self.delivery,
                batch_id=batch_id,
                received_at=received_at,
            )
            flagged = flags.insert(
                self.connection,
                self.delivery.kind,
                ready,
                interval_minutes=self.delivery.minutes,
                batch_id=batch_id,
            )
        if stored.conflicts:
            self._refuse_conflicts(opening, places, stored.conflicts)
        with self._timed("log"):
            return self._log(batch_id, received_at, table.checksum, stored, flagged)

    def _places(self, table: Table, kind: Kind) -> dict[str, int]:
        constant = frozenset() if self.delivery.symbol is None else frozenset({"symbol"})
        return find_columns(
            table.header, kind.fields, given=self.delivery.columns, constant=constant
        )

    def _known(self) -> None:
        """Look for a batch under the delivery's key: at the start, and again under the lock."""
        key = self.delivery.idempotency_key
        if key is None:
            return
        found = batch_under_key(self.connection, self.delivery.source, key)
        if found is None:
            return
        if found.checksum != self.delivery.checksum:
            raise IdempotencyConflict(f"another delivery came under the key {key!r} before")
        raise _Repeated(
            Receipt(
                batch_id=found.batch_id, counts=found.counts, flagged=found.flagged, repeated=True
            )
        )

    def _stage(self, table: Table, kind: Kind, places: Mapping[str, int], limits: Limits) -> None:
        symbols = Symbols(self.connection, self.delivery.create)
        recall = partial(flags.recent, self.connection, self.delivery.kind, self.delivery.minutes)
        watch = Watch(RowKind(self.delivery.kind), recall)
        chunks = table.chunks(places)
        while True:
            with self._timed("parse"):
                chunk = next(chunks, None)
            if chunk is None:
                return
            chunk = self._with_symbol(chunk)
            self.received += chunk.rows.height + len(chunk.malformed)
            with self._timed("validate"):
                prepared = kind.prepare(chunk.rows, symbols, self.delivery, limits)
            with self._timed("copy"):
                if prepared.staged.height:
                    kind.staging.copy(self.connection, _csv(prepared.staged))
                    self.touching.update(prepared.staged["instrument_id"].unique())
            with self._timed("watch"):
                odd = watch.judge(prepared.watched)
                if odd.height:
                    names = [name for name, _ in flags.STAGING.columns]
                    flags.STAGING.copy(self.connection, _csv(odd.select(names)))
            with self._timed("quarantine"):
                self.refused.add_malformed(chunk)
                self.refused.add_frame(chunk, prepared.refused)

    def _with_symbol(self, chunk: Chunk) -> Chunk:
        if self.delivery.symbol is None:
            return chunk
        rows = chunk.rows.with_columns(pl.lit(self.delivery.symbol).alias("symbol"))
        return Chunk(rows=rows, originals=chunk.originals, malformed=chunk.malformed)

    def _refuse_conflicts(
        self, opening: Opening, places: Mapping[str, int], lines: Sequence[int]
    ) -> None:
        """Read the source again for the records that contradict stored ones: they are rare."""
        waiting = set(lines)
        with opening() as table:
            for chunk in table.chunks(places):
                own = sorted(waiting.intersection(chunk.rows["line"]))
                waiting.difference_update(own)
                self.refused.add(
                    self._with_symbol(chunk), [(line, Reason.CONTRADICTS_STORED) for line in own]
                )
                if not waiting:
                    return
        raise ImportRefused("the source changed while it was read")

    def _log(
        self,
        batch_id: int,
        received_at: datetime,
        checksum: str | None,
        stored: Stored,
        flagged: int,
    ) -> Receipt:
        refused = self.refused.reasons.total()
        outcomes = stored.stored + stored.duplicate + refused
        assert outcomes == self.received, "a record has no outcome, or two"
        rejected = refused if self.refused.new else 0
        counts = Counts(stored=stored.stored, duplicate=stored.duplicate, rejected=rejected)
        self.refused.keep(batch_id, self.delivery.options)
        if self.delivery.positions:
            take_positions(
                self.connection,
                batch_id=batch_id,
                source=self.delivery.source,
                positions=self.delivery.positions,
            )
        record_batch(
            self.connection,
            batch_id=batch_id,
            kind=self.delivery.kind,
            source=self.delivery.source,
            checksum=self.delivery.checksum or checksum,
            counts=counts,
            received_at=received_at,
            actor=self.delivery.actor,
            idempotency_key=self.delivery.idempotency_key,
            flagged=flagged,
            action=self.delivery.action,
            extra=self.delivery.released,
        )
        return Receipt(
            batch_id=batch_id,
            counts=counts,
            flagged=flagged,
            reasons=self.refused.reasons,
            seconds=self.seconds,
        )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began


def _csv(rows: pl.DataFrame) -> bytes:
    return rows.write_csv(include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ").encode()
