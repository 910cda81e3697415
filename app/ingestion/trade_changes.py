"""Correct or cancel one stored trade, as a batch of its own."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

from app.errors import BadInput, RecordRefused, UnknownSymbol, UnknownTrade
from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.kinds import TRADES, limits_of
from app.ingestion.symbols import Symbols
from app.storage.audit import Action
from app.storage.batches import BatchKind, Counts, next_batch_id, record_batch
from app.storage.corrections import SOURCE, TradeContent, TradeKey, change_trade, stored_trade
from app.storage.database import Connection
from app.validation.reasons import Reason

_MAX_ID = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeName:
    """A trade as its source names it: the symbol is that of the time of the trade."""

    symbol: str
    time: datetime
    trade_id: int

    def __post_init__(self) -> None:
        """Refuse an id that no trade can have.

        Raises:
            BadInput: it is negative or too large.
        """
        if not 0 <= self.trade_id <= _MAX_ID:
            raise BadInput(f"trade id {self.trade_id} is not from 0 to 2^63 - 1")

    def __str__(self) -> str:
        return f"{self.symbol} {self.time.isoformat()} {self.trade_id}"


def correct_trade(
    connection: Connection,
    name: TradeName,
    *,
    price: Decimal,
    size: Decimal,
    actor: str,
    note: str | None = None,
    waived: frozenset[Reason] = frozenset(),
) -> Receipt:
    """Give a stored trade another price and size; a cancelled one counts again.

    A trade that says this already is a duplicate. `note` is for the audit trail.

    Raises:
        UnknownSymbol, UnknownTrade: there is no such trade.
        RecordRefused: price or size break a rule that is not waived.
    """
    record = {
        "line": [1],
        "symbol": [name.symbol],
        "time": [name.time.isoformat()],
        "price": [format(price, "f")],
        "size": [format(size, "f")],
        "trade_id": [str(name.trade_id)],
    }
    delivery = Delivery(kind=BatchKind.TRADES, source=SOURCE, actor=actor, waived=waived)
    with connection.transaction():
        symbols = Symbols(connection, None)
        key = _key(symbols, name)
        prepared = TRADES.prepare(
            pl.DataFrame(record), symbols, delivery, limits_of(delivery, datetime.now(UTC))
        )
        if prepared.refused.height:
            reasons = [Reason(each) for each in prepared.refused["reasons"][0]]
            words = "; ".join(each.sentence for each in reasons)
            raise RecordRefused(f"{name}: {words}", reasons=[each.value for each in reasons])
        wanted = TradeContent(price=price, size=size, cancelled=False)
        return _change(connection, name, key, wanted, Action.CORRECTION, actor, note)


def cancel_trade(
    connection: Connection, name: TradeName, *, actor: str, note: str | None = None
) -> Receipt:
    """Take a stored trade out of everything that is computed; its row stays.

    A trade that is cancelled already is a duplicate. `note` is for the audit trail.

    Raises:
        UnknownSymbol, UnknownTrade: there is no such trade.
    """
    with connection.transaction():
        key = _key(Symbols(connection, None), name)
        return _change(connection, name, key, None, Action.CANCELLATION, actor, note)


def _key(symbols: Symbols, name: TradeName) -> TradeKey:
    rows = pl.DataFrame({"line": [1], "symbol": [name.symbol], "event_time": [name.time]})
    rows = rows.with_columns(pl.col("event_time").cast(pl.Datetime("us", "UTC")))
    instrument_id = symbols.resolve(rows)["instrument_id"].item()
    if instrument_id is None:
        raise UnknownSymbol(f"no instrument has the symbol {name.symbol!r} at that time")
    return TradeKey(instrument_id=instrument_id, event_time=name.time, trade_id=name.trade_id)


def _change(
    connection: Connection,
    name: TradeName,
    key: TradeKey,
    wanted: TradeContent | None,
    action: Action,
    actor: str,
    note: str | None,
) -> Receipt:
    """Change a trade to what is wanted, or cancel it; in the caller's transaction."""
    received_at = datetime.now(UTC)
    batch_id = next_batch_id(connection, [key.instrument_id])
    before = stored_trade(connection, key)
    if before is None:
        raise UnknownTrade(f"there is no trade {name}")
    after = replace(before, cancelled=True) if wanted is None else wanted
    if after != before:
        change_trade(connection, key, after, batch_id=batch_id, received_at=received_at)
    changed = int(after != before)
    counts = Counts(stored=changed, duplicate=1 - changed, rejected=0)
    record_batch(
        connection,
        batch_id=batch_id,
        kind=BatchKind.TRADES,
        source=SOURCE,
        checksum=None,
        counts=counts,
        received_at=received_at,
        actor=actor,
        action=action,
        extra={
            "trade": str(name),
            "instrument_id": key.instrument_id,
            "before": _told(before),
            "after": _told(after),
            "note": note,
        },
    )
    return Receipt(batch_id=batch_id, counts=counts)


def _told(content: TradeContent) -> dict[str, object]:
    return {
        "price": format(content.price, "f"),
        "size": format(content.size, "f"),
        "cancelled": content.cancelled,
    }
