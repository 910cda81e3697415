"""The kinds of records that a delivery may hold: their fields, checks, staging and storage."""

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
from app.storage.staging import Staging, Stored


class Kind(Protocol):
    """One kind of record, from columns of text to stored rows."""

    fields: Fields
    # The field of the records' own ids; None: they are told apart without.
    id_field: str | None
    staging: Staging

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


class TradeKind:
    """Trades; where a source has no ids, a trade's place among those of its instant is its id."""

    fields = TRADE_FIELDS
    id_field: str | None = "trade_id"
    staging = trades.STAGING

    def prepare(
        self, rows: pl.DataFrame, symbols: Symbols, delivery: Delivery, limits: Limits
    ) -> Prepared:
        """Check trades."""
        return prepare_trades(rows, symbols, delivery.timezone, limits)

    def ready(self, connection: Connection, delivery: Delivery, *, has_ids: bool) -> str:
        """Number the trades where they have no ids; released ones after those that are stored."""
        after = delivery.released is not None
        return trades.prepare(connection, has_ids=has_ids, after_stored=after)

    def insert(
        self,
        connection: Connection,
        ready: str,
        *,
        delivery: Delivery,
        batch_id: int,
        received_at: datetime,
    ) -> Stored:
        """Store the staged trades."""
        return trades.insert(
            connection,
            ready,
            batch_id=batch_id,
            received_at=received_at,
            replace=delivery.replace,
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


class QuoteKind:
    """Quotes; where a source has no ids, a quote's place among those of its instant is its id."""

    fields = QUOTE_FIELDS
    id_field: str | None = "quote_id"
    staging = quotes.STAGING

    def prepare(
        self, rows: pl.DataFrame, symbols: Symbols, delivery: Delivery, limits: Limits
    ) -> Prepared:
        """Check quotes."""
        return prepare_quotes(rows, symbols, delivery.timezone, limits)

    def ready(self, connection: Connection, delivery: Delivery, *, has_ids: bool) -> str:
        """Number the quotes where they have no ids; released ones after those that are stored."""
        after = delivery.released is not None
        return quotes.prepare(connection, has_ids=has_ids, after_stored=after)

    def insert(
        self,
        connection: Connection,
        ready: str,
        *,
        delivery: Delivery,
        batch_id: int,
        received_at: datetime,
    ) -> Stored:
        """Store the staged quotes."""
        return quotes.insert(
            connection,
            ready,
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
        BatchKind.TRADES: TradeKind(),
        BatchKind.BARS: BarKind(),
        BatchKind.QUOTES: QuoteKind(),
    }
    return kinds[delivery.kind]
