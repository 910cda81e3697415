"""`tickgraph verify`: what it says, and that it says so with its exit code."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.rollups.catalogue import ROLLUPS
from app.rollups.refresh import refresh
from app.storage.batches import Counts
from app.storage.database import Connection
from tests.commands.cli_process import Finished, invoke
from tests.conftest import TestDatabase
from tests.ingestion.imports import load, new_instruments, write_text, writing
from tests.storage.audit_trail import add_batch, add_discard, unlock

TRADES = """symbol,time,price,size
ONE,2024-01-02T12:00Z,10,1
ONE,2024-01-02T12:01Z,11,1
ONE,2024-01-02T12:02Z,12,1
ONE,2024-01-02T12:03Z,not a price,1
"""


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    """Two sources, three batches, a discard; three trades that the roll-ups have followed."""
    with writing(database.url) as connection:
        add_batch(connection, source="file:one.csv")
        add_batch(
            connection, source="file:one.csv", counts=Counts(stored=1, duplicate=0, rejected=0)
        )
        add_discard(connection, 1)
        add_batch(connection, source="stream", counts=Counts(stored=1_000, duplicate=5, rejected=1))
        yield connection


def verify(database: TestDatabase, *arguments: str, code: int = 0) -> Finished:
    done = invoke("verify", *arguments, database_url=database.url)
    assert (done.code, done.err) == (code, ""), done
    return done


def found(database: TestDatabase, *arguments: str, code: int = 0) -> dict[str, Any]:
    answer: dict[str, Any] = verify(database, "--json", *arguments, code=code).json()
    assert answer["ok"] is (code == 0)
    return answer


def test_a_database_that_nobody_touched_is_right(
    database: TestDatabase, connection: Connection
) -> None:
    answer = found(database)
    assert answer["chain"] == {"entries": 4, "broken": None, "unguarded": []}
    assert answer["batches"] == {
        "compared": 3,
        "before_trail": 0,
        "differing": 0,
        "differences": [],
    }
    assert [tuple(each.values()) for each in answer["sources"]] == [
        ("file:one.csv", 2, 7, 4, 1, 2, 2, True),
        ("stream", 1, 1006, 1000, 5, 1, 1, True),
    ]
    assert verify(database).out.splitlines() == [
        "audit trail: 4 entries, whole",
        f"  head {answer['head']}",
        "  (keep it elsewhere: `verify --head` then shows what was cut off or redone)",
        "batch log: 3 batches, as the audit trail says",
        "sources: 2, all records accounted for",
        "  file:one.csv: 7 received = 4 stored + 1 duplicate + 2 rejected",
        "  stream: 1,006 received = 1,000 stored + 5 duplicate + 1 rejected",
        "roll-ups: as their rows say",
    ]


def test_a_kept_head_shows_what_was_cut_off(database: TestDatabase, connection: Connection) -> None:
    head = found(database)["head"]
    assert found(database, "--head", head)["head"] == head
    assert verify(database, "--head", head.upper()).code == 0
    unlock(connection)
    connection.execute("CREATE TABLE cut AS SELECT * FROM audit WHERE sequence = 4")
    connection.execute("DELETE FROM audit WHERE sequence = 4")
    connection.execute("ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_append_only")
    try:
        broken = found(database, "--head", head, code=1)["chain"]["broken"]
        assert (broken["sequence"], broken["flaw"]) == (4, "TRUNCATED")
        lines = verify(database, "--head", head, code=1).out.splitlines()
        assert lines[0] == (
            "audit trail: 3 entries, BROKEN at entry 4:"
            " the chain ends before the head that was kept elsewhere"
        )
        add_discard(connection, 2)
        broken = found(database, "--head", head, code=1)["chain"]["broken"]
        assert (broken["sequence"], broken["flaw"]) == (4, "REWRITTEN")
    finally:
        unlock(connection)
        connection.execute("DELETE FROM audit WHERE sequence = 4")
        connection.execute("INSERT INTO audit SELECT * FROM cut")
        connection.execute("ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_append_only")
        connection.execute("DROP TABLE cut")
    assert found(database, "--head", head)["ok"]


def test_changed_tables_are_named(database: TestDatabase, connection: Connection) -> None:
    unlock(connection)
    connection.execute("UPDATE audit SET actor = 'nobody' WHERE sequence = 2")
    connection.execute("UPDATE batch SET source = 'file:two.csv' WHERE batch_id = 1")
    connection.execute("UPDATE quarantine SET batch_id = 2 WHERE batch_id = 3")
    try:
        answer = found(database, code=1)
        assert answer["chain"]["broken"] == {
            "sequence": 2,
            "flaw": "CONTENT",
            "found": "its hash is not that of its content",
        }
        assert len(answer["chain"]["unguarded"]) == 1
        assert answer["batches"]["differing"] == 4
        assert [tuple(each.values()) for each in answer["batches"]["differences"]] == [
            (1, "source: not what entry 1 says"),
            (2, "actor: not what entry 2 says"),
            (2, "0 records were rejected, 1 are in quarantine"),
            (3, "1 records were rejected, 0 are in quarantine"),
        ]
        assert [each["agrees"] for each in answer["sources"]] == [False, True, False]
        lines = verify(database, code=1).out.splitlines()
        assert lines[0] == "audit trail: 4 entries, BROKEN at entry 2: " + (
            "its hash is not that of its content"
        )
        assert lines[1].startswith("  WRONG: the trigger audit_append_only")
        assert "batch log: 3 batches, 4 WRONG" in lines
        assert "  batch 1: source: not what entry 1 says" in lines
        assert "sources: 3, 2 WRONG" in lines
    finally:
        connection.execute("UPDATE quarantine SET batch_id = 3 WHERE batch_id = 2")
        connection.execute("UPDATE batch SET source = 'file:one.csv' WHERE batch_id = 1")
        connection.execute("UPDATE audit SET actor = 'tester' WHERE sequence = 2")
        connection.execute("ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_append_only")
    assert found(database)["ok"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--head", "1:abc"], "is no head"),
        (["--from", "yesterday"], "--from 'yesterday' is no time"),
        (["--to", "2024-13-01"], "--to '2024-13-01' is no time"),
        (["--from", "2024-01-02T00:00+01:00", "--to", "2024-01-01T23:00Z"], "must be before"),
    ],
)
def test_options_that_cannot_be_used_are_one_line(
    native_database: TestDatabase, arguments: list[str], words: str
) -> None:
    assert words in invoke("verify", *arguments, database_url=native_database.url).one_line()


def test_roll_ups_that_are_not_what_their_rows_say_are_named(
    embedded: TestDatabase, tmp_path: Path
) -> None:
    with writing(embedded.url) as connection:
        load(connection, write_text(tmp_path / "t.csv", TRADES), create=new_instruments())
        skipped = found(embedded)["rollups"]["skipped"]
        assert {each["reason"] for each in skipped} == {"UNFOLLOWED"}
        assert "not followed yet" in verify(embedded).out
        refresh(connection)
        assert found(embedded)["rollups"] == {"differing": 0, "differences": [], "skipped": []}
        with psycopg.connect(embedded.url, autocommit=True) as session:
            session.execute("UPDATE trade SET price = 99 WHERE price = 11")
        answer = found(embedded, code=1)["rollups"]
    views = {rollup.view for rollup in ROLLUPS if rollup.view.startswith("trade")}
    assert {each["view"] for each in answer["differences"]} == views
    assert answer["differing"] == len(answer["differences"])
    of_day = {
        each["column"]: (each["stored"], each["recomputed"])
        for each in answer["differences"]
        if each["view"] == "trade_candle_1d"
    }
    assert of_day == {"high": ("12", "99"), "notional": ("33", "121")}
    assert "high is 12, of the rows 99" in verify(embedded, code=1).out
    assert found(embedded, "--from", "2024-01-03")["ok"]
    assert found(embedded, "--to", "2024-01-02")["ok"]
    # The day's bucket overlaps, the others do not.
    early = found(embedded, "--to", "2024-01-02T13:00+01:00", code=1)["rollups"]["differences"]
    assert {each["view"] for each in early} == {"trade_candle_1d"}
