"""Databases with batches from before the trail: the migration leaves them verifiable."""

import psycopg

from app.storage.audit_batches import source_counts
from app.storage.audit_walk import Broken, Flaw, bounds
from app.storage.migrate import downgrade, migrate
from tests.conftest import TestDatabase
from tests.ingestion.imports import writing
from tests.storage.audit_trail import add_batch, add_discard, look, unlock

BATCHES = 5_010  # more than a page of the migration


def test_earlier_batches_get_an_entry_each(database: TestDatabase) -> None:
    downgrade(database.url, "0011")
    with psycopg.connect(database.url, autocommit=True) as session:
        session.execute(
            """
            INSERT INTO batch (batch_id, kind, source, checksum, received, stored, duplicate,
                               rejected, received_at, actor)
            SELECT n, CASE n %% 4 WHEN 0 THEN 'INSTRUMENTS' ELSE 'TRADES' END,
                   'file:"ünï"' || n %% 3, CASE WHEN n < 20 THEN 'c' || n END, n + 3, n, 1, 2,
                   now() - n * interval '1.000001 hours', 'unknown'
            FROM generate_series(1, %s) AS n
            """,
            (BATCHES,),
        )
        session.execute("UPDATE batch SET idempotency_key = 'k' || batch_id WHERE batch_id < 5")
    migrate(database.url)
    with writing(database.url) as connection:
        found = look(connection, page=1_000)
        assert found.whole
        assert found.before_trail == found.chain.entries == BATCHES
        newest = add_batch(connection)
        add_discard(connection, 1)
        found = look(connection, page=1_000)
        assert found.whole
        assert (found.before_trail, found.chain.entries) == (BATCHES, BATCHES + 2)
        assert newest == BATCHES + 1
        counts = source_counts(connection, upto=bounds(connection).batch_id, since=BATCHES)
        assert all(each.agrees for each in counts)
        assert sum(each.kept for each in counts) == 2

        with connection.transaction(force_rollback=True):
            connection.execute("UPDATE batch SET source = 'other' WHERE batch_id = 7")
            assert [each.batch_id for each in look(connection, page=1_000).differences] == [7]
        with connection.transaction(force_rollback=True):
            unlock(connection)
            connection.execute("UPDATE audit SET detail = detail || ' ' WHERE sequence = 9")
            assert look(connection, page=1_000).chain.broken == Broken(
                sequence=9, flaw=Flaw.CONTENT
            )


def test_a_trail_begins_empty_where_there_was_no_batch(native_database: TestDatabase) -> None:
    with writing(native_database.url) as connection:
        found = look(connection, page=1_000)
    assert (found.whole, found.chain.entries) == (True, 0)
