"""One call that tells whether remembered answers still hold.

The function is volatile so that its statements have snapshots of their own: the announcements are
read first, the log second. A batch that commits between the two is seen at least as one of them.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION look_at_log(OUT announced integer[], OUT newest bigint, OUT followed bigint)
        LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            SELECT array_agg(DISTINCT l.objid::bigint::integer) INTO announced
            FROM pg_locks AS l
            WHERE l.locktype = 'advisory' AND l.objsubid = 2
              AND l.classid::bigint = x'7469636B'::integer::bigint
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());
            SELECT max(b.batch_id) INTO newest FROM batch AS b;
            SELECT s.refreshed_batch_id INTO followed FROM rollup_state AS s;
        END
        $$
        """
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION look_at_log")
