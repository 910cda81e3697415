"""Trades, as the venue sent them.

order_key sorts as (event_time, trade_id): both halves big-endian, the sign bit of the time flipped
so that times before 2000 (PostgreSQL's own epoch) come first. One scalar lets first() and last()
break ties exactly, and it is the page cursor.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE trade (
            instrument_id integer NOT NULL,
            event_time timestamptz NOT NULL,
            trade_id bigint NOT NULL CHECK (trade_id >= 0),
            price numeric NOT NULL CHECK (price > '-Infinity' AND price < 'Infinity'),
            size numeric NOT NULL CHECK (size >= 0 AND size < 'Infinity'),
            session smallint NOT NULL CHECK (session BETWEEN 0 AND 2),
            trading_date date NOT NULL,
            received_at timestamptz NOT NULL,
            batch_id bigint NOT NULL,
            cancelled boolean NOT NULL DEFAULT false,
            order_key uuid NOT NULL GENERATED ALWAYS AS ((
                encode(set_bit(timestamptz_send(event_time), 7,
                               1 - get_bit(timestamptz_send(event_time), 7)), 'hex')
                || encode(int8send(trade_id), 'hex'))::uuid) STORED
        )
        """
    )
    op.execute(
        "SELECT create_hypertable('trade', by_range('event_time', INTERVAL '7 days'),"
        " create_default_indexes => false)"
    )
    op.execute(
        "ALTER TABLE trade ADD CONSTRAINT trade_key UNIQUE (instrument_id, event_time, trade_id)"
    )
    # Refreshes and real-time tails read all instruments of a short time: 12.5 s without this index,
    # 0.4 s with it, for a 1h refresh over a million trades.
    op.execute("CREATE INDEX trade_event_time ON trade (event_time)")
    op.execute("COMMENT ON COLUMN trade.session IS '0: pre, 1: regular, 2: post'")


def downgrade() -> None:
    op.execute("DROP TABLE trade")
