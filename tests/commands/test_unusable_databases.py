"""Whatever is wrong with the database, every command says it in one line; doctor with advice."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.commands.cli_process import Finished, invoke
from tests.conftest import TestDatabase
from tests.parts.guarded import free_port
from tests.parts.postgres import NativeServer, native_timescaledb

COMMANDS = {
    "serve": ("serve",),
    "demo": ("demo",),
    "migrate": ("migrate",),
    "refresh": ("refresh",),
    "import": ("import", "trades", "trades.csv"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A database that cannot be used: what is found and what to do about it."""

    url: str
    found: str
    advice: str
    spares: tuple[str, ...] = ()  # Commands that put it right.


@pytest.fixture(scope="module")
def unloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeServer]:
    """A server of its own, on which TimescaleDB is installed and not preloaded."""
    with native_timescaledb(tmp_path_factory.mktemp("unloaded"), fsync=False) as server:
        server.stop()
        with (server.data_dir / "postgresql.conf").open("a") as configuration:
            configuration.write("shared_preload_libraries = ''\nmax_connections = 10\n")
        server.start()
        yield server


@pytest.fixture(scope="module")
def guarded_role(native_server: NativeServer) -> Iterator[str]:
    """A role that has to give its password."""
    rules = native_server.data_dir / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{before}")
    with psycopg.connect(native_server.url, autocommit=True) as session:
        session.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
        session.execute("SELECT pg_reload_conf()")
    yield "guarded"
    rules.write_text(before)
    with psycopg.connect(native_server.url, autocommit=True) as session:
        session.execute("DROP ROLE guarded")
        session.execute("SELECT pg_reload_conf()")


@pytest.fixture(params=["down", "password", "missing", "unloaded", "unmigrated", "newer"])
def broken(request: pytest.FixtureRequest) -> Iterator[Broken]:
    if request.param == "unloaded":
        server = request.getfixturevalue("unloaded")
        advice = "add it to shared_preload_libraries and restart the server"
        yield Broken(url=server.url, found="TimescaleDB is not loaded", advice=advice)
        return
    native: NativeServer = request.getfixturevalue("native_server")
    place = native.url.split("@")[1].split("/")[0]
    if request.param == "down":
        place = f"127.0.0.1:{free_port()}"
        yield Broken(
            url=f"postgresql://postgres@{place}/market",
            found=f"no database answers at {place}",
            advice="start it, or correct TICKGRAPH_DATABASE_URL",
        )
    elif request.param == "password":
        role = request.getfixturevalue("guarded_role")
        yield Broken(
            url=native.url.replace("postgres@", f"{role}:wrong@"),
            found=f"the database at {place} refused the login of 'guarded'",
            advice="check user and password",
        )
    elif request.param == "missing":
        yield Broken(
            url=native.database_url("market"),
            found=f"the server at {place} has no database 'market'",
            advice="create it first",
        )
    elif request.param == "unmigrated":
        url = native.create_database("unmigrated")
        yield Broken(
            url=url,
            found="at nothing, this version needs",
            advice="run `tickgraph migrate`",
            spares=("migrate", "demo"),
        )
        native.drop_database("unmigrated")
    else:
        database: TestDatabase = request.getfixturevalue("native_database")
        with psycopg.connect(database.url, autocommit=True) as session:
            (now,) = session.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
            session.execute("UPDATE alembic_version SET version_num = '9999'")
            yield Broken(
                url=database.url,
                found="is at 9999, which this version does not know",
                advice="upgrade Tickgraph",
            )
            session.execute("UPDATE alembic_version SET version_num = %s", (now,))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_is_wrong_in_one_line(command: str, broken: Broken) -> None:
    if command in broken.spares:
        return
    done = invoke(*COMMANDS[command], database_url=broken.url, port=0, pool_timeout_s=2)
    line = done.one_line()
    assert broken.found in line
    assert line.endswith(f": {broken.advice}")
    assert ":wrong" not in line


def test_doctor_says_it_with_advice(broken: Broken) -> None:
    done = invoke("doctor", "--json", database_url=broken.url, pool_timeout_s=2)
    assert (done.code, done.err) == (1, "")
    problem = done.json()[-1]
    assert problem["verdict"] == "PROBLEM"
    assert broken.found in problem["found"]
    assert problem["advice"] == broken.advice
    text = invoke("doctor", database_url=broken.url, pool_timeout_s=2)
    assert text.code == 1
    assert text.out.splitlines()[-2].startswith(f"PROBLEM {problem['subject']}: ")
    assert text.out.splitlines()[-1] == f"        -> {broken.advice}"


def test_a_server_without_the_extension_is_told_to_install_it(
    native_database: TestDatabase,
) -> None:
    # Where the search path puts these first, they are what the server has to offer.
    name = native_database.url.rpartition("/")[2]
    with psycopg.connect(native_database.url, autocommit=True) as session:
        for view, columns in (
            ("pg_available_extensions", "'' AS name, '' AS default_version"),
            ("pg_extension", "'' AS extname, '' AS extversion"),
        ):
            session.execute(f"CREATE VIEW public.{view} AS SELECT {columns} LIMIT 0".encode())
        path = f"ALTER DATABASE {name} SET search_path = public, pg_catalog"
        session.execute(path.encode())
    try:
        done = invoke("migrate", database_url=native_database.url)
        found = invoke("doctor", "--json", database_url=native_database.url).json()
    finally:
        with psycopg.connect(native_database.url, autocommit=True) as session:
            session.execute(f"ALTER DATABASE {name} RESET search_path".encode())
            session.execute("DROP VIEW public.pg_available_extensions, public.pg_extension")
    wanted = ("the server has no TimescaleDB", "install the extension's package on it")
    assert done.one_line() == ": ".join(wanted)
    assert [each["subject"] for each in found] == ["database", "database"]
    assert (found[1]["found"], found[1]["advice"]) == wanted


@pytest.mark.parametrize("command", [*COMMANDS, "doctor"])
def test_a_data_folder_that_cannot_be_used_is_one_line(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    arguments = (
        *COMMANDS.get(command, (command,)),
        *(("--embedded",) if command == "serve" else ()),
    )
    done = invoke(*arguments, data_dir=tmp_path / "file", port=0)
    assert done.code == 1
    assert "cannot use data directory" in _said(done)


def test_another_postgres_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("17\n")
    done = invoke("migrate", data_dir=tmp_path)
    assert "is the data directory of another PostgreSQL" in done.one_line()
    assert [path.name for path in tmp_path.iterdir()] == ["PG_VERSION"]


def test_demo_without_its_sample_data_says_what_to_install(
    embedded: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(package: str) -> Any:
        raise ModuleNotFoundError(package)

    monkeypatch.setattr("app.commands.demo.files", missing)
    done = invoke("demo", database_url=embedded.url, port=0)
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        "tickgraph: the sample data is missing: pip install 'tickgraph[demo]'"
    )


def test_a_copied_folder_of_another_engine_is_refused(
    embedded_template: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "data"
    shutil.copytree(embedded_template, copied)
    marker = next(copied.rglob("tickgraph.json"))
    marker.write_text(marker.read_text().replace('"', '"x', 4))
    done = invoke("migrate", data_dir=copied)
    assert done.code == 1
    assert len(done.err.splitlines()) <= 2


def _said(done: Finished) -> str:
    return done.out + done.err
