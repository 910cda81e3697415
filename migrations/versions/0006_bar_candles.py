"""Candles from vendor bars: 1h and 1d roll-ups of the native intervals that divide them.

Bars of one minute up to an hour are their own lowest level; daily bars need no roll-up.
"""

from alembic import op

from migrations.edition import drop_rollup, is_community

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FROM_BARS = """
    SELECT instrument_id, interval_minutes, session, trading_date,
           time_bucket(INTERVAL '{width}', bar_start) AS bucket,
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
    WHERE interval_minutes < {minutes} AND {minutes} % interval_minutes = 0
    GROUP BY instrument_id, interval_minutes, session, trading_date,
             time_bucket(INTERVAL '{width}', bar_start)
"""
CONTINUOUS = """
    CREATE MATERIALIZED VIEW {name} WITH (
        timescaledb.continuous,
        timescaledb.materialized_only = false,
        timescaledb.create_group_indexes = false
    ) AS {query} WITH NO DATA
"""
LEVELS = (("1h", "1 hour", 60), ("1d", "1 day", 1440))


def upgrade() -> None:
    for level, width, minutes in LEVELS:
        name = f"bar_candle_{level}"
        query = FROM_BARS.format(width=width, minutes=minutes)
        if is_community():
            op.execute(CONTINUOUS.format(name=name, query=query))
            op.execute(f"CREATE INDEX ON {name} (instrument_id, interval_minutes, bucket)")
        else:
            op.execute(f"CREATE VIEW {name} AS {query}")


def downgrade() -> None:
    for level, _, _ in reversed(LEVELS):
        drop_rollup(f"bar_candle_{level}")
