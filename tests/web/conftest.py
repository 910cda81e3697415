"""The demo served on a port, as `tickgraph demo` serves it."""

from collections.abc import AsyncIterator

import pytest

from app.commands.demo import load_demo
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.serving import on_port


@pytest.fixture(scope="module")
async def demo_url(native_database: TestDatabase) -> AsyncIterator[str]:
    """The base URL of a server over the demo's data."""
    with connect(native_database.url, timeout_s=10, statement_timeout_s=120) as connection:
        load_demo(connection, lambda message: None)
    async with on_port(native_database.url) as base_url:
        yield base_url
