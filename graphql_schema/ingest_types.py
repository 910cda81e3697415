"""What mutations take and give: records in, receipts out."""

from datetime import datetime
from decimal import Decimal
from typing import Self

import strawberry

from app.ingestion.delivery import Receipt
from app.ingestion.release import Release
from app.validation.reasons import Reason
from graphql_schema import market_types  # noqa: F401 - registers the enums
from graphql_schema.scalars import Revision

Record = dict[str, str | None]


@strawberry.input(description="A trade to store.")
class TradeInput:
    """Fields as in files; `trade_id` makes sending it twice harmless."""

    symbol: str = strawberry.field(description="Its symbol at that time.")
    time: datetime = strawberry.field(description="The venue's time.")
    price: Decimal = strawberry.field(description="The price of one unit.")
    size: Decimal = strawberry.field(description="How many units.")
    trade_id: str = strawberry.field(
        description="The venue's id, a whole number: sending it again stores nothing new."
    )

    def record(self) -> Record:
        """Give the texts that a file would hold."""
        return {
            "symbol": self.symbol,
            "time": self.time.isoformat(),
            "price": _text(self.price),
            "size": _text(self.size),
            "trade_id": self.trade_id,
        }


@strawberry.input(description="A quote to store; a side may be missing, with its size.")
class QuoteInput:
    """Fields as in files."""

    symbol: str = strawberry.field(description="Its symbol at that time.")
    time: datetime = strawberry.field(description="The venue's time.")
    quote_id: str = strawberry.field(
        description="The venue's id, a whole number: sending it again stores nothing new."
    )
    bid: Decimal | None = strawberry.field(default=None, description="The best price to sell at.")
    ask: Decimal | None = strawberry.field(default=None, description="The best price to buy at.")
    bid_size: Decimal | None = strawberry.field(default=None, description="Units at the bid.")
    ask_size: Decimal | None = strawberry.field(default=None, description="Units at the ask.")

    def record(self) -> Record:
        """Give the texts that a file would hold."""
        return {
            "symbol": self.symbol,
            "time": self.time.isoformat(),
            "bid": _text(self.bid),
            "ask": _text(self.ask),
            "bid_size": _text(self.bid_size),
            "ask_size": _text(self.ask_size),
            "quote_id": self.quote_id,
        }


@strawberry.input(description="A vendor's bar to store.")
class BarInput:
    """Fields as in files."""

    symbol: str = strawberry.field(description="Its symbol at that time.")
    time: datetime = strawberry.field(description="The bar's start; of a daily bar, its date.")
    open: Decimal = strawberry.field(description="The first price.")
    high: Decimal = strawberry.field(description="The highest price.")
    low: Decimal = strawberry.field(description="The lowest price.")
    close: Decimal = strawberry.field(description="The last price.")
    volume: Decimal = strawberry.field(description="The sum of sizes.")
    vwap: Decimal | None = strawberry.field(
        default=None, description="Volume-weighted average price."
    )
    trades: Revision | None = strawberry.field(default=None, description="How many trades.")

    def record(self) -> Record:
        """Give the texts that a file would hold."""
        return {
            "symbol": self.symbol,
            "time": self.time.isoformat(),
            "open": _text(self.open),
            "high": _text(self.high),
            "low": _text(self.low),
            "close": _text(self.close),
            "volume": _text(self.volume),
            "vwap": _text(self.vwap),
            "trades": None if self.trades is None else str(self.trades),
        }


@strawberry.type(description="How many records were refused, by their first reason.")
class RefusedCount:
    """One reason of a receipt."""

    reason: Reason = strawberry.field(description="The rule that they break.")
    count: int = strawberry.field(description="How many.")


@strawberry.type(
    description="What became of records: received is the sum of stored, duplicate and rejected."
)
class IngestReceipt:
    """A batch's counts."""

    batch: Revision = strawberry.field(
        description="The batch's number: the revision of what it stored."
    )
    received: int = strawberry.field(description="How many came.")
    stored: int = strawberry.field(description="How many are new, or changed what was stored.")
    duplicate: int = strawberry.field(description="How many were stored before.")
    rejected: int = strawberry.field(description="How many are in quarantine.")
    flagged: int = strawberry.field(description="How many were stored and look odd.")
    reasons: list[RefusedCount] = strawberry.field(description="Why records were refused.")
    repeated: bool = strawberry.field(
        description="It had come before under this key: the counts are those of then."
    )

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """Show a receipt."""
        counts = receipt.counts
        return cls(
            batch=Revision(receipt.batch_id),
            received=counts.received,
            stored=counts.stored,
            duplicate=counts.duplicate,
            rejected=counts.rejected,
            flagged=receipt.flagged,
            reasons=[
                RefusedCount(reason=reason, count=count)
                for reason, count in sorted(receipt.reasons.items())
            ],
            repeated=receipt.repeated,
        )


@strawberry.type(description="A record that stays in quarantine, and why.")
class StillRefused:
    """Part of a release."""

    id: strawberry.ID = strawberry.field(description="The record's id.")
    reasons: list[str] = strawberry.field(
        description="The rules that it breaks, or NOT_PENDING: it is not in quarantine any more."
    )


@strawberry.type(description="What became of records that were to be released.")
class ReleaseReceipt:
    """Batches, and the records that stay."""

    receipts: list[IngestReceipt] = strawberry.field(
        description="A batch for each kind of records that are stored now."
    )
    refused: list[StillRefused] = strawberry.field(description="The records that stay.")

    @classmethod
    def of(cls, released: Release) -> Self:
        """Show a release."""
        return cls(
            receipts=[IngestReceipt.of(each) for each in released.receipts],
            refused=[
                StillRefused(id=strawberry.ID(str(key)), reasons=reasons)
                for key, reasons in sorted(released.refused.items())
            ],
        )


def _text(number: Decimal | None) -> str | None:
    return None if number is None else format(number, "f")
