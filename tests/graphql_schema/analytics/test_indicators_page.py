"""The example of docs/indicators.md gives the answer that the page shows, and its figures hold."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.query.indicators.calls import talib_call
from app.query.indicators.warm_up import warm_up
from app.storage.database import connect
from graphql_schema.analytics.usual_indicators import TYPED
from tests.conftest import TestDatabase
from tests.query.actions import store_sample
from tests.serving import in_process

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "indicators.md").read_text()


def rounded(value: Any) -> Any:
    """Allow for another processor's last digits."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.11g}") if isinstance(value, float) else value


async def test_example_is_as_shown(native_database: TestDatabase) -> None:
    (query,) = re.findall(r"```graphql\n(.*?)```", PAGE, re.DOTALL)
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_sample(connection)
    async with in_process(native_database.url) as api:
        assert rounded(await api.data(query)) == rounded(json.loads(shown))


def test_every_field_is_named() -> None:
    named = set(re.findall(r"\w+", PAGE))
    assert set(TYPED) <= named


@pytest.mark.parametrize(
    ("name", "parameters", "candles"),
    [("EMA", {"timeperiod": 20}, 273), ("RSI", {"timeperiod": 14}, 356),
     ("EMA", {"timeperiod": 200}, 2732)],
)  # fmt: skip
def test_warm_ups_are_as_told(name: str, parameters: dict[str, float], candles: int) -> None:
    assert warm_up(talib_call(name, parameters)) == candles
