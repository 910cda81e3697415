"""1,000 random changes of the trail and the batch log: each is found, and named as what it is."""

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from app.storage.audit import Action, Entry
from app.storage.audit_walk import Broken, Flaw
from app.storage.batches import Counts
from app.storage.database import Connection, one_row
from tests.conftest import TestDatabase
from tests.ingestion.imports import writing
from tests.storage.audit_trail import add_batch, add_discard, look, unlock

MUTATIONS = 1_000
COLUMNS = ("recorded_at", "actor", "action", "subject", "detail", "previous_hash", "hash")
SELECT_ALL = f"SELECT sequence, {', '.join(COLUMNS)} FROM audit ORDER BY sequence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What must be found: a broken link, or a batch that the logs do not agree on."""

    broken: Broken | None = None
    batch_id: int | None = None


class Tamperer:
    """Somebody who owns the tables, and knows how hashes are made."""

    def __init__(self, connection: Connection, heads: list[Entry]) -> None:
        self.connection = connection
        self.heads = heads
        self.length = len(heads)
        self.chance = random.Random(0)
        self.hows: dict[str, Callable[[], Found]] = {
            name.removeprefix("do_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("do_")
        }

    def run(self, statement: str, *values: object) -> None:
        assert self.connection.execute(statement.encode(), values).rowcount != 0, statement

    def value(self, statement: str, *values: object) -> Any:
        return one_row(self.connection, statement.encode(), values)[0]

    def place(self, below: int = 0) -> int:
        return self.chance.randint(1, self.length - below)

    def batch(self) -> int:
        newest: int = self.value("SELECT max(batch_id) FROM batch")
        return self.chance.randint(1, newest)

    def without_key(self) -> None:
        self.connection.execute("ALTER TABLE audit DROP CONSTRAINT audit_pkey")

    def make_room(self, place: int) -> None:
        """Move all entries from this place on by one."""
        self.without_key()
        self.connection.execute(
            "UPDATE audit SET sequence = sequence + 1 WHERE sequence >= %s", (place,)
        )

    def rehash(self, first: int, last: int) -> None:
        """Make the entries from first to last follow each other as if nothing had been."""
        rows = self.connection.execute(
            """
            SELECT sequence, timestamptz_send(recorded_at), actor, action, subject, detail,
                   previous_hash, hash
            FROM audit WHERE sequence BETWEEN %s AND %s ORDER BY sequence
            """,
            (first - 1, last),
        ).fetchall()
        previous = bytes(rows[0][7]) if first > 1 else bytes(32)
        for sequence, moment, *texts, _, _ in rows[first > 1 :]:
            encoded = [text.encode() for text in texts]
            digest = hashlib.sha256(previous + sequence.to_bytes(8, "big") + bytes(moment))
            for each in encoded:
                digest.update(len(each).to_bytes(4, "big") + each)
            self.run(
                "UPDATE audit SET previous_hash = %s, hash = %s WHERE sequence = %s",
                previous,
                digest.digest(),
                sequence,
            )
            previous = digest.digest()

    def do_edit(self) -> Found:
        place, column = self.place(), self.chance.choice(COLUMNS)
        changes = {
            "recorded_at": "recorded_at + %s * interval '1 microsecond'",
            "previous_hash": "set_bit(previous_hash, %s, 1 - get_bit(previous_hash, %s))",
            "hash": "set_bit(hash, %s, 1 - get_bit(hash, %s))",
        }
        change = changes.get(column, f"overlay({column} PLACING %s FROM %s FOR 0)")
        number = self.chance.randint(1, 200)
        values: list[object] = [number] * change.count("%s")
        if column not in changes:
            values = [self.chance.choice(" \tx{"), number % 40 + 1]
        self.run(f"UPDATE audit SET {column} = {change} WHERE sequence = %s", *values, place)
        return Found(broken=Broken(sequence=place, flaw=Flaw.CONTENT))

    def do_edit_time_to_infinity(self) -> Found:
        place = self.place()
        self.run("UPDATE audit SET recorded_at = 'infinity' WHERE sequence = %s", place)
        return Found(broken=Broken(sequence=place, flaw=Flaw.CONTENT))

    def do_move_text_to_the_next_column(self) -> Found:
        place = self.place()
        self.run(
            "UPDATE audit SET actor = actor || left(action, 1), action = substr(action, 2)"
            " WHERE sequence = %s",
            place,
        )
        return Found(broken=Broken(sequence=place, flaw=Flaw.CONTENT))

    def do_empty_a_column(self) -> Found:
        place, column = self.place(), self.chance.choice(COLUMNS)
        self.connection.execute(f"ALTER TABLE audit ALTER {column} DROP NOT NULL".encode())
        self.run(f"UPDATE audit SET {column} = NULL WHERE sequence = %s", place)
        return Found(broken=Broken(sequence=place, flaw=Flaw.CONTENT))

    def do_renumber(self) -> Found:
        place = self.place()
        self.run(
            "UPDATE audit SET sequence = %s WHERE sequence = %s",
            self.length + self.chance.choice([1, 2, 1 << 40, (1 << 63) - 1 - self.length]),
            place,
        )
        return Found(broken=Broken(sequence=place, flaw=Flaw.MISSING))

    def do_renumber_below_one(self) -> Found:
        self.connection.execute("ALTER TABLE audit DROP CONSTRAINT audit_sequence_check")
        number = self.chance.choice([0, -1, -(1 << 63)])
        self.run("UPDATE audit SET sequence = %s WHERE sequence = %s", number, self.place())
        return Found(broken=Broken(sequence=number, flaw=Flaw.PLACE))

    def do_delete(self) -> Found:
        place = self.place()
        last = min(self.length, place + self.chance.choice([0, 0, 3]))
        self.run("DELETE FROM audit WHERE sequence BETWEEN %s AND %s", place, last)
        flaw = Flaw.TRUNCATED if last == self.length else Flaw.MISSING
        return Found(broken=Broken(sequence=place, flaw=flaw))

    def do_delete_and_close_the_gap(self) -> Found:
        place = self.place(below=1)
        self.without_key()
        self.run("DELETE FROM audit WHERE sequence = %s", place)
        self.run("UPDATE audit SET sequence = sequence - 1 WHERE sequence > %s", place)
        return Found(broken=Broken(sequence=place, flaw=Flaw.CONTENT))

    def do_swap(self) -> Found:
        one, two = sorted(self.chance.sample(range(1, self.length + 1), 2))
        self.without_key()
        self.run(
            "UPDATE audit SET sequence = %s + %s - sequence WHERE sequence IN (%s, %s)",
            one,
            two,
            one,
            two,
        )
        return Found(broken=Broken(sequence=one, flaw=Flaw.CONTENT))

    def do_swap_and_rehash_both(self) -> Found:
        one = self.place(below=2)
        self.without_key()
        self.run(
            "UPDATE audit SET sequence = %s - sequence WHERE sequence IN (%s, %s)",
            2 * one + 1,
            one,
            one + 1,
        )
        self.rehash(one, one + 1)
        return Found(broken=Broken(sequence=one + 2, flaw=Flaw.ORDER))

    def do_edit_and_rehash(self) -> Found:
        place = self.place()
        last = self.chance.choice([place, self.place(), self.length])
        last = max(place, last)
        self.run("UPDATE audit SET subject = subject || '!' WHERE sequence = %s", place)
        self.rehash(place, last)
        if last == self.length:
            return Found(broken=Broken(sequence=last, flaw=Flaw.REWRITTEN))
        return Found(broken=Broken(sequence=last + 1, flaw=Flaw.ORDER))

    def do_insert_with_a_used_hash(self) -> Found:
        place, like = self.place(), self.place()
        self.connection.execute(
            "CREATE TEMP TABLE copied ON COMMIT DROP AS SELECT * FROM audit WHERE sequence = %s",
            (like,),
        )
        self.make_room(place)
        self.run("UPDATE copied SET sequence = %s", place)
        if like != place:
            self.run("INSERT INTO audit SELECT * FROM copied")
            return Found(broken=Broken(sequence=place, flaw=Flaw.CONTENT))
        # The same entry at its own place is no change; all that follow are a place too far.
        self.run("INSERT INTO audit SELECT * FROM copied")
        return Found(broken=Broken(sequence=place + 1, flaw=Flaw.CONTENT))

    def do_insert_with_a_right_hash(self) -> Found:
        place = self.place(below=1)
        self.make_room(place)
        self.run(
            "INSERT INTO audit SELECT %s, now(), 'me', 'DISCARD', 'x', '{}', hash, hash"
            " FROM audit WHERE sequence = %s",
            place,
            place + 1,
        )
        self.rehash(place, place)
        return Found(broken=Broken(sequence=place + 1, flaw=Flaw.CONTENT))

    def do_append_a_batch_that_was_not(self) -> Found:
        batch_id = self.value("SELECT max(batch_id) FROM batch") + 1
        self.run(
            "INSERT INTO audit SELECT sequence + 1, now(), 'me', 'BATCH', 'batch',"
            " jsonb_build_object('batch_id', %s::bigint)::text, hash, hash"
            " FROM audit WHERE sequence = %s",
            batch_id,
            self.length,
        )
        self.rehash(self.length + 1, self.length + 1)
        return Found(batch_id=batch_id)

    def do_duplicate(self) -> Found:
        place = self.place()
        self.without_key()
        self.run("INSERT INTO audit SELECT * FROM audit WHERE sequence = %s", place)
        return Found(broken=Broken(sequence=place, flaw=Flaw.DUPLICATE))

    def do_truncate(self) -> Found:
        place = self.chance.randint(0, self.length - 1)
        if place == 0:
            self.connection.execute("TRUNCATE audit")
        else:
            self.run("DELETE FROM audit WHERE sequence > %s", place)
        # Who is thorough takes the batches too.
        self.connection.execute(
            "DELETE FROM batch AS b WHERE NOT EXISTS"
            " (SELECT FROM audit WHERE subject = 'batch ' || b.batch_id)"
        )
        return Found(broken=Broken(sequence=place + 1, flaw=Flaw.TRUNCATED))

    def do_truncate_and_append(self) -> Found:
        place = self.place(below=1)
        self.run("DELETE FROM audit WHERE sequence > %s", place)
        for number in range(self.length - place):
            add_discard(self.connection, number)
        return Found(broken=Broken(sequence=self.length, flaw=Flaw.REWRITTEN))

    def do_edit_a_batch(self) -> Found:
        batch_id = self.batch()
        change = self.chance.choice(
            [
                "kind = 'BARS'",
                "source = source || ' '",
                "checksum = NULL",
                "checksum = upper(checksum)",
                "received = received + 1, stored = stored + 1",
                "stored = stored + 1, duplicate = duplicate - 1",
                "received = received - 1, rejected = rejected - 1",
                "received_at = received_at + interval '1 microsecond'",
                "received_at = 'infinity'",
                "committed_at = committed_at - interval '1 microsecond'",
                "actor = 'somebody'",
                "idempotency_key = 'other'",
                "flagged = flagged - 1",
            ]
        )
        self.run(f"UPDATE batch SET {change} WHERE batch_id = %s", batch_id)
        return Found(batch_id=batch_id)

    def do_delete_a_batch(self) -> Found:
        batch_id = self.batch()
        self.run("DELETE FROM batch WHERE batch_id = %s", batch_id)
        return Found(batch_id=batch_id)

    def do_insert_a_batch(self) -> Found:
        return Found(batch_id=add_batch(self.connection, entered=False))

    def do_lose_a_quarantined_record(self) -> Found:
        batch_id = self.value("SELECT batch_id FROM quarantine ORDER BY random() LIMIT 1")
        self.run(
            "DELETE FROM quarantine WHERE quarantine_id ="
            " (SELECT min(quarantine_id) FROM quarantine WHERE batch_id = %s)",
            batch_id,
        )
        return Found(batch_id=batch_id)


@pytest.fixture(scope="module")
def tamperer(database: TestDatabase) -> Iterator[Tamperer]:
    with writing(database.url) as connection:
        for number in range(24):
            kinds = [Action.BATCH, Action.CORRECTION, Action.RELEASE, Action.INSTRUMENTS]
            add_batch(
                connection,
                source=f"source {number % 3}",
                counts=Counts(stored=number, duplicate=1, rejected=number % 3 + 1),
                action=kinds[number % 4],
                key=f"key {number}" if number % 2 else None,
                extra={"note": "§"} if number % 5 == 0 else None,
            )
            if number % 3 == 0:
                add_discard(connection, number)
        rows = connection.execute(SELECT_ALL.encode()).fetchall()
        heads = [Entry(sequence=row[0], hash=bytes(row[-1])) for row in rows]
        unlock(connection)
        assert look(connection, heads[-1]).whole
        yield Tamperer(connection, heads)


def test_each_of_1000_random_changes_is_found_and_named(tamperer: Tamperer) -> None:
    connection, head = tamperer.connection, tamperer.heads[-1]
    hows = list(tamperer.hows.items())
    for number in range(MUTATIONS):
        tamperer.chance.seed(number)
        # Every kind in turn, so that none is left to chance; the rest is chance.
        name, change = hows[number % len(hows)]
        with connection.transaction(force_rollback=True):
            wanted = change()
            found = look(connection, head, page=tamperer.chance.choice([1, 2, 7, 100]))
        where = f"{name}, seed {number}"
        assert found.chain.broken == wanted.broken, where
        assert not found.whole, where
        if wanted.batch_id is not None:
            assert {each.batch_id for each in found.differences} == {wanted.batch_id}, where
    assert look(connection, head).whole


def test_any_earlier_head_shows_a_rewriting_before_it(tamperer: Tamperer) -> None:
    connection, length = tamperer.connection, tamperer.length
    for head in tamperer.heads:
        for place in (1, head.sequence, min(head.sequence + 1, length)):
            with connection.transaction(force_rollback=True):
                tamperer.run("UPDATE audit SET actor = 'no one' WHERE sequence = %s", place)
                tamperer.rehash(place, length)
                broken = look(connection, head).chain.broken
            if place <= head.sequence:
                assert broken == Broken(sequence=head.sequence, flaw=Flaw.REWRITTEN)
            else:
                assert broken is None
