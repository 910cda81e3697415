"""What becomes of old rows: refused at start where it cannot be, and what doctor says of it."""

from pathlib import Path

import pytest

from app.storage.database import connect
from tests.commands.cli_process import invoke
from tests.commands.test_doctor import findings
from tests.conftest import TestDatabase
from tests.ingestion.imports import load, new_instruments, write_text, writing


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("trade_retention_days", "their candles would go with them"),
        ("bar_retention_days", "their candles would go with them"),
        ("trade_compress_after_days", "Apache edition has no compression"),
        ("quote_compress_after_days", "Apache edition has no compression"),
    ],
)
def test_what_the_edition_cannot_do_is_refused_at_start(
    setting: str, words: str, native_database: TestDatabase
) -> None:
    settings = {"database_url": native_database.url, "port": 0, setting: 30}
    line = invoke("serve", **settings).one_line()
    assert line.startswith(f"TICKGRAPH_{setting.upper()} cannot be used here: ")
    assert words in line
    done = invoke("doctor", "--json", database_url=native_database.url, **{setting: 30})
    (problem,) = (each for each in done.json() if each["subject"] == "old rows")
    assert (done.code, problem["verdict"], problem["found"]) == (1, "PROBLEM", line)


@pytest.mark.parametrize("value", ["0", "-1", "many", "36501"])
def test_days_are_a_whole_number(value: str) -> None:
    line = invoke("doctor", trade_retention_days=value).one_line()
    assert f"TICKGRAPH_TRADE_RETENTION_DAYS={value!r}" in line


def test_unset_keeps_for_ever(database: TestDatabase) -> None:
    found = findings(database.url)
    kept = "trade for ever, bar for ever, quote for ever"
    assert (found["retention"]["verdict"], found["retention"]["found"]) == ("ok", kept)
    if database.kind == "embedded":
        never = "trade never, bar never, quote never"
        assert found["compression"]["found"] == never
    else:
        assert "compression" not in found


def test_what_is_due_and_what_is_done_is_said(embedded: TestDatabase, tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "symbol,time,price,size\nDUE,2024-01-02,1,1\n")
    with writing(embedded.url) as connection:
        load(connection, path, create=new_instruments())
    assert invoke("refresh", database_url=embedded.url).code == 0
    days = {
        "trade_retention_days": 30,
        "bar_compress_after_days": 7,
        "trade_compress_after_days": 9,
    }
    done = invoke("doctor", "--json", database_url=embedded.url, **days)
    found = {each["subject"]: each for each in done.json()}
    assert found["retention"] == {
        "verdict": "note",
        "subject": "retention",
        "found": "trade 30 days, bar for ever, quote for ever; older rows are still there",
        "advice": "a running server does it, within hours",
    }
    compression = found["compression"]
    assert compression["verdict"] == "note"
    assert compression["found"] == (
        "trade after 9 days, bar after 7 days, quote never; 1 chunks are not compressed yet"
    )
    with connect(embedded.url, timeout_s=10, statement_timeout_s=60) as connection:
        connection.execute("INSERT INTO retention VALUES ('TRADES', '2024-01-04')")
        connection.execute("SELECT drop_chunks('trade', older_than => INTERVAL '1 day')")
    done = invoke("doctor", "--json", database_url=embedded.url, trade_retention_days=30)
    (retention,) = (each for each in done.json() if each["subject"] == "retention")
    assert retention["verdict"] == "ok"
    assert retention["found"].startswith("trade 30 days (from 2024-01-04 on), bar for ever")
    refused = invoke("migrate", "--rebuild-rollups", database_url=embedded.url).one_line()
    assert "retention has dropped trades before 2024-01-04" in refused


def test_a_job_of_the_server_is_a_problem(embedded: TestDatabase) -> None:
    with connect(embedded.url, timeout_s=10, statement_timeout_s=60) as connection:
        connection.execute("SELECT add_retention_policy('bar', INTERVAL '30 days')")
        try:
            found = findings(embedded.url, code=1)["job on bar"]
        finally:
            connection.execute("SELECT remove_retention_policy('bar')")
    assert found["verdict"] == "PROBLEM"
    assert "policy_retention" in (found["found"] or "")
