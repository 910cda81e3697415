"""Anomalies: rows that were stored and looked odd beside the recent past."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE flag (
            flag_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            batch_id bigint NOT NULL REFERENCES batch (batch_id) DEFERRABLE INITIALLY DEFERRED,
            kind text NOT NULL CHECK (kind IN ('TRADES', 'BARS', 'QUOTES')),
            instrument_id integer NOT NULL REFERENCES instrument (instrument_id),
            interval_minutes integer NOT NULL CHECK (interval_minutes BETWEEN 0 AND 1440),
            event_time timestamptz NOT NULL,
            row_id bigint NOT NULL,
            rule text NOT NULL,
            severity text NOT NULL CHECK (severity IN ('INFO', 'WARNING', 'ALERT')),
            score double precision NOT NULL,
            threshold double precision NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX flag_instrument ON flag (instrument_id, event_time)")
    op.execute("CREATE INDEX flag_batch ON flag (batch_id)")
    op.execute("COMMENT ON COLUMN flag.row_id IS 'trade_id or quote_id; 0 for bars'")


def downgrade() -> None:
    op.execute("DROP TABLE flag")
