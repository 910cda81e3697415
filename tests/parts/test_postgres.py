"""The native TimescaleDB server: what others may rely on."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.parts.commands import PartFailed, run
from tests.parts.postgres import NativeServer, native_timescaledb


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeServer]:
    with native_timescaledb(tmp_path_factory.mktemp("postgres"), shared_buffers_mb=64) as running:
        yield running


def test_extension_is_the_apache_edition(server: NativeServer) -> None:
    with psycopg.connect(server.url) as session:
        row = session.execute(
            "SELECT extversion, current_setting('timescaledb.license') "
            "FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone()
        assert row == ("2.19.3", "apache")
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="apache"):
            session.execute("SELECT time_bucket_gapfill('1 day', now(), now(), now())")


def test_settings_are_those_of_a_test_server(server: NativeServer) -> None:
    names = ("fsync", "jit", "TimeZone", "shared_buffers", "max_connections", "listen_addresses")
    with psycopg.connect(server.url) as session:
        found = [session.execute("SELECT current_setting(%s)", [n]).fetchone() for n in names]
    assert found == [("on",), ("off",), ("UTC",), ("64MB",), ("100",), ("127.0.0.1",)]


def test_hypertable_takes_and_buckets_trades(server: NativeServer) -> None:
    with psycopg.connect(server.create_database("hypertables"), autocommit=True) as session:
        session.execute("CREATE TABLE trades (event_time timestamptz NOT NULL, price numeric)")
        session.execute("SELECT create_hypertable('trades', by_range('event_time'))")
        session.execute(
            "INSERT INTO trades SELECT time, 100 FROM generate_series("
            "'2026-03-28 12:00Z'::timestamptz, '2026-03-30 12:00Z', '1 hour') AS time"
        )
        # The night in which Berlin's clocks go forward: the day has 23 hours.
        days = session.execute(
            "SELECT count(*) FROM trades GROUP BY time_bucket('1 day', event_time, 'Europe/Berlin')"
            " ORDER BY min(event_time)"
        ).fetchall()
    assert days == [(11,), (23,), (15,)]
    server.drop_database("hypertables")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(server.database_url("hypertables"))


def test_dropping_a_database_ends_its_sessions(server: NativeServer) -> None:
    with psycopg.connect(server.create_database("in use")) as session:
        server.drop_database("in use")
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


def test_pg_dump_of_the_package_reads_the_server(server: NativeServer) -> None:
    dump = run([server.bin_dir / "pg_dump", "--schema-only", server.url], timeout_s=30)
    assert "CREATE EXTENSION IF NOT EXISTS timescaledb" in dump
    count = run([server.bin_dir / "psql", server.url, "-Atc", "SELECT 41 + 1"], timeout_s=30)
    assert count == "42\n"


def test_acknowledged_rows_outlive_a_kill(server: NativeServer) -> None:
    with psycopg.connect(server.url, autocommit=True) as session:
        session.execute("CREATE TABLE acknowledged (number int)")
        session.execute("INSERT INTO acknowledged SELECT generate_series(1, 1000)")
        killed_pid = server.pid
        family = [psutil.Process(killed_pid), *psutil.Process(killed_pid).children(recursive=True)]
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert not any(process.is_running() for process in family)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url)
    server.start()
    assert server.pid != killed_pid
    with psycopg.connect(server.url) as session:
        assert session.execute("SELECT count(*) FROM acknowledged").fetchone() == (1000,)


def test_stopped_server_starts_again_on_its_port(server: NativeServer) -> None:
    url = server.url
    server.stop()
    server.stop()
    with pytest.raises(PartFailed, match="not running"):
        _ = server.pid
    server.start()
    assert server.url == url
    psycopg.connect(url).close()
    with pytest.raises(PartFailed, match="running already"):
        server.start()


def test_server_that_ended_by_itself_starts_again(server: NativeServer) -> None:
    postmaster = psutil.Process(server.pid)
    postmaster.send_signal(signal.SIGINT)
    postmaster.wait(20)
    server.start()
    psycopg.connect(server.url).close()


def test_failed_start_shows_the_log(server: NativeServer) -> None:
    server.stop()
    automatic = server.data_dir / "postgresql.auto.conf"
    before = automatic.read_text()
    automatic.write_text(before + "max_connections = 'many'\n")
    with pytest.raises(PartFailed, match='invalid value for parameter "max_connections"'):
        server.start()
    automatic.write_text(before)
    server.start()


def test_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from tests.parts.postgres import native_timescaledb\n"
        "with native_timescaledb(Path(sys.argv[1]), fsync=False) as server:\n"
        "    sys.stdout.write(f'{server.pid} {server.data_dir}\\n'); sys.stdout.flush()\n"
        "    time.sleep(60)\n"
    )
    repository = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], cwd=repository, stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout is not None
        pid, data_dir = starter.stdout.readline().decode().split(maxsplit=1)
        postmaster = psutil.Process(int(pid))
        family = [postmaster, *postmaster.children(recursive=True)]
        starter.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    # Ended in order (the file is removed last), though not by the process that was killed.
    folder = Path(data_dir.strip()).parent
    assert not (folder / "data" / "postmaster.pid").exists()
    shutil.rmtree(folder)
