"""The kinds of records that a delivery may hold: their fields, checks, staging and storage."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import polars as pl

from app.ingestion.columns import BAR_FIELDS, QUOTE_FIELDS, TRADE_FIELDS, Fields
from app.ingestion.delivery import Delivery, bar_minutes
from app.ingestion.judging import Limits
from app.ingestion.records import Prepared, prepare_bars, prepare_quotes, prepare_trades
from app.ingestion.symbols import Symbols
from app.storage import bars, quotes, trades
from app.storage.batches import BatchKind
from app.storage.database import Connection
from app.storage.keyed_rows import KeyedRows
from app.storage.staging import Staging, Stored


class Kind(Protocol):
    """One kind of record, from columns of text to stored rows."""

    @property
    def fields(self) -> Fields:
        """What a record is made of."""

    @property
    def id_field(self) -> str | None:
        """The field of the records' own ids; None: they are told apart without."""

    @property
    def staging(self) -> Staging:
        """Where records wait for the lock."""

    def prepare(
        self, rows: pl.DataFrame, symbols: Symbols, delivery: Delivery, limits: Limits
    ) -> Prepared:
        """Check text columns; give rows for staging, and the refused ones."""

    def ready(self, connection: Connection, delivery: Delivery, *, has_ids: bool) -> str:
        """Do what needs no lock; give the table that `insert` reads."""

    def insert(
        self,
        connection: Connection,
        ready: str,
        *,
        delivery: Delivery,
        batch_id: int,
        received_at: datetime,
    ) -> Stored:
        """Store the staged rows, under the commit lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedKind:
    """Trades or quotes; where a source has no ids, a place among those of its instant is the id.

    Released records without ids are numbered after those that are stored.
    """

    fields: Fields
    id_field: str | None
    staging: Staging
    rows: KeyedRows
    check: Callable[[pl.DataFrame, Symbols, str, Limits], Prepared]
    store: Callable[..., Stored]

    def prepare(
        self, rows: pl.DataFrame, symbols: Symbols, delivery: Delivery, limits: Limits
    ) -> Prepared:
        """Check records."""
        return self.check(rows, symbols, delivery.timezone, limits)

    def ready(self, connection: Connection, delivery: Delivery, *, has_ids: bool) -> str:
        """Number the records where they have no ids."""
        after_stored = delivery.released is not None
        return self.rows.ready(connection, has_ids=has_ids, after_stored=after_stored)

    def insert(
        self,
        connection: Connection,
        ready: str,
        *,
        delivery: Delivery,
        batch_id: int,
        received_at: datetime,
    ) -> Stored:
        """Store the staged records."""
        return self.store(
            connection,
            ready,
            batch_id=batch_id,
            received_at=received_at,
            replace=delivery.replace,
        )


TRADES = KeyedKind(
    fields=TRADE_FIELDS,
    id_field="trade_id",
    staging=trades.STAGING,
    rows=trades.ROWS,
    check=prepare_trades,
    store=trades.insert,
)
QUOTES = KeyedKind(
    fields=QUOTE_FIELDS,
    id_field="quote_id",
    staging=quotes.STAGING,
    rows=quotes.ROWS,
    check=prepare_quotes,
    store=quotes.insert,
)


class BarKind:
    """Vendor bars of the delivery's interval."""

    fields = BAR_FIELDS
    id_field: str | None = None
    staging = bars.STAGING

    def prepare(
        self, rows: pl.DataFrame, symbols: Symbols, delivery: Delivery, limits: Limits
    ) -> Prepared:
        """Check bars."""
        assert delivery.interval is not None  # a delivery of bars has one
        return prepare_bars(rows, symbols, delivery.timezone, delivery.interval, limits)

    def ready(self, connection: Connection, delivery: Delivery, *, has_ids: bool) -> str:
        """Bars are ready as they are staged."""
        return self.staging.table

    def insert(
        self,
        connection: Connection,
        ready: str,
        *,
        delivery: Delivery,
        batch_id: int,
        received_at: datetime,
    ) -> Stored:
        """Store the staged bars."""
        return bars.insert(
            connection,
            interval_minutes=bar_minutes(delivery.interval),
            batch_id=batch_id,
            received_at=received_at,
            replace=delivery.replace,
        )


def limits_of(delivery: Delivery, now: datetime, kept_from: datetime | None = None) -> Limits:
    """Give what a delivery's records are held against: they came in `now` (aware)."""
    return Limits(
        now=now,
        future_tolerance=delivery.future_tolerance,
        kept_from=kept_from,
        waived=delivery.waived,
    )


def kind_of(delivery: Delivery) -> Kind:
    """Give what handles a delivery's records."""
    kinds: dict[BatchKind, Kind] = {
        BatchKind.TRADES: TRADES,
        BatchKind.BARS: BarKind(),
        BatchKind.QUOTES: QUOTES,
    }
    return kinds[delivery.kind]
