import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import asyncpg
import psycopg
import pytest

from app.embedded.install import Installation, ensure_installed
from app.embedded.process import Limits
from app.embedded.supervisor import embedded_database
from tests.embedded.wire_client import WireClient

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"


@pytest.fixture(scope="session")
def installation() -> Installation:
    return ensure_installed()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that was initialised and cleanly closed, to copy from."""
    path = tmp_path_factory.mktemp("template") / "data"
    with embedded_database(path, maintenance=None):
        return path


@pytest.fixture
def data_dir(template: Path, tmp_path: Path) -> Path:
    """A data directory with an empty database in it."""
    path = tmp_path / "data"
    shutil.copytree(template / "database", path / "database")
    return path


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running database with the limits that everybody gets."""
    with embedded_database(tmp_path_factory.mktemp("embedded"), maintenance=None) as url:
        yield url


@pytest.fixture(scope="session")
def strict_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running database whose limits are small enough to be met."""
    limits = Limits(
        max_connections=5,
        idle_in_transaction_timeout_s=2,
        startup_timeout_s=2,
        stalled_client_timeout_s=2,
        max_message_bytes=1 << 20,
        max_copy_bytes=4 << 20,
        max_result_bytes=8 << 20,
        max_unsent_notification_bytes=1 << 18,
    )
    data_dir = tmp_path_factory.mktemp("strict")
    with embedded_database(data_dir, limits=limits, maintenance=None) as url:
        yield url


def socket_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["host"][0] + "/.s.PGSQL.5432"


@contextmanager
def wire(url: str) -> Iterator[WireClient]:
    with WireClient(socket_of(url)) as client:
        yield client


def answers(url: str) -> bool:
    """Whether the database answers somebody new."""
    with psycopg.connect(url, connect_timeout=20) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def copy_in(connection: Connection, target: str, lines: list[str]) -> None:
    """COPY lines of text into a table."""
    with connection.cursor().copy(f"COPY {target} FROM STDIN") as copy:
        for line in lines:
            copy.write(f"{line}\n")


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def other(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def pg(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url, timeout=20)
    try:
        yield connection
    finally:
        await connection.close(timeout=10)


@pytest.fixture
def table(connection: Connection) -> Iterator[str]:
    """An empty table `item (id int PRIMARY KEY, name text, price numeric)`."""
    connection.execute("DROP TABLE IF EXISTS item")
    connection.execute("CREATE TABLE item (id int PRIMARY KEY, name text, price numeric)")
    yield "item"
    connection.execute("DROP TABLE IF EXISTS item")
