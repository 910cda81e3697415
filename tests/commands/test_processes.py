"""Commands as processes: exit codes, what goes to which stream, terminals, ports, signals."""

import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.commands.cli_process import TICKGRAPH, environment, invoke, processes_of, run, running
from tests.conftest import TestDatabase
from tests.ingestion.imports import fresh_symbol, trades_of, write_rows, write_text, writing

HEADER = ("symbol", "time", "price", "size")


@pytest.fixture
def many(tmp_path: Path) -> Path:
    rows = [("SEEN", f"2024-01-02T12:{n // 60:02}:{n % 60:02}Z", n + 1, 1) for n in range(3_000)]
    return write_rows(tmp_path / "many trades.csv", HEADER, rows)


def on_terminal(*arguments: object, **settings: object) -> tuple[int, str, str]:
    """Run a command whose stderr is a terminal; give the code, stdout and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [TICKGRAPH, *map(str, arguments)],
        env=environment(**settings) | {"TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    shown = b""
    while process.poll() is None or select.select([ours], [], [], 0.2)[0]:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # What Linux says when the other end has gone.
                break
            if not part:
                break
            shown += part
    os.close(ours)
    out, _ = process.communicate(timeout=30)
    return process.returncode, out, shown.decode()


def test_a_terminal_sees_progress_and_a_pipe_does_not(
    native_database: TestDatabase, many: Path
) -> None:
    arguments = ("import", "trades", many, "--create-instruments", "--json")
    code, out, shown = on_terminal(*arguments, database_url=native_database.url)
    assert (code, out) == (
        0,
        '{"received": 3000, "stored": 3000, "duplicate": 0, "rejected": 0}\n',
    )
    assert many.name in shown
    assert "100%" in shown
    piped = run(*arguments, database_url=native_database.url)
    assert (piped.code, piped.err) == (0, "")
    assert piped.json()["duplicate"] == 3_000


def test_a_refused_file_is_told_on_stderr_with_exit_code_1(
    native_database: TestDatabase, tmp_path: Path
) -> None:
    path = write_text(tmp_path / "t.csv", "symbol,time,size\n")
    done = run("import", "trades", path, "--json", database_url=native_database.url)
    assert done.one_line().startswith("there is no column for 'price'")


def test_no_command_and_a_wrong_one_show_the_use() -> None:
    assert "import" in invoke("--help").out
    wrong = invoke("exprot")
    assert (wrong.code, wrong.out) == (2, "")
    assert "No such command 'exprot'" in wrong.err


def test_serve_wants_to_be_told_what_to_serve() -> None:
    done = invoke("serve")
    assert (done.code, done.out) == (2, "")
    assert "name the server in TICKGRAPH_DATABASE_URL, or say --embedded" in done.err


def test_a_command_interrupted_in_its_import_stores_nothing(
    native_database: TestDatabase, tmp_path: Path
) -> None:
    symbol, pipe = fresh_symbol(), tmp_path / "slow.csv"
    os.mkfifo(pipe)
    with running(
        "import", "trades", pipe, "--create-instruments", database_url=native_database.url
    ) as importing:
        with pipe.open("w") as end:
            end.write("symbol,time,price,size\n")
            end.writelines(f"{symbol},{1704200000 + n},1,1\n" for n in range(400_000))
            end.flush()
            done = importing.end(signal.SIGTERM)
        assert (done.code, done.out) == (143, "")
    with writing(native_database.url) as connection:
        assert trades_of(connection, symbol) == []


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("command", [("demo",), ("serve", "--embedded")])
def test_a_taken_port_is_one_line_before_anything_starts(
    command: tuple[str, ...], taken: int, tmp_path: Path
) -> None:
    done = invoke(*command, port=taken, data_dir=tmp_path / "untouched")
    assert done.one_line() == (
        f"cannot listen on 127.0.0.1 port {taken}: Address already in use;"
        " TICKGRAPH_PORT names another"
    )
    assert not (tmp_path / "untouched").exists()


def test_an_address_of_another_machine_is_one_line(native_database: TestDatabase) -> None:
    done = invoke("serve", host="192.0.2.1", port=0, database_url=native_database.url)
    assert done.one_line().startswith("cannot listen on 192.0.2.1 port 0: ")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)], ids=["SIGTERM", "SIGINT"]
)
def test_serve_ends_when_told_and_says_where_it_served(
    number: signal.Signals, code: int, native_database: TestDatabase
) -> None:
    with running("serve", port=0, database_url=native_database.url) as server:
        server.wait_for("serving on http://")
        base = server.address()
        assert httpx.get(f"{base}/healthz", timeout=10).json() == {"status": "ok"}
        done = server.end(number)
    assert (done.code, done.out) == (code, "")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{base}/healthz", timeout=10)


def test_an_import_joins_the_embedded_database_that_is_being_served(
    embedded_template: Path, many: Path, tmp_path: Path
) -> None:
    data_dir = tmp_path / "joined"
    shutil.copytree(embedded_template, data_dir)
    with running("serve", "--embedded", port=0, data_dir=data_dir) as server:
        server.wait_for("serving on http://")
        done = run("import", "trades", many, "--create-instruments", data_dir=data_dir)
        assert (done.code, done.out) == (
            0,
            "3,000 trades received: 3,000 stored, 0 duplicate, 0 rejected\n",
        )
        assert done.err == "tickgraph: using the embedded database that is already running\n"
        query = (
            '{ instrument(symbol: "SEEN") { candles(interval: "1h", last: 1) { trades close } } }'
        )
        answer = httpx.post(f"{server.address()}/graphql", json={"query": query}, timeout=30).json()
        assert answer["data"]["instrument"]["candles"] == [{"trades": 3_000, "close": "3000"}]
        assert len(processes_of(data_dir)) == 1
        server.end(signal.SIGTERM)
    give_up = time.monotonic() + 10
    while processes_of(data_dir):
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_the_program_is_the_one_of_this_environment() -> None:
    assert TICKGRAPH.parent == Path(sys.executable).parent
