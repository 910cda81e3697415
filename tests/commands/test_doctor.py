"""What doctor finds on databases that work, and on those that work and should be better."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.storage.migrate import schema_state
from tests.commands.cli_process import invoke
from tests.conftest import TestDatabase
from tests.ingestion.imports import load, new_instruments, write_text, writing
from tests.parts.postgres import NativeServer, native_timescaledb


def findings(url: str, code: int = 0) -> dict[str, dict[str, str | None]]:
    done = invoke("doctor", "--json", database_url=url)
    assert (done.code, done.err) == (code, "")
    rows = done.json()
    assert all(set(row) == {"verdict", "subject", "found", "advice"} for row in rows)
    assert all(row["advice"] for row in rows if row["verdict"] == "PROBLEM")
    return {row["subject"]: row for row in rows}


def test_a_database_that_works_has_no_problem(database: TestDatabase) -> None:
    found = findings(database.url)
    assert {"database", "TimescaleDB", "edition", "schema", "roll-ups", "freshness"} <= set(found)
    assert found["schema"]["found"] == f"at {schema_state(database.url).head}, the newest"
    edition = found["edition"]["found"] or ""
    assert edition.startswith("Community" if database.kind == "embedded" else "Apache 2")
    assert (found["TimescaleDB"]["found"] or "").endswith(", loaded and created")


def test_text_and_json_say_the_same(native_database: TestDatabase) -> None:
    found = findings(native_database.url)
    text = invoke("doctor", database_url=native_database.url).out.splitlines()
    wanted = []
    for each in found.values():
        wanted.append(f"{each['verdict']:8}{each['subject']}: {each['found']}")
        if each["advice"] is not None:
            wanted.append(f"        -> {each['advice']}")
    assert text == wanted


def test_rollups_behind_the_log_are_a_note_until_a_refresh(
    embedded: TestDatabase, tmp_path: Path
) -> None:
    path = write_text(tmp_path / "t.csv", "symbol,time,price,size\nBEHIND,2024-01-02,1,1\n")
    with writing(embedded.url) as connection:
        load(connection, path, create=new_instruments())
    behind = findings(embedded.url)["freshness"]
    assert behind["verdict"] == "note"
    assert "1 not in the roll-ups yet" in (behind["found"] or "")
    assert "`tickgraph refresh`" in (behind["advice"] or "")
    done = invoke("refresh", database_url=embedded.url)
    assert (done.code, done.out) == (0, "the roll-ups have followed batch 1\n")
    fresh = findings(embedded.url)["freshness"]
    assert (fresh["verdict"], fresh["advice"]) == ("ok", None)
    assert "0 not in the roll-ups yet" in (fresh["found"] or "")


def test_the_advice_for_rollups_of_another_edition_puts_them_right(
    embedded: TestDatabase,
) -> None:
    with psycopg.connect(embedded.url, autocommit=True) as session:
        session.execute("DROP MATERIALIZED VIEW bar_candle_1d")
        session.execute("CREATE VIEW bar_candle_1d AS SELECT 1 AS one")
    found = findings(embedded.url, code=1)["roll-ups"]
    assert found["verdict"] == "PROBLEM"
    assert found["advice"] == "run `tickgraph migrate --rebuild-rollups`"
    done = invoke("migrate", "--rebuild-rollups", database_url=embedded.url)
    assert (done.code, done.out) == (0, f"the schema is at {schema_state(embedded.url).head}\n")
    assert findings(embedded.url)["roll-ups"]["verdict"] == "ok"


def test_a_database_without_the_extension_is_a_note_and_migrate_makes_it(
    native_server: NativeServer,
) -> None:
    with psycopg.connect(native_server.url, autocommit=True) as session:
        session.execute("CREATE DATABASE untouched TEMPLATE template0")
    url = native_server.database_url("untouched")
    try:
        found = findings(url, code=1)
        assert found["TimescaleDB"]["verdict"] == "note"
        assert found["TimescaleDB"]["advice"] == "`tickgraph migrate` creates it"
        assert found["schema"]["verdict"] == "PROBLEM"
        assert invoke("migrate", database_url=url).code == 0
        assert findings(url)["TimescaleDB"]["verdict"] == "ok"
    finally:
        native_server.drop_database("untouched")


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose settings lose data and refuse clients."""
    with native_timescaledb(tmp_path_factory.mktemp("careless"), fsync=False) as server:
        server.stop()
        with (server.data_dir / "postgresql.conf").open("a") as configuration:
            configuration.write("full_page_writes = off\nmax_connections = 15\n")
        server.start()
        assert invoke("migrate", database_url=server.url).code == 0
        yield server.url


@pytest.mark.parametrize(
    ("subject", "value", "advice"),
    [
        ("fsync", "off", "turn it on"),
        ("full_page_writes", "off", "turn it on"),
        ("max_connections", "15", "raise it to 20 or more"),
    ],
)
def test_settings_that_matter_are_problems_with_advice(
    subject: str, value: str, advice: str, careless: str
) -> None:
    found = findings(careless, code=1)[subject]
    assert (found["verdict"], found["found"]) == ("PROBLEM", value)
    assert (found["advice"] or "").endswith(advice)
