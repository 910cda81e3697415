"""The example of docs/portfolio.md gives the answer that is printed there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.actions import store_sample
from tests.serving import in_process

PAGE = Path(__file__).parents[3] / "docs" / "portfolio.md"


def rounded(value: Any) -> Any:
    """Round floats to what the page prints."""
    if isinstance(value, float):
        return pytest.approx(value, abs=1e-9)
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


async def test_example_gives_the_printed_answer(native_database: TestDatabase) -> None:
    query, printed = re.findall(r"```(?:graphql|json)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_sample(connection)
    async with in_process(native_database.url) as api:
        found = await api.data(query)
    assert found["portfolio"] == rounded(json.loads(printed)["portfolio"])
