"""Databases for tests: the embedded one, a native server, and any server that is given."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from app.embedded.supervisor import embedded_database
from app.storage.migrate import migrate
from tests.parts.postgres import NativeServer, native_timescaledb

GIVEN = "TICKGRAPH_TEST_DATABASE_URL"
KINDS = ["embedded", "native", *(["given"] if os.environ.get(GIVEN) else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDatabase:
    """A migrated, empty database; `kind` is embedded, native or given."""

    __test__ = False

    kind: str
    url: str


@pytest.fixture(scope="session")
def native_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeServer]:
    """A TimescaleDB server, Apache edition, from Debian's packages."""
    with native_timescaledb(tmp_path_factory.mktemp("native")) as server:
        yield server


@pytest.fixture(scope="session")
def embedded_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped embedded database with the schema in it, to be copied: 1 s instead of 5 s each."""
    data_dir = tmp_path_factory.mktemp("template") / "data"
    with embedded_database(data_dir, maintenance=None) as url:
        migrate(url)
    return data_dir


@pytest.fixture(scope="module", params=KINDS)
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestDatabase]:
    """A database of this module's own, of every kind."""
    with fresh_database(request, tmp_path_factory, request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def native_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestDatabase]:
    """A database of this module's own on the native server, for what one kind can show."""
    with fresh_database(request, tmp_path_factory, "native") as opened:
        yield opened


@pytest.fixture(scope="module")
def embedded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestDatabase]:
    """An embedded database of this module's own, for what one kind can show."""
    with fresh_database(request, tmp_path_factory, "embedded") as opened:
        yield opened


@contextmanager
def fresh_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kind: str
) -> Iterator[TestDatabase]:
    if kind == "embedded":
        template: Path = request.getfixturevalue("embedded_template")
        data_dir = tmp_path_factory.mktemp("embedded") / "data"
        shutil.copytree(template, data_dir)
        with embedded_database(data_dir, maintenance=None) as url:
            yield TestDatabase(kind=kind, url=url)
        return
    name = f"test_{uuid.uuid4().hex[:12]}"
    if kind == "native":
        server: NativeServer = request.getfixturevalue("native_server")
        url = server.create_database(name)
        try:
            migrate(url)
            yield TestDatabase(kind=kind, url=url)
        finally:
            server.drop_database(name)
        return
    given = os.environ[GIVEN]
    with psycopg.connect(given, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        url = urlunsplit(urlsplit(given)._replace(path=f"/{name}"))
        migrate(url)
        yield TestDatabase(kind=kind, url=url)
    finally:
        with psycopg.connect(given, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
