"""Vendor bars at their native interval; a daily bar is stamped with its date at 00:00 UTC."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE bar (
            instrument_id integer NOT NULL,
            interval_minutes integer NOT NULL CHECK (interval_minutes BETWEEN 1 AND 1440),
            bar_start timestamptz NOT NULL,
            open numeric NOT NULL CHECK (open > '-Infinity' AND open < 'Infinity'),
            high numeric NOT NULL CHECK (high < 'Infinity'),
            low numeric NOT NULL CHECK (low > '-Infinity'),
            close numeric NOT NULL,
            volume numeric NOT NULL CHECK (volume >= 0 AND volume < 'Infinity'),
            notional numeric CHECK (notional > '-Infinity' AND notional < 'Infinity'),
            trades bigint CHECK (trades >= 0),
            session smallint NOT NULL CHECK (session BETWEEN 0 AND 2),
            trading_date date NOT NULL,
            received_at timestamptz NOT NULL,
            batch_id bigint NOT NULL,
            CHECK (low <= open AND low <= close AND open <= high AND close <= high)
        )
        """
    )
    op.execute(
        "SELECT create_hypertable('bar', by_range('bar_start', INTERVAL '30 days'),"
        " create_default_indexes => false)"
    )
    op.execute(
        "ALTER TABLE bar ADD CONSTRAINT bar_key UNIQUE (instrument_id, interval_minutes, bar_start)"
    )
    op.execute("CREATE INDEX bar_start_time ON bar (bar_start)")


def downgrade() -> None:
    op.execute("DROP TABLE bar")
