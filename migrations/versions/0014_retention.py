"""Where the rows of each kind begin: what came before was dropped, and only the roll-ups have it.

A refresh over dropped rows would delete their candles, and a row stored among them would make a
candle of itself alone. So a batch that stores a row there fails, whatever the writer knew: its
ranges are written under the commit lock, and the horizon moves only under the same lock.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE retention (
            kind text PRIMARY KEY CHECK (kind IN ('TRADES', 'BARS', 'QUOTES')),
            kept_from timestamptz NOT NULL,
            moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """
    )
    # The bars that no roll-up holds are never dropped: they may come in at any time.
    op.execute(
        """
        CREATE FUNCTION refuse_dropped_range() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            horizon timestamptz;
        BEGIN
            SELECT r.kept_from INTO horizon FROM retention AS r WHERE r.kind = NEW.kind;
            IF NEW.first_time < horizon AND (NEW.kind <> 'BARS' OR EXISTS (
                SELECT
                FROM bar AS b
                WHERE b.instrument_id = NEW.instrument_id AND b.batch_id = NEW.batch_id
                  AND b.bar_start >= NEW.first_time AND b.bar_start < horizon
                  AND b.interval_minutes < 1440 AND 1440 % b.interval_minutes = 0
            )) THEN
                RAISE EXCEPTION '% before % have been dropped', NEW.kind, horizon
                    USING ERRCODE = 'TG001';
            END IF;
            RETURN NULL;
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER batch_range_after_horizon AFTER INSERT ON batch_range"
        " FOR EACH ROW EXECUTE FUNCTION refuse_dropped_range()"
    )


def downgrade() -> None:
    # Without the horizon the next refresh would delete the candles of what was dropped.
    op.execute(
        """
        DO $$
        BEGIN
            IF EXISTS (SELECT FROM retention WHERE kind IN ('TRADES', 'BARS')) THEN
                RAISE EXCEPTION 'retention has dropped rows that only the roll-ups still have';
            END IF;
        END
        $$
        """
    )
    op.execute("DROP TRIGGER batch_range_after_horizon ON batch_range")
    op.execute("DROP FUNCTION refuse_dropped_range")
    op.execute("DROP TABLE retention")
