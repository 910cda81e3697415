import uuid
from collections.abc import Iterator

import pytest

from app.storage.database import Connection
from tests.conftest import TestDatabase
from tests.ingestion.imports import fresh_symbol, writing
from tests.ingestion.streaming import Feed
from tests.parts.redis import RedisServer, native_redis


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    """A writer's connection to this module's database, of every kind."""
    with writing(database.url) as connection:
        yield connection


@pytest.fixture
def symbol() -> str:
    """A symbol that is this test's own."""
    return fresh_symbol()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server of this module's own."""
    with native_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def feed(server: RedisServer) -> Feed:
    """A stream that is this test's own."""
    return Feed(server.url, f"s{uuid.uuid4().hex[:10]}")


@pytest.fixture
def url(native_database: TestDatabase) -> str:
    """The address of this module's native database."""
    return native_database.url
