"""Quotes, as the venue sent them: one side may be missing."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE quote (
            instrument_id integer NOT NULL,
            event_time timestamptz NOT NULL,
            quote_id bigint NOT NULL CHECK (quote_id >= 0),
            bid numeric CHECK (bid > '-Infinity' AND bid < 'Infinity'),
            ask numeric CHECK (ask > '-Infinity' AND ask < 'Infinity'),
            bid_size numeric CHECK (bid_size >= 0 AND bid_size < 'Infinity'),
            ask_size numeric CHECK (ask_size >= 0 AND ask_size < 'Infinity'),
            session smallint NOT NULL CHECK (session BETWEEN 0 AND 2),
            trading_date date NOT NULL,
            received_at timestamptz NOT NULL,
            batch_id bigint NOT NULL,
            CHECK (bid IS NOT NULL OR ask IS NOT NULL),
            CHECK ((bid IS NOT NULL OR bid_size IS NULL) AND (ask IS NOT NULL OR ask_size IS NULL))
        )
        """
    )
    op.execute(
        "SELECT create_hypertable('quote', by_range('event_time', INTERVAL '1 day'),"
        " create_default_indexes => false)"
    )
    op.execute(
        "ALTER TABLE quote ADD CONSTRAINT quote_key UNIQUE (instrument_id, event_time, quote_id)"
    )
    op.execute("COMMENT ON COLUMN quote.session IS '0: pre, 1: regular, 2: post'")


def downgrade() -> None:
    op.execute("DROP TABLE quote")
