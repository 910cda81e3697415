"""The example of docs/statistics.md gives the answer that the page shows."""

import json
import re
from pathlib import Path

import pytest

from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.actions import store_sample
from tests.serving import in_process

PAGE = Path(__file__).parents[3] / "docs" / "statistics.md"


def leaves(value: object, path: str = "") -> dict[str, object]:
    """Give every number and text by its place."""
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = {str(place): each for place, each in enumerate(value)}.items()
    else:
        return {path: value}
    found: dict[str, object] = {}
    for name, each in parts:
        found |= leaves(each, f"{path}.{name}")
    return found


async def test_example_is_as_shown(native_database: TestDatabase) -> None:
    text = PAGE.read_text()
    (query,) = re.findall(r"```graphql\n(.*?)```", text, re.DOTALL)
    (shown,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_sample(connection)
    async with in_process(native_database.url) as api:
        found, expected = leaves(await api.data(query)), leaves(json.loads(shown))
    assert found.keys() == expected.keys()
    for place, value in expected.items():
        assert found[place] == (pytest.approx(value) if isinstance(value, float) else value), place
