"""Trades and quotes of a range as packed columns, for numeric code."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from app.query.plan import DATE_BEFORE
from app.storage.reader import Reader, Row

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_PG_EPOCH_US = 946_684_800_000_000
_WIDTH = 8

# packed_trades: those that count, by time; the price before them and the last other one, in its
# trading date.
TRADES = """
SELECT s.part, f.*, p.price AS price_before, o.price AS other_before,
       (p.trading_date - DATE '2000-01-01')::bigint AS date_before
FROM unnest($1::integer[]) WITH ORDINALITY AS s (instrument_id, part)
CROSS JOIN LATERAL (
    SELECT count(*) AS count,
           string_agg(timestamptz_send(t.event_time), ''::bytea ORDER BY t.event_time, t.trade_id)
           || string_agg(float8send((t.price * 2)::double precision), ''::bytea
                         ORDER BY t.event_time, t.trade_id)
           || string_agg(float8send(t.size::double precision), ''::bytea
                         ORDER BY t.event_time, t.trade_id)
           || string_agg(int8send((t.trading_date - DATE '2000-01-01')::bigint), ''::bytea
                         ORDER BY t.event_time, t.trade_id) AS packed
    FROM (
        SELECT event_time, trade_id, price, size, trading_date
        FROM trade
        WHERE instrument_id = s.instrument_id AND event_time >= $2 AND event_time < $3
          AND NOT cancelled
        ORDER BY event_time, trade_id
        LIMIT $5
    ) AS t
) AS f
LEFT JOIN LATERAL (
    SELECT event_time, trade_id, price, trading_date
    FROM trade
    WHERE instrument_id = s.instrument_id AND event_time >= $4 AND event_time < $2
      AND NOT cancelled
    ORDER BY event_time DESC, trade_id DESC
    LIMIT 1
) AS p ON true
LEFT JOIN LATERAL (
    SELECT price
    FROM trade
    WHERE instrument_id = s.instrument_id AND event_time >= $4 AND event_time < $2
      AND NOT cancelled AND trading_date = p.trading_date AND price <> p.price
    ORDER BY event_time DESC, trade_id DESC
    LIMIT 1
) AS o ON true
ORDER BY s.part
"""

# packed_quotes: those in [$2, $3) by time, and the one in force before them, if it is looked for
# far enough.
QUOTES = """
SELECT s.part, p.event_time IS NOT NULL AS has_before, f.*
FROM unnest($1::integer[], $5::timestamptz[]) WITH ORDINALITY AS s (instrument_id, look_from, part)
LEFT JOIN LATERAL (
    SELECT event_time, quote_id, bid, ask
    FROM quote
    WHERE instrument_id = s.instrument_id
      AND event_time >= s.look_from AND event_time < $2 AND event_time >= $4
    ORDER BY event_time DESC, quote_id DESC
    LIMIT 1
) AS p ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS count,
           string_agg(timestamptz_send(q.event_time), ''::bytea ORDER BY q.event_time, q.quote_id)
           || string_agg(float8send(coalesce(q.bid + q.ask, 'NaN')::double precision), ''::bytea
                         ORDER BY q.event_time, q.quote_id) AS packed
    FROM (
        SELECT p.*
        WHERE p.event_time IS NOT NULL
        UNION ALL
        (SELECT event_time, quote_id, bid, ask
         FROM quote
         WHERE instrument_id = s.instrument_id AND event_time >= $2 AND event_time < $3
         ORDER BY event_time, quote_id
         LIMIT $6)
    ) AS q
) AS f
ORDER BY s.part
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeArrays:
    """Trades by time: microseconds since 1970, doubled prices, sizes, and the tick test's sign."""

    time: Integers
    twice_price: Floats
    size: Floats
    tick: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteArrays:
    """Quotes by time: microseconds since 1970 and doubled mids, NaN where a side is missing."""

    time: Integers
    twice_mid: Floats


async def read_packed_trades(
    reader: Reader, instrument_ids: Sequence[int], start: datetime, end: datetime, limit: int
) -> list[Row]:
    """Read the trades within [start, end), at most `limit` of each; rows for `trade_arrays`."""
    return await reader.fetch(TRADES, list(instrument_ids), start, end, start - DATE_BEFORE, limit)


async def read_packed_quotes(
    reader: Reader,
    instrument_ids: Sequence[int],
    start: datetime,
    end: datetime,
    looks: Sequence[datetime],
    limit: int,
) -> list[Row]:
    """Read the quotes within [start, end) and those in force before, not older than `looks`."""
    return await reader.fetch(
        QUOTES, list(instrument_ids), start, end, min(looks), list(looks), limit
    )


def trade_arrays(row: Row) -> TradeArrays:
    """Unpack trades, and tell the tick test's sign: 1 up, -1 down, 0 unknown."""
    count, packed = row["count"], row["packed"]
    if not count:
        nothing = np.empty(0)
        return TradeArrays(
            time=nothing.astype(np.int64), twice_price=nothing, size=nothing, tick=nothing
        )
    time, price, size, dates = (
        np.frombuffer(packed, dtype=kind, count=count, offset=place * count * _WIDTH)
        for place, kind in enumerate((">i8", ">f8", ">f8", ">i8"))
    )
    earlier = [row["other_before"], row["price_before"]]
    before = [2 * float(each) for each in earlier if each is not None]
    prices = np.concatenate([before, price])
    days = np.concatenate([np.full(len(before), row["date_before"] or 0), dates])
    return TradeArrays(
        time=time.astype(np.int64) + _PG_EPOCH_US,
        twice_price=price.astype(np.float64),
        size=size.astype(np.float64),
        tick=_ticks(prices, days)[len(before) :],
    )


def _ticks(prices: Floats, days: Integers) -> Floats:
    """Compare each price with the last other one of its day."""
    steps = np.sign(np.diff(prices, prepend=prices[:1]))
    first = np.diff(days, prepend=days[:1] - 1) != 0
    steps[first] = 0
    moved = np.where((steps != 0) | first, np.arange(len(prices)), 0)
    ticks: Floats = steps[np.maximum.accumulate(moved)]
    return ticks


def quote_arrays(row: Row | None) -> QuoteArrays:
    """Unpack quotes."""
    if row is None or not row["count"]:
        return QuoteArrays(time=np.empty(0, dtype=np.int64), twice_mid=np.empty(0))
    count, packed = row["count"], row["packed"]
    return QuoteArrays(
        time=np.frombuffer(packed, dtype=">i8", count=count).astype(np.int64) + _PG_EPOCH_US,
        twice_mid=np.frombuffer(packed, dtype=">f8", offset=count * _WIDTH).astype(np.float64),
    )
