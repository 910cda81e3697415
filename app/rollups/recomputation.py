"""The statement that recomputes a roll-up's buckets from the rows and tells what differs.

Parameters: kind, width, minutes (of the width), start, end, ids, limit.
"""

from psycopg.sql import SQL, Composed, Identifier, Literal

from app.market.instrument import CandleSource
from app.rollups.catalogue import Rollup

COLUMNS = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "notional",
    "trades",
    "revision",
    "first_time",
    "last_time",
)

# recomputed_from_trades: what a roll-up of any width should hold, from the trades.
FROM_TRADES = SQL(
    """
    SELECT instrument_id, 0 AS interval_minutes, session, trading_date,
           time_bucket(%(width)s, event_time) AS bucket,
           first(price, order_key) FILTER (WHERE NOT cancelled) AS open,
           max(price) FILTER (WHERE NOT cancelled) AS high,
           min(price) FILTER (WHERE NOT cancelled) AS low,
           last(price, order_key) FILTER (WHERE NOT cancelled) AS close,
           sum(size) FILTER (WHERE NOT cancelled) AS volume,
           sum(price * size) FILTER (WHERE NOT cancelled) AS notional,
           count(*) FILTER (WHERE NOT cancelled) AS trades,
           max(batch_id) AS revision,
           min(event_time) FILTER (WHERE NOT cancelled) AS first_time,
           max(event_time) FILTER (WHERE NOT cancelled) AS last_time
    FROM trade
    WHERE event_time >= %(start)s AND event_time < %(end)s AND {chosen}
    GROUP BY 1, 2, 3, 4, 5
"""
)

# recomputed_from_bars: the same from the bars whose interval divides the width.
FROM_BARS = SQL(
    """
    SELECT instrument_id, interval_minutes, session, trading_date,
           time_bucket(%(width)s, bar_start) AS bucket,
           first(open, bar_start) AS open,
           max(high) AS high,
           min(low) AS low,
           last(close, bar_start) AS close,
           sum(volume) AS volume,
           CASE WHEN bool_and(notional IS NOT NULL) THEN sum(notional) END AS notional,
           sum(trades)::bigint AS trades,
           max(batch_id) AS revision,
           min(bar_start) AS first_time,
           max(bar_start) AS last_time
    FROM bar
    WHERE bar_start >= %(start)s AND bar_start < %(end)s AND {chosen}
      AND interval_minutes < %(minutes)s AND %(minutes)s %% interval_minutes = 0
    GROUP BY 1, 2, 3, 4, 5
"""
)

# differences: one row for each column of a bucket that is not what the rows give.
DIFFERENCES = SQL(
    """
WITH unfollowed AS MATERIALIZED (
    SELECT instrument_id, first_time, last_time
    FROM batch_range
    WHERE batch_id > (SELECT refreshed_batch_id FROM rollup_state) AND kind = %(kind)s
      AND first_time < %(end)s AND last_time >= %(start)s
), stored AS (
    SELECT instrument_id, {minutes} AS interval_minutes, session, trading_date, bucket, {columns}
    FROM {view}
    WHERE bucket >= %(start)s AND bucket < %(end)s AND {chosen}
), recomputed AS ({recomputed})
SELECT instrument_id, interval_minutes, session, trading_date, bucket,
       d.name, d.stored, d.recomputed
FROM stored AS s
FULL JOIN recomputed AS r USING (instrument_id, interval_minutes, session, trading_date, bucket)
CROSS JOIN LATERAL (VALUES {compared}) AS d (name, differs, stored, recomputed)
WHERE d.differs
  AND NOT EXISTS (
      SELECT
      FROM unfollowed AS u
      WHERE u.instrument_id = coalesce(s.instrument_id, r.instrument_id)
        AND u.first_time < coalesce(s.bucket, r.bucket) + %(width)s
        AND u.last_time >= coalesce(s.bucket, r.bucket))
ORDER BY bucket, instrument_id, interval_minutes, session, trading_date, d.name
LIMIT %(limit)s
"""
)


def differences(rollup: Rollup, chosen: SQL) -> Composed:
    """Write the statement for a roll-up; `chosen` is the condition on instrument_id."""
    trades = rollup.source is CandleSource.TRADES
    compared = (
        SQL("({}, s.{} IS DISTINCT FROM r.{}, s.{}::text, r.{}::text)").format(
            Literal(name), *[Identifier(name)] * 4
        )
        for name in COLUMNS
    )
    return DIFFERENCES.format(
        minutes=SQL("0" if trades else "interval_minutes"),
        columns=SQL(", ").join(map(Identifier, COLUMNS)),
        view=Identifier(rollup.view),
        chosen=chosen,
        recomputed=(FROM_TRADES if trades else FROM_BARS).format(chosen=chosen),
        compared=SQL(", ").join(compared),
    )
