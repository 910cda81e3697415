"""How far the roll-ups have followed the commit log: batches above this are read from raw rows."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE rollup_state (
            singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
            refreshed_batch_id bigint NOT NULL,
            refreshed_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """
    )
    op.execute("INSERT INTO rollup_state (refreshed_batch_id) VALUES (0)")


def downgrade() -> None:
    op.execute("DROP TABLE rollup_state")
