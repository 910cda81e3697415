"""A load that failed on the fast path is told by the ordinary one, which does not try it again."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_instruments, add_trades, writing
from tests.serving import Api, in_process

TIMEOUT_S = 0.6
QUERY = """
query ($a: String!) {
  a: instrument(symbol: $a) { symbol %s }
  b: instrument(symbol: "B") { symbol exchange { mic } }
  both: instruments(symbols: [$a, "B"]) { name }
}
"""
CANDLES = 'candles(interval: "1s", last: 1) { time }'

# What is asked of an instrument, and the table that makes it wait.
FIELDS = {
    "candles": (CANDLES, "trade"),
    "candles, twice": (f"{CANDLES} more: {CANDLES}", "trade"),
    "series": ('series(interval: "2s", last: 1) { close }', "trade"),
    "trades": ("trades(first: 1) { edges { node { price } } }", "trade"),
    "latest": ("latest { price }", "latest"),
    "candles and latest": (f"{CANDLES} latest {{ price }}", "trade, latest"),
}


@pytest.fixture(scope="module")
def statements() -> list[str]:
    return []


@pytest.fixture(scope="module")
async def api(native_database: TestDatabase, statements: list[str]) -> AsyncIterator[Api]:
    url = native_database.url
    add_instruments(url, [{"symbol": symbol} for symbol in ("A", "B")])
    add_trades(url, [(symbol, "2024-01-02T10:00:00Z", "1.5", "2") for symbol in ("A", "B")])
    async with in_process(
        url,
        on_statement=statements.append,
        cache_mb=0,
        refresh_interval_s=3600,
        statement_timeout_s=TIMEOUT_S,
    ) as running:
        yield running


async def asked(api: Api, query: str, symbol: str, locked: str, url: str) -> tuple[Any, float]:
    """Ask while a table is locked; give the answer and the seconds that it took."""
    with writing(url) as connection, connection.transaction():
        connection.execute(f"LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE".encode())
        began = time.monotonic()
        async with asyncio.timeout(10):
            answer = await api.ask(query, a=symbol)
        return answer, time.monotonic() - began


def told(answer: Any) -> set[tuple[object, ...]]:
    """Give the errors by root field: which of an object's failed fields is told is open."""
    assert {each["extensions"]["code"] for each in answer["errors"]} == {"QUERY_TIMEOUT"}
    return {(each["path"][0], each["message"]) for each in answer["errors"]}


@pytest.mark.parametrize(("field", "locked"), FIELDS.values(), ids=FIELDS)
async def test_a_timeout_is_told_as_on_the_ordinary_path_and_at_once(
    api: Api, native_database: TestDatabase, statements: list[str], field: str, locked: str
) -> None:
    url, query = native_database.url, QUERY % field
    for _ in range(2):
        assert (await api.data(query, a="A"))["a"]["symbol"] == "A"
    ordinary, _ = await asked(api, f"{query} # other", "A", locked, url)
    statements.clear()
    before = api.outcomes.copy()
    fast, took_s = await asked(api, query, "A", locked, url)
    assert api.outcomes - before == {"fallback": 1}
    assert took_s < TIMEOUT_S * 1.7
    assert told(fast) == told(ordinary)
    assert fast["data"] == ordinary["data"]
    assert fast["data"]["b"] == {"symbol": "B", "exchange": {"mic": "24/7"}}
    waited = [sql for sql in statements if any(f" {table}" in sql for table in locked.split(", "))]
    assert len(waited) == len(set(waited)), waited
    data = await api.data(query, a="A")  # it is not remembered
    assert data["a"]["symbol"] == "A"


async def test_a_look_up_of_symbols_is_not_tried_again(
    api: Api, native_database: TestDatabase, statements: list[str]
) -> None:
    query = QUERY % "name"
    for _ in range(2):
        assert (await api.data(query, a="NOBODY"))["a"] is None
    statements.clear()
    answer, took_s = await asked(api, query, "NOBODY", "instrument", native_database.url)
    assert took_s < TIMEOUT_S * 1.7
    assert len([sql for sql in statements if "FROM instrument" in sql]) == 1
    paths = [each["path"] for each in answer["errors"]]
    assert sorted(paths) == [["a"], ["b"], ["both"]]
    assert {each["extensions"]["code"] for each in answer["errors"]} == {"QUERY_TIMEOUT"}
