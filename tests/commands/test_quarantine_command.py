"""`tickgraph quarantine`: list, release, discard."""

import json
from pathlib import Path

import pytest

from tests.commands.cli_process import Finished, invoke
from tests.conftest import TestDatabase
from tests.ingestion.imports import load, new_instruments, write_text, writing

TRADES = """symbol,time,price,size
ONE,2024-01-02T12:00Z,10,1
ONE,2024-01-02T12:01Z,-5,1
ONE,2024-01-02T12:02Z,not a price,1
short
"""


@pytest.fixture
def batch_id(database: TestDatabase, tmp_path: Path) -> int:
    """A batch with one good and three refused records."""
    path = write_text(tmp_path / "one.csv", TRADES)
    with writing(database.url) as connection:
        load(connection, path, create=new_instruments())
        row = connection.execute("SELECT max(batch_id) FROM batch").fetchone()
    assert row is not None
    return int(row[0])


def quarantine(database: TestDatabase, *arguments: object) -> Finished:
    return invoke("quarantine", *map(str, arguments), database_url=database.url)


def listed(database: TestDatabase, *arguments: object) -> list[dict[str, object]]:
    done = quarantine(database, "list", "--json", *arguments)
    assert (done.code, done.err) == (0, ""), done
    return [json.loads(line) for line in done.out.splitlines()]


def test_refused_records_are_listed_released_and_discarded(
    database: TestDatabase, batch_id: int
) -> None:
    rows = listed(database, "--batch", batch_id)
    assert [(row["position"], row["reasons"], row["record"]) for row in rows] == [
        (5, ["MALFORMED_ROW"], "short"),
        (4, ["BAD_NUMBER"], "ONE,2024-01-02T12:02Z,not a price,1"),
        (3, ["PRICE_NOT_POSITIVE"], "ONE,2024-01-02T12:01Z,-5,1"),
    ]
    shown = quarantine(database, "list", "--batch", batch_id, "--limit", 1)
    assert (
        shown.out == f"{rows[0]['id']}  batch {batch_id} file:one.csv:5  MALFORMED_ROW  'short'\n"
    )

    negative = rows[2]["id"]
    stays = quarantine(database, "release", negative)
    assert (stays.code, stays.out) == (1, f"{negative} stays: PRICE_NOT_POSITIVE\n")
    done = quarantine(
        database, "release", negative, "--override", "PRICE_NOT_POSITIVE", "--note", "a spread"
    )
    assert (done.code, done.out) == (0, f"batch {batch_id + 1}: 1 stored, 0 duplicate\n")
    (released,) = listed(database, "--batch", batch_id, "--state", "RELEASED")
    assert (released["note"], released["releasedBatch"]) == ("a spread", batch_id + 1)
    assert str(released["decidedBy"]).startswith("cli:")

    assert quarantine(database, "discard", "--batch", batch_id).out == "2 discarded\n"
    assert listed(database, "--batch", batch_id) == []
    assert len(listed(database, "--batch", batch_id, "--state", "DISCARDED")) == 2
    assert invoke("verify", database_url=database.url).code == 0


@pytest.mark.parametrize("command", ["release", "discard"])
def test_what_to_decide_on_must_be_said_once(database: TestDatabase, command: str) -> None:
    for arguments in ((), (1, "--batch", 1)):
        done = quarantine(database, command, *arguments)
        assert done.code == 2
        assert "name the records by their ids, or choose them by options" in done.err
