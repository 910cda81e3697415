"""Corporate actions: what past prices and volumes are adjusted for."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE batch DROP CONSTRAINT batch_kind_check")
    op.execute(
        "ALTER TABLE batch ADD CONSTRAINT batch_kind_check"
        " CHECK (kind IN ('INSTRUMENTS', 'TRADES', 'BARS', 'QUOTES', 'ACTIONS'))"
    )
    op.execute("ALTER TABLE batch_range DROP CONSTRAINT batch_range_kind_check")
    op.execute(
        "ALTER TABLE batch_range ADD CONSTRAINT batch_range_kind_check"
        " CHECK (kind IN ('TRADES', 'BARS', 'QUOTES', 'ACTIONS'))"
    )
    op.execute(
        """
        CREATE TABLE corporate_action (
            instrument_id integer NOT NULL REFERENCES instrument (instrument_id),
            ex_date date NOT NULL,
            kind text NOT NULL CHECK (kind IN ('SPLIT', 'DIVIDEND', 'SPIN_OFF')),
            number smallint NOT NULL CHECK (number > 0),
            new_shares numeric CHECK (new_shares > 0 AND new_shares < 'Infinity'),
            old_shares numeric CHECK (old_shares > 0 AND old_shares < 'Infinity'),
            amount numeric CHECK (amount >= 0 AND amount < 'Infinity'),
            currency text,
            source text NOT NULL,
            received_at timestamptz NOT NULL,
            batch_id bigint NOT NULL REFERENCES batch (batch_id) DEFERRABLE INITIALLY DEFERRED,
            PRIMARY KEY (instrument_id, ex_date, kind, number),
            CHECK ((new_shares IS NULL) = (old_shares IS NULL)),
            CHECK (amount IS NOT NULL OR new_shares IS NOT NULL)
        )
        """
    )
    op.execute(
        "COMMENT ON COLUMN corporate_action.number IS"
        " 'tells actions of one kind on one date apart, from 1'"
    )
    op.execute(
        "COMMENT ON COLUMN corporate_action.new_shares IS"
        " 'so many for old_shares; of a spin-off, shares of the new company'"
    )
    op.execute(
        "COMMENT ON COLUMN corporate_action.amount IS"
        " 'cash, or the value of what was spun off, for one share held before the date'"
    )


def downgrade() -> None:
    op.execute("DROP TABLE corporate_action")
    op.execute("ALTER TABLE batch_range DROP CONSTRAINT batch_range_kind_check")
    op.execute(
        "ALTER TABLE batch_range ADD CONSTRAINT batch_range_kind_check"
        " CHECK (kind IN ('TRADES', 'BARS', 'QUOTES'))"
    )
    op.execute("ALTER TABLE batch DROP CONSTRAINT batch_kind_check")
    op.execute(
        "ALTER TABLE batch ADD CONSTRAINT batch_kind_check"
        " CHECK (kind IN ('INSTRUMENTS', 'TRADES', 'BARS', 'QUOTES'))"
    )
