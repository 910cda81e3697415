"""Each instrument's newest price and span of rows: kept by every write, not searched by reads.

The span holds cancelled trades too: they were, and stay, rows of it. The price does not: it has a
time of its own, and there is none where every trade is cancelled.
"""

from datetime import datetime

from app.storage.database import Connection

# What an insert into `latest` does to the row that is there: widen the span, keep the newer price.
MERGE = """
ON CONFLICT (instrument_id, interval_minutes) DO UPDATE SET
    first_time = least(latest.first_time, excluded.first_time),
    last_time = greatest(latest.last_time, excluded.last_time),
    first_trading_date = least(latest.first_trading_date, excluded.first_trading_date),
    last_trading_date = greatest(latest.last_trading_date, excluded.last_trading_date),
    (price_time, price_date, price, size, order_key, batch_id) = (
        SELECT n.price_time, n.price_date, n.price, n.size, n.order_key, n.batch_id
        FROM (VALUES (excluded.price_time, excluded.price_date, excluded.order_key, 1,
                      excluded.price, excluded.size, excluded.batch_id),
                     (latest.price_time, latest.price_date, latest.order_key, 0,
                      latest.price, latest.size, latest.batch_id))
             AS n (price_time, price_date, order_key, is_new, price, size, batch_id)
        ORDER BY n.price_time DESC NULLS LAST, n.order_key DESC, n.is_new DESC
        LIMIT 1
    )
"""

# reprice: after a change of an instrument's trades at or after its newest price's, search it anew.
REPRICE = """
UPDATE latest AS l
SET (price_time, price_date, price, size, order_key, batch_id) = (
    SELECT t.event_time, t.trading_date, t.price, t.size,
           coalesce(t.order_key, '00000000-0000-0000-0000-000000000000'), %(batch_id)s
    FROM (SELECT) AS always
    LEFT JOIN LATERAL (
        SELECT event_time, trading_date, price, size, order_key
        FROM trade
        WHERE instrument_id = %(instrument_id)s AND NOT cancelled
          AND event_time >= l.first_time AND event_time <= l.last_time
        ORDER BY event_time DESC, trade_id DESC
        LIMIT 1
    ) AS t ON true
)
WHERE l.instrument_id = %(instrument_id)s AND l.interval_minutes = 0
  AND (l.price_time IS NULL OR l.price_time <= %(changed)s)
"""


def reprice(
    connection: Connection, *, instrument_id: int, changed: datetime, batch_id: int
) -> None:
    """Find an instrument's newest price again, after a change of its trade at `changed`."""
    values = {"instrument_id": instrument_id, "changed": changed, "batch_id": batch_id}
    connection.execute(REPRICE, values)
