"""Up to where each roll-up is made: what lies after it is read in real time.

The next refresh must begin there, or it would move the watermark past buckets that were never made.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE rollup_progress (
            view_name text PRIMARY KEY,
            made_to timestamptz NOT NULL
        )
        """
    )
    # What was followed before is followed again, from the start of the log.
    op.execute("UPDATE rollup_state SET refreshed_batch_id = 0")


def downgrade() -> None:
    op.execute("DROP TABLE rollup_progress")
