"""However many instruments a list field is asked for, the database gets as many statements."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_bars, add_instruments, add_trades
from tests.serving import Api, in_process

TRADED = [f"T{n:02}" for n in range(50)]
BARRED = [f"B{n:02}" for n in range(50)]
MIXED = [symbol for pair in zip(TRADED, BARRED, strict=True) for symbol in pair]
_REQUESTS = itertools.count()
MICS = ["XNAS", "XNYS", "XLON"]

FIELDS = {
    "symbol": "symbol",
    "exchange": "exchange { mic timezone }",
    "latest": "latest { time price }",
    "candles, newest": 'candles(interval: "1h", last: 5) { time close }',
    "candles, range": 'candles(interval: "1d", from: "2024-01-01", to: "2024-02-01") { time }',
    "candles, open range": 'candles(interval: "1d", from: "2023-12-01") { time revision }',
    "series": 'series(interval: "1w", last: 5) { time close }',
    "trades": "trades(first: 3) { edges { node { price } } }",
    "candles twice": """
        a: candles(interval: "1d", last: 5) { time } b: candles(interval: "1d", last: 5) { close }
    """,
    "several": 'exchange { mic } latest { price } candles(interval: "1d", last: 2) { close }',
}


class Statements(list[str]):
    """The SQL of every read, in order; emptied by whoever counts.

    Looks at the commit log are left out: time decides on them, not what was asked for.
    """

    def note(self, sql: str) -> None:
        """Take note of a statement that is about to run."""
        if "look_at_log" not in sql:
            self.append(sql)


@pytest.fixture(scope="module")
def statements() -> Statements:
    return Statements()


@pytest.fixture(scope="module")
async def api(database: TestDatabase, statements: Statements) -> AsyncIterator[Api]:
    symbols = TRADED + BARRED
    add_instruments(
        database.url,
        [
            {"symbol": symbol, "exchange": MICS[place % len(MICS)]}
            for place, symbol in enumerate(symbols)
        ],
    )
    hours = [f"2024-01-{day:02}T15:{minute}:00Z" for day in (2, 3, 9) for minute in (30, 45)]
    add_trades(database.url, [(symbol, hour, "10", "1") for symbol in TRADED for hour in hours])
    add_bars(
        database.url,
        "1h",
        [(symbol, f"2024-01-{day:02}T15:00Z", *"11111") for symbol in BARRED for day in (2, 3, 9)],
    )
    async with in_process(database.url, on_statement=statements.note, cache_mb=0) as running:
        yield running


async def ask(api: Api, query: str, **variables: object) -> dict[str, Any]:
    """Ask in bytes never sent before."""
    body = {"query": query, "variables": variables, "ignored": next(_REQUESTS)}
    answer = (await api.client.post("/graphql", json=body)).json()
    assert answer.keys() == {"data"}, answer["errors"]
    data: dict[str, Any] = answer["data"]
    return data


async def counted(api: Api, statements: Statements, query: str, symbols: list[str]) -> int:
    statements.clear()
    data = await ask(api, query, symbols=symbols)
    assert len(data["instruments"]) == len(symbols)
    assert None not in data["instruments"]
    return len(statements)


async def warmed(api: Api, query: str, symbols: list[str]) -> None:
    """Let the process remember what it may: facts of the instruments, the document's plan."""
    for _ in range(3):
        await ask(api, query, symbols=symbols)


def fewest(symbols: list[str]) -> int:
    """Give a list's smallest part with all its kinds: each kind of rows takes a statement."""
    return 2 if symbols is MIXED else 1


@pytest.mark.parametrize("symbols", [TRADED, BARRED, MIXED], ids=["traded", "barred", "mixed"])
@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
async def test_statements_do_not_grow_with_instruments(
    api: Api, statements: Statements, field: str, symbols: list[str]
) -> None:
    query = f"query ($symbols: [String!]!) {{ instruments(symbols: $symbols) {{ {field} }} }}"
    await warmed(api, query, symbols)
    counts = [
        await counted(api, statements, query, symbols[:count])
        for count in (fewest(symbols), 10, 50)
    ]
    assert counts == [counts[0]] * 3


@pytest.mark.parametrize("field", FIELDS)
async def test_statements_of_a_fresh_process_do_not_grow_either(
    database: TestDatabase, api: Api, statements: Statements, field: str
) -> None:
    query = (
        f"query ($symbols: [String!]!) {{ instruments(symbols: $symbols) {{ {FIELDS[field]} }} }}"
    )
    counts = []
    for count in (fewest(MIXED), 10, 50):
        async with in_process(database.url, on_statement=statements.note, cache_mb=0) as fresh:
            counts.append(await counted(fresh, statements, query, MIXED[:count]))
    assert counts[0] > 0
    assert counts == [counts[0]] * 3


@pytest.mark.parametrize("field", ["symbol", "exchange { mic }", "latest { price }"])
async def test_found_instruments_are_read_together(
    api: Api, statements: Statements, field: str
) -> None:
    query = "query ($n: Int) {{ searchInstruments(first: $n) {{ edges {{ node {{ {} }} }} }} }}"
    counts = []
    for first in (1, 10, 50):
        statements.clear()
        data = await ask(api, query.format(field), n=first)
        assert len(data["searchInstruments"]["edges"]) == first
        counts.append(len(statements))
    assert counts[0] > 0
    assert counts == [counts[0]] * 3


async def test_aliased_instruments_are_looked_up_together(api: Api, statements: Statements) -> None:
    counts = []
    for count in (1, 10, 50):
        fields = " ".join(
            f'{symbol}: instrument(symbol: "{symbol}") {{ latest {{ price }} }}'
            for symbol in TRADED[:count]
        )
        statements.clear()
        assert len(await ask(api, f"{{ {fields} }}")) == count
        counts.append(len(statements))
    assert counts == [counts[0]] * 3


async def test_nothing_is_read_for_no_symbols(api: Api, statements: Statements) -> None:
    query = "query ($symbols: [String!]!) { instruments(symbols: $symbols) { symbol } }"
    assert await counted(api, statements, query, []) == 0
