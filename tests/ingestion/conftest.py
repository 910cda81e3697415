from collections.abc import Iterator

import pytest

from app.storage.database import Connection
from tests.conftest import TestDatabase
from tests.ingestion.imports import fresh_symbol, writing


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    """A writer's connection to this module's database, of every kind."""
    with writing(database.url) as connection:
        yield connection


@pytest.fixture
def symbol() -> str:
    """A symbol that is this test's own."""
    return fresh_symbol()
