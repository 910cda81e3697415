"""The commit log: one row for every committed write, and what it touched."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE batch (
            batch_id bigint PRIMARY KEY,
            kind text NOT NULL CHECK (kind IN ('INSTRUMENTS', 'TRADES', 'BARS')),
            source text NOT NULL,
            checksum text,
            received bigint NOT NULL CHECK (received >= 0),
            stored bigint NOT NULL CHECK (stored >= 0),
            duplicate bigint NOT NULL CHECK (duplicate >= 0),
            rejected bigint NOT NULL CHECK (rejected >= 0),
            received_at timestamptz NOT NULL,
            committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CHECK (received = stored + duplicate + rejected)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE batch_range (
            batch_id bigint NOT NULL REFERENCES batch (batch_id) DEFERRABLE INITIALLY DEFERRED,
            kind text NOT NULL CHECK (kind IN ('TRADES', 'BARS')),
            instrument_id integer NOT NULL REFERENCES instrument (instrument_id),
            first_time timestamptz NOT NULL,
            last_time timestamptz NOT NULL,
            PRIMARY KEY (batch_id, instrument_id),
            CHECK (first_time <= last_time)
        )
        """
    )
    op.execute("CREATE INDEX batch_range_instrument ON batch_range (instrument_id, batch_id)")
    op.execute(
        """
        CREATE TABLE latest (
            instrument_id integer NOT NULL REFERENCES instrument (instrument_id),
            interval_minutes integer NOT NULL CHECK (interval_minutes BETWEEN 0 AND 1440),
            first_time timestamptz NOT NULL,
            last_time timestamptz NOT NULL,
            first_trading_date date NOT NULL,
            last_trading_date date NOT NULL,
            price numeric NOT NULL,
            size numeric NOT NULL,
            order_key uuid NOT NULL,
            batch_id bigint NOT NULL,
            PRIMARY KEY (instrument_id, interval_minutes)
        )
        """
    )
    op.execute(
        "COMMENT ON COLUMN latest.interval_minutes IS"
        " '0: trades; otherwise the native interval of vendor bars'"
    )


def downgrade() -> None:
    op.execute("DROP TABLE latest")
    op.execute("DROP TABLE batch_range")
    op.execute("DROP TABLE batch")
