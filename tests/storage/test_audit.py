"""The audit trail: what an entry is, who may change it, and that order holds under load."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from app.errors import BadInput
from app.storage.audit import BATCH_ACTIONS, Action, Entry, append, append_alone, append_batch
from app.storage.audit_batches import LogComparison, SourceCounts, source_counts
from app.storage.audit_walk import Broken, Flaw, bounds, parse_head, unguarded, walk
from app.storage.batches import Counts
from app.storage.commit_lock import take_commit_lock
from app.storage.database import Connection, one_row
from tests.conftest import TestDatabase
from tests.ingestion.imports import writing
from tests.storage.audit_trail import NOON, add_batch, add_discard, look, unlock


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    with writing(database.url) as connection:
        yield connection


def newest(connection: Connection) -> tuple[Any, ...]:
    return one_row(connection, "SELECT * FROM audit ORDER BY sequence DESC LIMIT 1")


def test_an_empty_trail_is_whole_and_its_head_is_the_constant(connection: Connection) -> None:
    found = look(connection)
    assert found.whole
    assert str(found.chain.head) == f"0:{'00' * 32}"
    assert look(connection, parse_head(f"0:{'00' * 32}")).whole
    broken = look(connection, parse_head(f"0:{'01' * 32}")).chain.broken
    assert broken == Broken(sequence=0, flaw=Flaw.REWRITTEN)
    broken = look(connection, parse_head(f"1:{'01' * 32}")).chain.broken
    assert broken == Broken(sequence=1, flaw=Flaw.TRUNCATED)


def test_the_hash_is_that_of_the_bytes_that_are_written_down(connection: Connection) -> None:
    before = walk(connection).head
    entry = append_alone(
        connection, actor="a", action=Action.DISCARD, subject="Ünï", detail={"b": 1, "a": "☃"}
    )
    sequence, recorded_at, actor, action, subject, detail, previous_hash, digest = newest(
        connection
    )
    assert (actor, action, subject) == ("a", "DISCARD", "Ünï")
    assert detail == '{"a":"\\u2603","b":1}'
    assert (sequence, bytes(previous_hash)) == (before.sequence + 1, before.hash)
    since = recorded_at - datetime(2000, 1, 1, tzinfo=UTC)
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    content = before.hash + sequence.to_bytes(8, "big") + microseconds.to_bytes(8, "big")
    for text in (actor, action, subject, detail):
        content += len(text.encode()).to_bytes(4, "big") + text.encode()
    assert hashlib.sha256(content).digest() == digest == entry.hash
    assert str(entry) == f"{sequence}:{digest.hex()}"
    assert parse_head(str(entry)) == entry


def test_a_batch_has_one_entry_that_says_what_its_row_says(connection: Connection) -> None:
    batch_id = add_batch(
        connection, action=Action.RELEASE, key="k", extra={"overrides": ["BAD_PRICE"], "note": None}
    )
    _, _, actor, action, subject, detail, _, _ = newest(connection)
    committed_at = one_row(connection, "SELECT max(committed_at) FROM batch")[0].astimezone(UTC)
    assert (actor, action, subject) == ("tester", "RELEASE", f"batch {batch_id}")
    assert json.loads(detail) == {
        "batch_id": batch_id,
        "kind": "TRADES",
        "source": "file:t.csv",
        "checksum": "aa",
        "received": 6,
        "stored": 3,
        "duplicate": 1,
        "rejected": 2,
        "received_at": "2024-01-02T12:00:00.123456+00:00",
        "committed_at": committed_at.isoformat(timespec="microseconds"),
        "idempotency_key": "k",
        "flagged": 1,
        "overrides": ["BAD_PRICE"],
        "note": None,
    }
    assert look(connection).whole


@pytest.mark.parametrize("name", ["batch_id", "flagged", "before_trail"])
def test_what_else_a_batch_tells_cannot_contradict_it(connection: Connection, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        add_batch(connection, extra={name: 0})
    assert look(connection).whole


@pytest.mark.parametrize("action", sorted(set(Action) - BATCH_ACTIONS))
def test_a_batch_does_what_batches_do(connection: Connection, action: Action) -> None:
    with pytest.raises(ValueError, match=action):
        add_batch(connection, action=action)


@pytest.mark.parametrize("value", [float("nan"), datetime.now(UTC), b"bytes", {1, 2}])
def test_a_detail_that_is_no_json_is_refused(connection: Connection, value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        append_alone(
            connection, actor="a", action=Action.DISCARD, subject="s", detail={"value": value}
        )
    assert look(connection).whole


@pytest.mark.parametrize(
    "text", ["", "\x01", "\\", "'; DROP TABLE audit; --", "a\nb", "\U0001f4c8é", "%s", "x" * 70_000]
)
def test_texts_of_any_kind_are_kept_and_hashed(connection: Connection, text: str) -> None:
    append_alone(
        connection,
        actor=text,
        action=Action.DISCARD,
        subject=text,
        detail={text: [text, "\0\ud800"]},
    )
    assert newest(connection)[2] == newest(connection)[4] == text
    assert look(connection).whole


def test_a_write_that_fails_leaves_no_gap(connection: Connection) -> None:
    before = walk(connection).head
    with connection.transaction(force_rollback=True):
        add_batch(connection)
    assert walk(connection).head == before
    add_batch(connection)
    found = look(connection, before)
    assert found.whole
    assert found.chain.head.sequence == before.sequence + 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = actor",
        "UPDATE audit SET actor = actor WHERE false",
        "DELETE FROM audit WHERE sequence = 1",
        "TRUNCATE audit",
        "TRUNCATE batch CASCADE; TRUNCATE audit",
        "INSERT INTO audit SELECT * FROM audit LIMIT 1"
        " ON CONFLICT (sequence) DO UPDATE SET actor = 'me'",
        "MERGE INTO audit AS a USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
    ],
)
@pytest.mark.parametrize("role", ["origin", "replica", "local"])
def test_the_table_refuses_changes(connection: Connection, statement: str, role: str) -> None:
    connection.execute("SELECT set_config('session_replication_role', %s, false)", (role,))
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        connection.execute(statement.encode())
    connection.execute("RESET session_replication_role")
    assert unguarded(connection) == []


def test_an_owner_who_takes_the_guards_away_is_seen(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        unlock(connection)
        assert [each.split(",")[0] for each in unguarded(connection)] == [
            "the trigger audit_append_only"
        ]
        connection.execute("DROP TRIGGER audit_append_only ON audit")
        connection.execute("ALTER TABLE audit DROP CONSTRAINT audit_pkey")
        assert len(unguarded(connection)) == 2
    assert unguarded(connection) == []


SETTINGS = {
    "TimeZone": ["Asia/Kathmandu", "America/St_Johns", "-13:37", "UTC"],
    "DateStyle": ["SQL, DMY", "German", "Postgres, MDY", "ISO, YMD"],
    "IntervalStyle": ["sql_standard", "iso_8601"],
    "extra_float_digits": ["-15", "0", "3"],
    "bytea_output": ["escape", "hex"],
    "standard_conforming_strings": ["on"],
    "lc_numeric": ["C"],
}


def test_no_setting_of_a_session_changes_a_hash(
    connection: Connection, database: TestDatabase
) -> None:
    for name, values in SETTINGS.items():
        for value in values:
            with writing(database.url) as other:
                other.execute("SELECT set_config(%s, %s, false)", (name, value))
                add_batch(other, received_at=datetime(2024, 7, 7, 1, 2, 3, 4, tzinfo=UTC))
                head = add_discard(other, 1)
                assert look(other, head).whole, (name, value)
            assert look(connection, head).whole, (name, value)


def test_eight_writers_at_once_make_one_chain_in_commit_order(
    connection: Connection, database: TestDatabase
) -> None:
    before = walk(connection).head
    barrier = threading.Barrier(8)

    def write(writer: int) -> None:
        with writing(database.url) as own:
            barrier.wait(60)
            for number in range(15):
                if number % 3:
                    add_batch(own, actor=f"writer {writer}")
                else:
                    add_discard(own, number)

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(write, range(8)))) == 8
    found = look(connection, before)
    assert found.whole
    assert found.chain.head.sequence == before.sequence + 120
    times = connection.execute("SELECT recorded_at FROM audit ORDER BY sequence").fetchall()
    assert times == sorted(times)


def test_the_chain_may_grow_while_it_is_walked(
    connection: Connection, database: TestDatabase
) -> None:
    grown = 0

    def grow(entry: object) -> None:
        nonlocal grown
        if grown < 30:
            grown += 1
            add_discard(other, grown)

    upto = bounds(connection).sequence
    with writing(database.url) as other:
        chain = walk(connection, on_entry=grow, page=3)
    assert (chain.entries, chain.broken) == (upto, None)
    assert bounds(connection).sequence == upto + 30


def test_who_forgets_the_lock_fails_and_breaks_nothing(native_database: TestDatabase) -> None:
    def enter(connection: Connection) -> Entry:
        return append(connection, actor="a", action=Action.DISCARD, subject="s", detail={})

    with writing(native_database.url) as first, writing(native_database.url) as second:
        with ThreadPoolExecutor(1) as pool:
            with first.transaction():
                enter(first)
                waiting = pool.submit(enter, second)
                time.sleep(0.3)
            with pytest.raises(psycopg.errors.UniqueViolation):
                waiting.result(30)
        assert look(first).whole
        # A snapshot from before another's commit does no better.
        second.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with second.transaction(force_rollback=True):
            second.execute("SELECT 1")
            enter(first)
            with pytest.raises(psycopg.errors.UniqueViolation):
                enter(second)
        assert look(first).whole


def test_counts_per_source_tell_what_is_not_accounted_for(connection: Connection) -> None:
    add_batch(connection, source="one", counts=Counts(stored=5, duplicate=2, rejected=3))
    add_batch(connection, source="one", counts=Counts(stored=0, duplicate=0, rejected=1))
    lost = add_batch(connection, source="two", counts=Counts(stored=0, duplicate=0, rejected=2))

    def counts() -> dict[str, SourceCounts]:
        rows = source_counts(connection, upto=lost, since=0)
        return {row.source: row for row in rows}

    one = counts()["one"]
    assert (one.batches, one.received, one.stored, one.duplicate, one.rejected) == (2, 11, 5, 2, 4)
    assert (one.kept, one.quarantined) == (4, 4)
    assert all(each.agrees for each in counts().values())
    with connection.transaction(force_rollback=True):
        connection.execute("DELETE FROM quarantine WHERE batch_id = %s AND position = 1", (lost,))
        assert [name for name, each in counts().items() if not each.agrees] == ["two"]
        # Batches from before the quarantine have nothing there.
        assert not source_counts(connection, upto=lost, since=lost)[-1].agrees
        connection.execute("DELETE FROM quarantine WHERE batch_id = %s", (lost,))
        assert source_counts(connection, upto=lost, since=lost)[-1].agrees


def test_of_many_differences_the_first_are_kept_and_all_counted(connection: Connection) -> None:
    upto = bounds(connection)
    with connection.transaction(force_rollback=True):
        connection.execute("UPDATE batch SET actor = 'other'")
        log = LogComparison(connection, upto=upto.batch_id, limit=2, page=5)
        walk(connection, on_entry=log.take)
        log.finish()
    assert log.count == log.batches == upto.batch_id
    assert [each.batch_id for each in log.differences] == [1, 2]


@pytest.mark.parametrize(
    "text", ["", "1", "1:", f"1:{'0' * 63}", f"1:{'0' * 65}", f"-1:{'0' * 64}", f"x:{'0' * 64}"]
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="no head"):
        parse_head(text)


def test_an_entry_costs_a_batch_one_statement(
    native_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(native_database.url) as connection, connection.transaction(force_rollback=True):
        take_commit_lock(connection)
        statements = []
        execute = connection.execute

        def counted(query: Any, *args: Any, **kwargs: Any) -> psycopg.Cursor[tuple[Any, ...]]:
            statements.append(query)
            return execute(query, *args, **kwargs)

        monkeypatch.setattr(connection, "execute", counted)
        append_batch(
            connection,
            batch_id=1,
            kind="TRADES",
            source="file:t.csv",
            checksum="ab" * 32,
            counts=Counts(stored=1, duplicate=0, rejected=0),
            received_at=NOON,
            committed_at=datetime.now(UTC),
            actor="tester",
            idempotency_key=None,
            flagged=0,
            action=Action.BATCH,
        )
    assert len(statements) == 1
