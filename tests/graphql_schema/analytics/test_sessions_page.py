"""The example of docs/sessions.md has the answer that is printed there."""

import json
import re
from pathlib import Path

from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_instruments, add_trades
from tests.serving import in_process

PAGE = Path(__file__).parents[3] / "docs" / "sessions.md"
TRADES = (
    ("08:45", "3380"),
    ("09:00", "3402"),
    ("09:20", "3410.5"),
    ("10:31", "3398"),
    ("12:30", "3405"),
    ("14:59", "3421"),
)


async def test_the_example_has_the_printed_answer(native_database: TestDatabase) -> None:
    page = PAGE.read_text()
    (query,) = re.findall(r"```graphql\n(.*?)```", page, re.DOTALL)
    (printed,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    url = native_database.url
    add_instruments(url, [{"symbol": "7203", "exchange": "XTKS"}])
    add_trades(url, [("7203", f"2024-06-03T{at}:00+09:00", price, "100") for at, price in TRADES])
    async with in_process(url) as api:
        assert await api.data(query) == json.loads(printed)
