"""Correct or cancel one stored trade: its row stays, with the batch that changed it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.storage.database import Connection
from app.storage.latest import reprice

# What the log says that such batches come from.
SOURCE = "trade changes"

# stored: a trade as it is now; under the commit lock nobody changes it.
STORED = """
SELECT price, size, cancelled
FROM trade
WHERE instrument_id = %(instrument_id)s AND event_time = %(event_time)s AND trade_id = %(trade_id)s
"""

# change: the row's new content; and the log's range, from which roll-ups and caches follow.
CHANGE = """
WITH changed AS (
    UPDATE trade
    SET price = %(price)s, size = %(size)s, cancelled = %(cancelled)s,
        received_at = %(received_at)s, batch_id = %(batch_id)s
    WHERE instrument_id = %(instrument_id)s AND event_time = %(event_time)s
      AND trade_id = %(trade_id)s
    RETURNING instrument_id, event_time
)
INSERT INTO batch_range (batch_id, kind, instrument_id, first_time, last_time)
SELECT %(batch_id)s, 'TRADES', instrument_id, event_time, event_time
FROM changed
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeKey:
    """Which trade."""

    instrument_id: int
    event_time: datetime
    trade_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeContent:
    """What a trade says, and whether it counts."""

    price: Decimal
    size: Decimal
    cancelled: bool


def stored_trade(connection: Connection, key: TradeKey) -> TradeContent | None:
    """Give a trade as it is stored; None where there is none."""
    row = connection.execute(STORED, _values(key)).fetchone()
    return None if row is None else TradeContent(price=row[0], size=row[1], cancelled=row[2])


def change_trade(
    connection: Connection,
    key: TradeKey,
    content: TradeContent,
    *,
    batch_id: int,
    received_at: datetime,
) -> None:
    """Give a stored trade other content, under the commit lock."""
    values = _values(key) | {
        "price": content.price,
        "size": content.size,
        "cancelled": content.cancelled,
        "batch_id": batch_id,
        "received_at": received_at,
    }
    connection.execute(CHANGE, values)
    reprice(
        connection,
        instrument_id=key.instrument_id,
        changed=key.event_time,
        batch_id=batch_id,
    )


def _values(key: TradeKey) -> dict[str, object]:
    return {
        "instrument_id": key.instrument_id,
        "event_time": key.event_time,
        "trade_id": key.trade_id,
    }
