"""Candles from trades: 1m, 1h and 1d roll-ups.

Community edition: continuous aggregates, each on the one below, real-time above their watermark.
Apache edition: plain views of the same names and columns over the trades themselves.

A day row is one UTC day of one trading date and session, so that exchange days, which may cross
midnight UTC, are exact sums of rows. A cancelled trade counts only towards the revision.
"""

from alembic import op

from migrations.edition import drop_rollup, is_community

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

FROM_TRADES = """
    SELECT instrument_id, session, trading_date,
           time_bucket(INTERVAL '{width}', event_time) AS bucket,
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
    GROUP BY instrument_id, session, trading_date, time_bucket(INTERVAL '{width}', event_time)
"""
FROM_CANDLES = """
    SELECT instrument_id, session, trading_date,
           time_bucket(INTERVAL '{width}', bucket) AS bucket,
           first(open, first_time) FILTER (WHERE trades > 0) AS open,
           max(high) AS high,
           min(low) AS low,
           last(close, last_time) FILTER (WHERE trades > 0) AS close,
           sum(volume) AS volume,
           sum(notional) AS notional,
           sum(trades)::bigint AS trades,
           max(revision) AS revision,
           min(first_time) AS first_time,
           max(last_time) AS last_time
    FROM {below}
    GROUP BY instrument_id, session, trading_date, time_bucket(INTERVAL '{width}', bucket)
"""
CONTINUOUS = """
    CREATE MATERIALIZED VIEW {name} WITH (
        timescaledb.continuous,
        timescaledb.materialized_only = false,
        timescaledb.create_group_indexes = false
    ) AS {query} WITH NO DATA
"""
LEVELS = (("1m", "1 minute"), ("1h", "1 hour"), ("1d", "1 day"))


def upgrade() -> None:
    below = None
    for level, width in LEVELS:
        name = f"trade_candle_{level}"
        if not is_community():
            op.execute(f"CREATE VIEW {name} AS {FROM_TRADES.format(width=width)}")
            continue
        query = (
            FROM_CANDLES.format(width=width, below=below)
            if below
            else FROM_TRADES.format(width=width)
        )
        op.execute(CONTINUOUS.format(name=name, query=query))
        op.execute(f"CREATE INDEX ON {name} (instrument_id, bucket)")
        below = name


def downgrade() -> None:
    for level, _ in reversed(LEVELS):
        drop_rollup(f"trade_candle_{level}")
