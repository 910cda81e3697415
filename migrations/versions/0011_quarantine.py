"""What comes in: who sent it, under which key, from which place; and what of it was refused."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE batch DROP CONSTRAINT batch_kind_check")
    op.execute(
        "ALTER TABLE batch ADD CONSTRAINT batch_kind_check"
        " CHECK (kind IN ('INSTRUMENTS', 'TRADES', 'BARS', 'QUOTES'))"
    )
    op.execute("ALTER TABLE batch_range DROP CONSTRAINT batch_range_kind_check")
    op.execute(
        "ALTER TABLE batch_range ADD CONSTRAINT batch_range_kind_check"
        " CHECK (kind IN ('TRADES', 'BARS', 'QUOTES'))"
    )
    op.execute("ALTER TABLE batch ADD COLUMN actor text NOT NULL DEFAULT 'unknown'")
    op.execute("ALTER TABLE batch ALTER COLUMN actor DROP DEFAULT")
    op.execute("ALTER TABLE batch ADD COLUMN idempotency_key text")
    op.execute("ALTER TABLE batch ADD COLUMN flagged bigint NOT NULL DEFAULT 0")
    # A key belongs to its source: what was sent under it once is not stored again.
    op.execute(
        "CREATE UNIQUE INDEX batch_idempotency ON batch (source, idempotency_key)"
        " WHERE idempotency_key IS NOT NULL"
    )
    # A price has a time of its own: the newest row of the span may be cancelled.
    op.execute("ALTER TABLE latest ADD COLUMN price_time timestamptz")
    op.execute("ALTER TABLE latest ADD COLUMN price_date date")
    op.execute("UPDATE latest SET price_time = last_time, price_date = last_trading_date")
    op.execute("ALTER TABLE latest ALTER COLUMN price DROP NOT NULL")
    op.execute("ALTER TABLE latest ALTER COLUMN size DROP NOT NULL")
    op.execute(
        "ALTER TABLE latest ADD CHECK (num_nulls(price_time, price_date, price, size) IN (0, 4))"
    )
    op.execute(
        """
        CREATE TABLE stream_position (
            source text NOT NULL,
            position text NOT NULL,
            batch_id bigint NOT NULL REFERENCES batch (batch_id) DEFERRABLE INITIALLY DEFERRED,
            PRIMARY KEY (source, position)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE quarantine (
            quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            batch_id bigint NOT NULL REFERENCES batch (batch_id) DEFERRABLE INITIALLY DEFERRED,
            position bigint NOT NULL,
            reasons text[] NOT NULL CHECK (cardinality(reasons) > 0),
            record bytea NOT NULL,
            fields json,
            options json NOT NULL,
            state text NOT NULL DEFAULT 'PENDING'
                CHECK (state IN ('PENDING', 'RELEASED', 'DISCARDED')),
            decided_at timestamptz,
            decided_by text,
            note text,
            overrides text[],
            released_batch_id bigint REFERENCES batch (batch_id) DEFERRABLE INITIALLY DEFERRED,
            CHECK ((state = 'PENDING') = (decided_at IS NULL)),
            CHECK ((state = 'RELEASED') = (released_batch_id IS NOT NULL))
        )
        """
    )
    op.execute("CREATE INDEX quarantine_batch ON quarantine (batch_id)")
    op.execute(
        "CREATE INDEX quarantine_pending ON quarantine (quarantine_id) WHERE state = 'PENDING'"
    )
    op.execute(
        "COMMENT ON COLUMN quarantine.position IS 'line of a file, place in a request or stream'"
    )
    op.execute(
        "COMMENT ON COLUMN quarantine.fields IS"
        " 'the named texts of the record; NULL where it could not be read'"
    )
    op.execute(
        "COMMENT ON COLUMN quarantine.options IS 'how its source was read: timezone, interval …'"
    )


def downgrade() -> None:
    op.execute("DROP TABLE quarantine")
    op.execute("DROP TABLE stream_position")
    op.execute("DELETE FROM latest WHERE price_time IS NULL")
    op.execute("ALTER TABLE latest DROP COLUMN price_date")
    op.execute("ALTER TABLE latest DROP COLUMN price_time")
    op.execute("ALTER TABLE latest ALTER COLUMN size SET NOT NULL")
    op.execute("ALTER TABLE latest ALTER COLUMN price SET NOT NULL")
    op.execute("DROP INDEX batch_idempotency")
    for column in ("flagged", "idempotency_key", "actor"):
        op.execute(f"ALTER TABLE batch DROP COLUMN {column}")
    op.execute("ALTER TABLE batch_range DROP CONSTRAINT batch_range_kind_check")
    op.execute(
        "ALTER TABLE batch_range ADD CONSTRAINT batch_range_kind_check"
        " CHECK (kind IN ('TRADES', 'BARS'))"
    )
    op.execute("ALTER TABLE batch DROP CONSTRAINT batch_kind_check")
    op.execute(
        "ALTER TABLE batch ADD CONSTRAINT batch_kind_check"
        " CHECK (kind IN ('INSTRUMENTS', 'TRADES', 'BARS'))"
    )
