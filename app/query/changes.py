"""What has changed after a place in the commit log, for those who follow it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from app.market.candle import LatestPrice, Session, Trade
from app.storage.reader import Reader, Row

# newest: the last batch of this snapshot.
NEWEST = "SELECT coalesce(max(batch_id), 0) AS newest FROM batch"

# touched: which closed ranges of these instruments batches after one have touched.
TOUCHED = """
SELECT batch_id, instrument_id, first_time, last_time
FROM batch_range
WHERE batch_id > $1 AND instrument_id = ANY ($2::integer[]) AND kind IN ('TRADES', 'BARS')
ORDER BY batch_id
LIMIT $3
"""

# changed_trades: rows within the touched ranges that batches after one wrote, by batch and key.
CHANGED_TRADES = """
SELECT s.part, t.*
FROM unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::bigint[]) WITH ORDINALITY
     AS s (instrument_id, first_time, last_time, since, part)
CROSS JOIN LATERAL (
    SELECT event_time, trade_id, price, size, session, trading_date, order_key, batch_id, cancelled
    FROM trade
    WHERE instrument_id = s.instrument_id
      AND event_time >= s.first_time AND event_time <= s.last_time
      AND event_time >= $5 AND event_time <= $6
      AND batch_id > s.since
    ORDER BY batch_id, order_key
    LIMIT $7
) AS t
ORDER BY s.part
"""

# changed_dates: the trading dates of single trades that changed.
CHANGED_DATES = """
SELECT DISTINCT s.part, t.trading_date
FROM unnest($1::integer[], $2::timestamptz[]) WITH ORDINALITY AS s (instrument_id, time, part)
JOIN trade AS t ON t.instrument_id = s.instrument_id AND t.event_time = s.time
WHERE t.event_time >= $3 AND t.event_time <= $4
"""

# prices: each instrument's newest price of its candle source, and the batch that made it so.
PRICES = """
SELECT DISTINCT ON (l.instrument_id)
       l.instrument_id, l.price_time, l.price, l.size, l.price_date, l.batch_id
FROM latest AS l
JOIN instrument AS i USING (instrument_id)
WHERE l.instrument_id = ANY ($1::integer[])
  AND (l.interval_minutes = 0) = (i.candle_source = 'TRADES')
ORDER BY l.instrument_id, l.price_time + l.interval_minutes * INTERVAL '1 minute' DESC NULLS LAST,
         l.interval_minutes
"""

# last_trades: each instrument's newest trade that counts.
LAST_TRADES = """
SELECT s.part, t.*
FROM unnest($1::integer[], $2::timestamptz[]) WITH ORDINALITY AS s (instrument_id, time, part)
CROSS JOIN LATERAL (
    SELECT event_time, trade_id, price, size, session, trading_date, order_key, batch_id, cancelled
    FROM trade
    WHERE instrument_id = s.instrument_id AND event_time = s.time
      AND event_time >= $3 AND event_time <= $4
      AND NOT cancelled
    ORDER BY trade_id DESC
    LIMIT 1
) AS t
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """A closed range of an instrument that one batch touched."""

    batch_id: int
    instrument_id: int
    first_time: datetime
    last_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedTrade:
    """A trade as it is now, and the batch that made it so."""

    instrument_id: int
    batch_id: int
    trade: Trade
    cancelled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """An instrument's newest price, None where no trade counts, and the batch that made it so."""

    instrument_id: int
    batch_id: int
    latest: LatestPrice | None


async def newest_batch(reader: Reader) -> int:
    """Give the number of the last batch, 0 where there is none."""
    (row,) = await reader.fetch(NEWEST)
    newest: int = row["newest"]
    return newest


async def touched(
    reader: Reader, since: int, instrument_ids: Iterable[int], limit: int
) -> list[Touch]:
    """Give up to `limit` ranges that batches after `since` have touched, in the log's order."""
    rows = await reader.fetch(TOUCHED, since, list(instrument_ids), limit)
    return [Touch(**dict(row.items())) for row in rows]


async def changed_trades(
    reader: Reader,
    ranges: Mapping[int, tuple[datetime, datetime]],
    since: Mapping[int, int],
    limit: int,
) -> list[ChangedTrade]:
    """Give each instrument's trades in its range that batches after its `since` wrote.

    Up to `limit` of each, in the order of batch and key.
    """
    if not ranges:
        return []
    ids = list(ranges)
    firsts, lasts = [ranges[each][0] for each in ids], [ranges[each][1] for each in ids]
    marks = [since[each] for each in ids]
    rows = await reader.fetch(
        CHANGED_TRADES, ids, firsts, lasts, marks, min(firsts), max(lasts), limit
    )
    return [_changed(ids[row["part"] - 1], row) for row in rows]


async def changed_dates(
    reader: Reader, trades: Sequence[tuple[int, datetime]]
) -> dict[tuple[int, datetime], set[date]]:
    """Give the trading dates of the trades of (instrument, time)."""
    if not trades:
        return {}
    ids, times = [each[0] for each in trades], [each[1] for each in trades]
    rows = await reader.fetch(CHANGED_DATES, ids, times, min(times), max(times))
    found: dict[tuple[int, datetime], set[date]] = {}
    for row in rows:
        found.setdefault(trades[row["part"] - 1], set()).add(row["trading_date"])
    return found


async def prices(reader: Reader, instrument_ids: Sequence[int]) -> list[Price]:
    """Give each instrument's newest price; those that never had rows are absent."""
    rows = await reader.fetch(PRICES, list(instrument_ids))
    return [
        Price(
            instrument_id=row["instrument_id"],
            batch_id=row["batch_id"],
            latest=None
            if row["price_time"] is None
            else LatestPrice(
                time=row["price_time"],
                price=row["price"],
                size=row["size"],
                trading_date=row["price_date"],
            ),
        )
        for row in rows
    ]


async def last_trades(reader: Reader, times: Mapping[int, datetime]) -> list[ChangedTrade]:
    """Give each instrument's newest trade, whose time is known from its newest price."""
    if not times:
        return []
    ids, moments = list(times), list(times.values())
    rows = await reader.fetch(LAST_TRADES, ids, moments, min(moments), max(moments))
    return [_changed(ids[row["part"] - 1], row) for row in rows]


def _changed(instrument_id: int, row: Row) -> ChangedTrade:
    trade = Trade(
        time=row["event_time"],
        trade_id=row["trade_id"],
        price=row["price"],
        size=row["size"],
        session=Session(row["session"]),
        trading_date=row["trading_date"],
        order_key=row["order_key"].hex,
    )
    return ChangedTrade(
        instrument_id=instrument_id,
        batch_id=row["batch_id"],
        trade=trade,
        cancelled=row["cancelled"],
    )
