"""The root of every mutation: records in, corrections, decisions on refused records."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import orjson
import strawberry

from app.errors import BadInput
from app.ingestion.delivery import Delivery
from app.ingestion.release import discard, release
from app.ingestion.rows_table import rows_table
from app.ingestion.trade_changes import TradeName, cancel_trade, correct_trade
from app.market.interval import Interval
from app.storage.batches import BatchKind
from app.validation.reasons import Reason
from graphql_schema.context import Info
from graphql_schema.ingest_types import (
    BarInput,
    IngestReceipt,
    QuoteInput,
    Record,
    ReleaseReceipt,
    TradeInput,
)

_SOURCE = "graphql"
_MAX_KEY = 255
_MAX_NOTE = 1000


@strawberry.type(description="Everything that can be changed.")
class Mutation:
    """The fields at the root."""

    @strawberry.mutation(description="Store trades; those that break a rule go to quarantine.")
    async def ingest_trades(
        self,
        info: Info,
        trades: list[TradeInput],
        replace: bool = False,
        idempotency_key: str | None = None,
    ) -> IngestReceipt:
        """Deliver trades."""
        records = [each.record() for each in trades]
        return await _deliver(info, BatchKind.TRADES, None, records, replace, idempotency_key)

    @strawberry.mutation(description="Store quotes; those that break a rule go to quarantine.")
    async def ingest_quotes(
        self,
        info: Info,
        quotes: list[QuoteInput],
        replace: bool = False,
        idempotency_key: str | None = None,
    ) -> IngestReceipt:
        """Deliver quotes."""
        records = [each.record() for each in quotes]
        return await _deliver(info, BatchKind.QUOTES, None, records, replace, idempotency_key)

    @strawberry.mutation(
        description="Store a vendor's bars of an interval of whole minutes up to 1d; those that"
        " break a rule go to quarantine."
    )
    async def ingest_bars(
        self,
        info: Info,
        interval: Interval,
        bars: list[BarInput],
        replace: bool = False,
        idempotency_key: str | None = None,
    ) -> IngestReceipt:
        """Deliver bars."""
        records = [each.record() for each in bars]
        return await _deliver(info, BatchKind.BARS, interval, records, replace, idempotency_key)

    @strawberry.mutation(
        description="Give a stored trade another price and size; a cancelled one counts again."
    )
    async def correct_trade(
        self,
        info: Info,
        symbol: str,
        time: datetime,
        trade_id: str,
        price: Decimal,
        size: Decimal,
        note: str | None = None,
    ) -> IngestReceipt:
        """Correct one trade."""
        name, told, actor = _name(symbol, time, trade_id), _note(note), info.context.actor
        receipt = await info.context.intake.run(
            lambda connection: correct_trade(
                connection, name, price=price, size=size, actor=actor, note=told
            )
        )
        return IngestReceipt.of(receipt)

    @strawberry.mutation(
        description="Take a stored trade out of everything that is computed; its row stays."
    )
    async def cancel_trade(
        self, info: Info, symbol: str, time: datetime, trade_id: str, note: str | None = None
    ) -> IngestReceipt:
        """Cancel one trade."""
        name, told, actor = _name(symbol, time, trade_id), _note(note), info.context.actor
        receipt = await info.context.intake.run(
            lambda connection: cancel_trade(connection, name, actor=actor, note=told)
        )
        return IngestReceipt.of(receipt)

    @strawberry.mutation(
        description="Store refused records after all: they are validated again, without the rules"
        " that `override` names. CONTRADICTS_STORED corrects what is stored."
    )
    async def release_quarantined(
        self,
        info: Info,
        ids: list[strawberry.ID],
        override: list[Reason] | None = None,
        note: str | None = None,
    ) -> ReleaseReceipt:
        """Release records."""
        keys, told, actor = _keys(ids), _note(note), info.context.actor
        released = await info.context.intake.run(
            lambda connection: release(
                connection, keys, actor=actor, overrides=override or (), note=told
            )
        )
        return ReleaseReceipt.of(released)

    @strawberry.mutation(
        description="Decide that refused records will not be stored. Gives the ids of those that"
        " nobody had decided on; all stay readable."
    )
    async def discard_quarantined(
        self, info: Info, ids: list[strawberry.ID], note: str | None = None
    ) -> list[strawberry.ID]:
        """Discard records."""
        keys, told, actor = _keys(ids), _note(note), info.context.actor
        gone = await info.context.intake.run(
            lambda connection: discard(connection, keys, actor=actor, note=told)
        )
        return [strawberry.ID(str(each)) for each in gone]


async def _deliver(
    info: Info,
    kind: BatchKind,
    interval: Interval | None,
    records: Sequence[Record],
    replace: bool,
    key: str | None,
) -> IngestReceipt:
    if not records:
        raise BadInput("there is no record to store")
    if key is not None and not (1 <= len(key) <= _MAX_KEY and key.isprintable()):
        raise BadInput(f"`idempotencyKey` must be of 1 to {_MAX_KEY} visible characters")
    content = orjson.dumps([kind, str(interval), replace, records])
    delivery = Delivery(
        kind=kind,
        source=_SOURCE,
        actor=info.context.actor,
        interval=interval,
        replace=replace,
        idempotency_key=key,
        checksum=hashlib.sha256(content).hexdigest(),
    )
    receipt = await info.context.intake.deliver(lambda: rows_table(records), delivery)
    return IngestReceipt.of(receipt)


def _name(symbol: str, time: datetime, trade_id: str) -> TradeName:
    if "\0" in symbol:
        raise BadInput("`symbol` holds a NUL character")
    if not trade_id.isdecimal() or not trade_id.isascii():
        raise BadInput(f"`tradeId` {trade_id!r} is no whole number")
    return TradeName(symbol=symbol, time=time, trade_id=int(trade_id))


def _note(note: str | None) -> str | None:
    if note is not None and (len(note) > _MAX_NOTE or "\0" in note):
        raise BadInput(f"`note` must have at most {_MAX_NOTE} characters, and no NUL")
    return note


def _keys(ids: Sequence[str]) -> list[int]:
    bad = next((each for each in ids if not (each.isascii() and each.isdecimal())), None)
    if bad is not None or any(len(each) > 18 for each in ids):
        raise BadInput(f"{bad!r} is no id of a refused record")
    return [int(each) for each in ids]
