"""`tickgraph ingest` as a process: what it stores, how it ends, what it refuses."""

import re
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.commands.cli_process import invoke, running
from tests.ingestion.imports import fresh_symbol, trades_of, writing
from tests.ingestion.streaming import Feed, trade_fields
from tests.parts.guarded import free_port
from tests.parts.redis import RedisServer, native_redis

DOCS = Path(__file__).parents[2] / "docs" / "streams.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with native_redis(tmp_path_factory.mktemp("redis"), append_only=True) as server:
        yield server


def indented(start: str) -> list[list[str]]:
    """Give the words of the documentation's lines that begin so."""
    lines = re.findall(rf"^    ({re.escape(start)} .*)$", DOCS.read_text(), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def until_done(feed: Feed, *, timeout_s: float = 60) -> None:
    give_up = time.monotonic() + timeout_s
    while not feed.client.exists(feed.stream) or not feed.client.xinfo_groups(feed.stream):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    while feed.undone:
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_the_example_of_the_documentation_runs(url: str, server: RedisServer) -> None:
    ((_, *arguments),) = indented("tickgraph")
    assert arguments[1] == "redis://localhost:6379/0"
    feed = Feed(server.url, "md:trades")
    for words in indented("XADD"):
        feed.client.execute_command(*words)
    arguments[1] = server.url
    with running(*arguments, database_url=url, stream_linger_s=0) as process:
        until_done(feed)
        ended = process.end(signal.SIGTERM)
    assert ended.code == 0
    assert ended.out == "2 records received in 1 batches: 2 stored, 0 duplicate, 0 rejected\n"
    with writing(url) as connection:
        rows = [(number, f"{price:f}") for _, number, price, _ in trades_of(connection, "ACME")]
    assert rows == [(7, "10.5"), (8, "10.51")] or rows == [(7, "10.50"), (8, "10.51")]


def test_it_outlives_its_servers_and_ends_in_order(url: str, server: RedisServer) -> None:
    symbol = fresh_symbol()
    feed = Feed(server.url, "outlived")
    options = ("--stream", "outlived", "--kind", "trades", "--create-instruments")
    with running("ingest", server.url, *options, database_url=url) as process:
        feed.add(*trade_fields(symbol, 5), {"data": "poison"})
        until_done(feed)
        server.stop()
        process.wait_for("Redis cannot be reached")
        server.start()
        feed.add(*trade_fields(symbol, 5, start=5))
        until_done(feed)
        with psycopg.connect(url, autocommit=True) as session:
            session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        feed.add(*trade_fields(symbol, 5, start=10))
        until_done(feed)
        process.wait_for("the database cannot be reached")
        ended = process.end(signal.SIGINT)
    assert ended.code == 0
    assert re.match(r"16 records received in \d batches: 15 stored, 0 dup.*, 1 rejected", ended.out)
    assert ended.out.endswith("\n  1 MALFORMED_ROW\n")
    with writing(url) as connection:
        assert len(trades_of(connection, symbol)) == 15


def test_what_cannot_be_ingested_is_one_line(url: str, server: RedisServer) -> None:
    Feed(server.url, "text").client.set("text", "42")
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    place = server.url.removeprefix("redis://")
    for address, stream, words in (
        ("http://localhost", "s", "write it as redis://host:6379/0"),
        (nobody, "s", "Redis cannot be reached: "),
        (server.url, "text", "the key 'text' is no stream"),
        (f"redis://nobody:wrong@{place}", "s", "Redis refused the login: "),
    ):
        done = invoke("ingest", address, "--stream", stream, "--kind", "trades", database_url=url)
        assert words in done.one_line()
    done = invoke(
        *("ingest", server.url, "--stream", "s", "--kind", "trades"),
        database_url=f"postgresql://postgres@127.0.0.1:{free_port()}/none",
    )
    assert "no database answers at" in done.one_line()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--stream", "s", "--kind", "instruments"], "'instruments' is not one of"),
        (["--stream", "s", "--kind", "bars"], "--interval goes with bars"),
        (["--stream", "s", "--kind", "trades", "--interval", "1m"], "--interval goes with bars"),
        (["--stream", "s", "--kind", "trades", "--timezone", "Mars"], "is no IANA time zone"),
        (["--kind", "trades"], "Missing option '--stream'"),
        (["--stream", "s"], "Missing option '--kind'"),
    ],
)
def test_a_wrong_use_is_explained(options: list[str], words: str, tmp_path: Path) -> None:
    done = invoke("ingest", "redis://localhost", *options, data_dir=tmp_path / "untouched")
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert not (tmp_path / "untouched").exists()
