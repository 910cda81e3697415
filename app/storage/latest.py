"""Each instrument's newest price and span of rows: kept by every write, never searched."""

# What an insert into `latest` does to the row that is there: widen the span, keep the newer price.
MERGE = """
ON CONFLICT (instrument_id, interval_minutes) DO UPDATE SET
    first_time = least(latest.first_time, excluded.first_time),
    last_time = greatest(latest.last_time, excluded.last_time),
    first_trading_date = least(latest.first_trading_date, excluded.first_trading_date),
    last_trading_date = greatest(latest.last_trading_date, excluded.last_trading_date),
    (price, size, order_key, batch_id) = (
        SELECT n.price, n.size, n.order_key, n.batch_id
        FROM (VALUES (excluded.last_time, excluded.order_key, 1, excluded.price, excluded.size,
                      excluded.batch_id),
                     (latest.last_time, latest.order_key, 0, latest.price, latest.size,
                      latest.batch_id))
             AS n (last_time, order_key, is_new, price, size, batch_id)
        ORDER BY n.last_time DESC, n.order_key DESC, n.is_new DESC
        LIMIT 1
    )
"""
