import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from app.embedded.log_file import LogFile
from app.embedded.supervisor import embedded_database
from app.errors import EmbeddedDatabaseFailed

ROOT = Path(__file__).parents[2]
# Holds the database until standard input ends; says how it came by it.
HOLDER = """
import sys
from pathlib import Path
from app.embedded.supervisor import embedded_database
told = []
with embedded_database(Path(sys.argv[1]), on_progress=told.append, maintenance=None) as url:
    print(url, "joined" if "already running" in told[-1] else "owned", sep="\\t", flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another process that owns or joins a database."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(data_dir)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def report(self) -> tuple[str, str]:
        assert self.process.stdout is not None
        url, _, how = self.process.stdout.readline().strip().partition("\t")
        return url, how

    def database_processes(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def finish(self) -> int:
        if self.process.poll() is None:
            self.process.communicate(timeout=30)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        return self.process.wait(30)


@pytest.fixture
def new_dir(tmp_path: Path) -> Path:
    """Where no database has been yet."""
    return tmp_path / "new"


@pytest.fixture
def holders() -> Iterator[list[Holder]]:
    started: list[Holder] = []
    yield started
    for holder in started:
        if holder.process.poll() is None:
            holder.process.kill()
        holder.finish()


def value(url: str, sql: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def wait_for_end(processes: list[psutil.Process], timeout_s: float) -> None:
    _, alive = psutil.wait_procs(processes, timeout=timeout_s)
    assert alive == []


def test_data_survives_a_clean_restart_and_progress_is_told(new_dir: Path) -> None:
    told: list[str] = []
    with embedded_database(new_dir, on_progress=told.append) as url:
        value(url, "CREATE TABLE kept AS SELECT 42 AS a")
        assert (new_dir / "socket").stat().st_mode & 0o777 == 0o700
    assert told == ["creating the embedded database", "starting the embedded database"]
    assert not (new_dir / "running.json").exists()
    with embedded_database(new_dir, on_progress=told.append) as url:
        assert value(url, "SELECT a FROM kept") == 42
    assert told[2:] == ["starting the embedded database"]


def test_clean_end_is_quick_and_leaves_no_process(data_dir: Path) -> None:
    before = set(psutil.Process().children())
    with embedded_database(data_dir) as url:
        value(url, "SELECT 1")
        mine = [child for child in psutil.Process().children() if child not in before]
        assert len(mine) == 1
        time.sleep(0.5)
        begun = time.monotonic()
    assert time.monotonic() - begun < 8
    assert not mine[0].is_running()


def test_second_process_joins_and_does_not_stop_it(data_dir: Path, holders: list[Holder]) -> None:
    with embedded_database(data_dir, maintenance=None) as url:
        holders.append(Holder(data_dir))
        assert holders[0].report() == (url, "joined")
        assert holders[0].finish() == 0
        assert value(url, "SELECT 1") == 1


def test_joiners_of_two_racing_processes_share_one_database(
    new_dir: Path, holders: list[Holder]
) -> None:
    holders.extend(Holder(new_dir) for _ in range(3))
    reports = [holder.report() for holder in holders]
    assert sorted(how for _, how in reports) == ["joined", "joined", "owned"]
    assert len({url for url, _ in reports}) == 1
    value(reports[0][0], "CREATE TABLE shared AS SELECT 1 AS a")
    assert [value(url, "SELECT a FROM shared") for url, _ in reports] == [1, 1, 1]


def test_owner_killed_ends_the_database_and_another_takes_over(
    data_dir: Path, holders: list[Holder]
) -> None:
    holders.append(Holder(data_dir))
    url, how = holders[0].report()
    assert how == "owned"
    value(url, "CREATE TABLE kept AS SELECT 7 AS a")
    database = holders[0].database_processes()
    holders[0].process.kill()
    wait_for_end(database, 30)
    with embedded_database(data_dir, maintenance=None) as url:
        assert value(url, "SELECT a FROM kept") == 7


def test_owner_killed_during_a_long_statement_still_ends_the_database(
    data_dir: Path, holders: list[Holder]
) -> None:
    holders.append(Holder(data_dir))
    url, _ = holders[0].report()
    database = holders[0].database_processes()
    busy = psycopg.connect(url, autocommit=True)
    busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 2000000000)")
    time.sleep(0.3)
    holders[0].process.kill()
    wait_for_end(database, 30)
    busy.close()


def test_owner_interrupted_by_the_terminal_stops_cleanly(
    data_dir: Path, holders: list[Holder]
) -> None:
    holders.append(Holder(data_dir))
    holders[0].report()
    database = holders[0].database_processes()
    holders[0].process.send_signal(signal.SIGINT)
    holders[0].process.wait(20)
    wait_for_end(database, 30)
    assert not (data_dir / "running.json").exists()


def test_killed_in_the_first_initialisation_starts_again(
    new_dir: Path, holders: list[Holder]
) -> None:
    holders.append(Holder(new_dir))
    deadline = time.monotonic() + 20
    while not list(new_dir.glob("initialising-*/base")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for process in [*holders[0].database_processes(), psutil.Process(holders[0].process.pid)]:
        process.kill()
    assert not (new_dir / "database").exists()
    assert list(new_dir.glob("initialising-*"))
    with embedded_database(new_dir, maintenance=None) as url:
        assert value(url, "SELECT 1") == 1
        assert list(new_dir.glob("initialising-*")) == []


def test_long_path_gets_a_short_socket_that_a_joiner_finds(
    data_dir: Path, tmp_path: Path, holders: list[Holder]
) -> None:
    data_dir = data_dir.rename(tmp_path / ("long " * 20 + "é"))
    with embedded_database(data_dir, maintenance=None) as url:
        state = json.loads((data_dir / "running.json").read_text())
        socket_dir = Path(state["socket_dir"])
        assert len(os.fsencode(socket_dir)) < 90
        assert socket_dir.stat().st_mode & 0o777 == 0o700
        assert value(url, "SELECT 1") == 1
        holders.append(Holder(data_dir))
        assert holders[0].report() == (url, "joined")
    assert not socket_dir.exists()


def test_path_with_odd_characters_makes_a_usable_url(data_dir: Path, tmp_path: Path) -> None:
    odd = data_dir.rename(tmp_path / "a b%20&c")
    with embedded_database(odd, maintenance=None) as url:
        assert value(url, "SELECT 1") == 1


def test_database_of_another_version_is_refused(new_dir: Path) -> None:
    database = new_dir / "database"
    database.mkdir(parents=True)
    (database / "tickgraph.json").write_text('{"engine": "other 1.0"}')
    with (
        pytest.raises(EmbeddedDatabaseFailed, match=r"was made by other 1\.0, this is") as raised,
        embedded_database(new_dir),
    ):
        pass
    assert "\n" not in raised.value.message


def test_foreign_new_directory_is_refused(new_dir: Path) -> None:
    new_dir.mkdir()
    (new_dir / "PG_VERSION").write_text("17")
    with (
        pytest.raises(EmbeddedDatabaseFailed, match="another PostgreSQL"),
        embedded_database(new_dir),
    ):
        pass


@pytest.mark.parametrize("parent", ["/proc", "/dev/null"])
def test_directory_that_cannot_be_written_is_refused(parent: str) -> None:
    with (
        pytest.raises(EmbeddedDatabaseFailed, match="cannot use data directory") as raised,
        embedded_database(Path(parent) / "tickgraph"),
    ):
        pass
    assert "\n" not in raised.value.message


def test_broken_database_is_named_in_one_line(data_dir: Path) -> None:
    with embedded_database(data_dir, maintenance=None):
        pass
    (data_dir / "database" / "global" / "pg_control").write_bytes(b"nonsense")
    with (
        pytest.raises(EmbeddedDatabaseFailed, match="ended at its start") as raised,
        embedded_database(data_dir, maintenance=None),
    ):
        pass
    assert "\n" not in raised.value.message
    assert str(data_dir / "database.log") in raised.value.message


def test_log_is_bounded(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "database.log", max_bytes=10_000)
    for i in range(1000):
        log.write(f"line {i} " + "x" * 100)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert sum(sizes) < 25_000
    assert "line 999" in "".join(path.read_text() for path in tmp_path.iterdir())
