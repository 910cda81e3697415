"""Quotes over GraphQL: exact texts, cursors, coded errors, and statements that do not grow."""

import csv
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.rejects import Rejects
from app.storage.batches import BatchKind
from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_instruments, add_trades, writing
from tests.serving import Api, in_process

SYMBOLS = [f"Q{n:02}" for n in range(50)]
MICS = ["XNYS", "24/7"]
_REQUESTS = itertools.count()
QUOTES = [
    ("2024-01-02T15:00:00Z", "9.90", "100", "10.10", "50"),
    ("2024-01-02T15:00:10.000001Z", "10.00", "1", "", ""),
    ("2024-01-02T15:00:20Z", "10.00", "1", "10.020", "2.5"),
    ("2024-01-02T15:00:20Z", "10.01", "1", "10.01", "1"),
    ("2024-01-02T15:02:00Z", "10.00", "1", "10.04", "1"),
]
TRADES = [
    ("2024-01-02T15:00:05Z", "10.05", "2"),
    ("2024-01-02T15:00:20Z", "10.00", "1"),
    ("2024-01-02T15:02:00Z", "10.02", "3"),
    ("2024-01-02T15:02:01Z", "10.02", "3"),
]

FIELDS = {
    "quotes": "quotes(first: 3) { edges { node { bid spread } } }",
    "quoteAt": 'quoteAt(at: "2024-01-02T15:01:00Z") { bid ask }',
    "two quoteAt": """a: quoteAt(at: "2024-01-02T15:01:00Z") { bid }
                      b: quoteAt(at: "2024-01-02T15:00:01Z") { bid }""",
    "latestQuote": "latestQuote { time mid }",
    "quoteSeries": 'quoteSeries(interval: "1m", from: "2024-01-02") { time bid }',
    "quoteSeries, newest": 'quoteSeries(interval: "30s", last: 2) { time bid }',
    "spreadStatistics":
        'spreadStatistics(from: "2024-01-02", to: "2024-01-03") { timeWeightedSpread }',
    "tradesWithQuotes": "tradesWithQuotes(first: 3) { edges { node { side mid } } }",
    "effectiveSpread": 'effectiveSpread(from: "2024-01-02", to: "2024-01-03") { mean }',
}  # fmt: skip


@pytest.fixture(scope="module")
def statements() -> list[str]:
    return []


@pytest.fixture(scope="module")
async def api(
    database: TestDatabase, statements: list[str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Api]:
    add_instruments(
        database.url,
        [{"symbol": s, "exchange": MICS[place % 2]} for place, s in enumerate([*SYMBOLS, "NONE"])],
    )
    add_trades(database.url, [(symbol, *trade) for symbol in SYMBOLS for trade in TRADES])
    path = tmp_path_factory.mktemp("quotes") / "quotes.csv"
    add_quotes(database.url, path, [(symbol, *each) for symbol in SYMBOLS for each in QUOTES])

    def note(sql: str) -> None:
        if "look_at_log" not in sql:
            statements.append(sql)

    async with in_process(database.url, on_statement=note) as running:
        yield running


def add_quotes(url: str, path: Path, rows: list[tuple[str, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("symbol", "time", "bid", "bid_size", "ask", "ask_size"), *rows]
        )
    delivery = Delivery(kind=BatchKind.QUOTES, source="file:quotes.csv", actor="test")
    with writing(url) as connection:
        counts = import_file(connection, path, delivery, Rejects(), lambda _: None).counts
    assert counts.stored == len(rows)


async def one(api: Api, field: str, symbol: str = "Q00", **variables: object) -> Any:
    data = await api.data(f'{{ instrument(symbol: "{symbol}") {{ {field} }} }}', **variables)
    (value,) = data["instrument"].values()
    return value


async def test_quotes_are_told_exactly(api: Api) -> None:
    fields = "time bid ask bidSize askSize mid spread session tradingDate quoteId"
    page = await one(
        api, f"quotes {{ edges {{ node {{ {fields} }} }} pageInfo {{ hasNextPage }} }}"
    )
    rows = [tuple(edge["node"].values()) for edge in page["edges"]]
    day = ("REGULAR", "2024-01-02")
    assert rows == [
        ("2024-01-02T15:00:00+00:00", "9.90", "10.10", "100", "50", "10.00", "0.20", *day, "0"),
        ("2024-01-02T15:00:10.000001+00:00", "10.00", None, "1", None, None, None, *day, "0"),
        ("2024-01-02T15:00:20+00:00", "10.00", "10.020", "1", "2.5", "10.010", "0.020", *day, "0"),
        ("2024-01-02T15:00:20+00:00", "10.01", "10.01", "1", "1", "10.01", "0.00", *day, "1"),
        ("2024-01-02T15:02:00+00:00", "10.00", "10.04", "1", "1", "10.02", "0.04", *day, "0"),
    ]
    assert page["pageInfo"] == {"hasNextPage": False}


async def test_pages_follow_their_cursors(api: Api) -> None:
    for field in ("quotes", "tradesWithQuotes"):
        after, cursors = "null", []
        while after:
            page = await one(
                api,
                f"{field}(first: 2, after: {after})"
                " { edges { cursor } pageInfo { hasNextPage endCursor } }",
            )
            cursors += [edge["cursor"] for edge in page["edges"]]
            info = page["pageInfo"]
            after = f'"{info["endCursor"]}"' if info["hasNextPage"] else ""
        assert len(set(cursors)) == len(cursors) == {"quotes": 5, "tradesWithQuotes": 4}[field]


async def test_the_quote_in_force_and_the_newest(api: Api) -> None:
    assert await one(api, 'quoteAt(at: "2024-01-02T14:59:59.999999Z") { bid }') is None
    in_force = await one(api, 'quoteAt(at: "2024-01-02T15:00:20Z") { quoteId bid }')
    assert in_force == {"quoteId": "1", "bid": "10.01"}
    assert await one(api, "latestQuote { ask }") == {"ask": "10.04"}
    assert await one(api, "latestQuote { ask }", "NONE") is None


async def test_columns_are_numbers_and_nulls(api: Api) -> None:
    fields = (
        "time bid ask open high low close meanSpread timeWeightedSpread relativeSpreadBps count"
    )
    columns = await one(
        api,
        'quoteSeries(interval: "10s", from: "2024-01-02T15:00:00Z", to: "2024-01-02T15:01:00Z")'
        f" {{ {fields} }}",
    )
    start = 1_704_207_600_000
    assert columns.pop("relativeSpreadBps") == [
        pytest.approx(200), pytest.approx(200), pytest.approx(0)
    ]  # fmt: skip
    assert columns.pop("timeWeightedSpread") == [
        pytest.approx(0.2), pytest.approx(0.2), pytest.approx(0)
    ]  # fmt: skip
    assert columns == {
        "time": [start, start + 10_000, start + 20_000],
        "bid": [9.9, 10.0, 10.01],
        "ask": [10.1, None, 10.01],
        "open": [10.0, None, 10.01],
        "high": [10.0, None, 10.01],
        "low": [10.0, None, 10.01],
        "close": [10.0, None, 10.01],
        "meanSpread": [pytest.approx(0.2), None, pytest.approx(0.01)],
        "count": [1, 1, 2],
    }


async def test_spread_statistics_are_by_quote_and_by_time(api: Api) -> None:
    found = await one(
        api,
        'spreadStatistics(from: "2024-01-02T15:00:00Z", to: "2024-01-02T15:02:10Z") { quotes'
        " meanSpread medianSpread minSpread maxSpread timeWeightedSpread quotedSeconds"
        " bothSidesShare lockedShare crossedShare }",
    )
    both = 10.000001 + 100 + 10
    assert found == {
        "quotes": 5,
        "meanSpread": pytest.approx(0.26 / 4),
        "medianSpread": pytest.approx(0.03),
        "minSpread": 0.0,
        "maxSpread": 0.2,
        "timeWeightedSpread": pytest.approx((0.2 * 10.000001 + 0.04 * 10) / both),
        "quotedSeconds": 130.0,
        "bothSidesShare": pytest.approx(both / 130),
        "lockedShare": pytest.approx(100 / both),
        "crossedShare": 0.0,
    }


async def test_trades_know_their_quotes(api: Api) -> None:
    fields = (
        "trade { price } quote { quoteId } mid side sideRule effectiveSpread signedEffectiveSpread"
        " effectiveSpreadBps priceImprovement"
    )
    page = await one(api, f"tradesWithQuotes {{ edges {{ node {{ {fields} }} }} }}")
    first, second, third, fourth = (edge["node"] for edge in page["edges"])
    assert first == {
        "trade": {"price": "10.05"}, "quote": {"quoteId": "0"}, "mid": "10.00", "side": "BUYER",
        "sideRule": "QUOTE", "effectiveSpread": "0.10", "signedEffectiveSpread": "0.10",
        "effectiveSpreadBps": pytest.approx(100), "priceImprovement": "0.05",
    }  # fmt: skip
    # The quotes of its own time do not count: the one before has no ask.
    assert second["quote"] == {"quoteId": "0"}
    assert [second[name] for name in ("mid", "side", "effectiveSpread")] == [None, None, None]
    assert (third["mid"], third["side"], third["sideRule"]) == ("10.01", "BUYER", "QUOTE")
    # At the mid, after 10.00: a buyer's, who paid 0.02 less than the ask.
    assert (fourth["mid"], fourth["side"], fourth["sideRule"], fourth["priceImprovement"]) == (
        "10.02", "BUYER", "TICK", "0.02",
    )  # fmt: skip
    page = await one(
        api,
        "tradesWithQuotes(match: AT_OR_BEFORE) { edges { node { quote { quoteId bid } } } }",
    )
    assert page["edges"][1]["node"]["quote"] == {"quoteId": "1", "bid": "10.01"}
    page = await one(api, "tradesWithQuotes(lagMs: 6000) { edges { node { quote { bid } } } }")
    assert [edge["node"]["quote"] for edge in page["edges"]] == [
        None, {"bid": "10.00"}, {"bid": "10.01"}, {"bid": "10.01"},
    ]  # fmt: skip


async def test_effective_spread_is_told(api: Api) -> None:
    found = await one(
        api,
        'effectiveSpread(from: "2024-01-02", to: "2024-01-03", realizedAfterSeconds: 30)'
        " { trades matched mean volumeWeighted buyerTrades sellerTrades realizedTrades"
        " realizedMean priceImpactMean }",
    )
    assert found == {
        "trades": 4,
        "matched": 3,
        "mean": pytest.approx((0.1 + 0.02 + 0) / 3),
        "volumeWeighted": pytest.approx((0.1 * 2 + 0.02 * 3) / 8),
        "buyerTrades": 3,
        "sellerTrades": 0,
        "realizedTrades": 1,
        "realizedMean": pytest.approx(2 * (10.05 - 10.01)),
        "priceImpactMean": pytest.approx(2 * (10.01 - 10.00)),
    }


REFUSED = [
    ('quotes(after: "nonsense") { edges { cursor } }', "BAD_CURSOR"),
    ("quotes(first: -1) { edges { cursor } }", "BAD_INPUT"),
    ("quotes(first: 10000000) { edges { cursor } }", "RANGE_TOO_LARGE"),
    ('quotes(from: "2024-01-02", to: "2024-01-01") { edges { cursor } }', "BAD_RANGE"),
    ('quoteAt(at: "yesterday") { bid }', "BAD_INPUT"),
    ('quoteSeries(interval: "1m") { bid }', "BAD_RANGE"),
    ('quoteSeries(interval: "0m", last: 1) { bid }', "BAD_INTERVAL"),
    ('quoteSeries(interval: "1d", last: 1, timezone: "Moon/Base") { bid }', "BAD_INPUT"),
    ('quoteSeries(interval: "1m", last: 10000000) { bid }', "RANGE_TOO_LARGE"),
    ('spreadStatistics(from: "2024-01-02", to: "2024-01-02") { quotes }', "BAD_RANGE"),
    ("tradesWithQuotes(lagMs: -1) { edges { cursor } }", "BAD_INPUT"),
    ('tradesWithQuotes(after: "UXVvdGU6MS4x") { edges { cursor } }', "BAD_CURSOR"),
    ('effectiveSpread(from: "2024-01-02", to: "2024-01-01") { mean }', "BAD_RANGE"),
    (
        'effectiveSpread(from: "2024-01-01", to: "2024-01-02", realizedAfterSeconds: 0) { mean }',
        "BAD_INPUT",
    ),
]


@pytest.mark.parametrize(("field", "code"), REFUSED)
async def test_bad_arguments_have_codes(api: Api, field: str, code: str) -> None:
    answer = await api.ask(f'{{ instrument(symbol: "Q00") {{ {field} }} }}')
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
async def test_statements_do_not_grow_with_instruments(
    api: Api, statements: list[str], field: str
) -> None:
    query = f"query ($symbols: [String!]!) {{ instruments(symbols: $symbols) {{ {field} }} }}"
    await api.data(query, symbols=SYMBOLS)
    counts = []
    for count in (2, 10, 50):
        statements.clear()
        body = {"query": query, "variables": {"symbols": SYMBOLS[:count]}, "n": next(_REQUESTS)}
        answer = (await api.client.post("/graphql", json=body)).json()
        assert "errors" not in answer, answer
        assert len(answer["data"]["instruments"]) == count
        counts.append(len(statements))
    assert counts[0] > 0
    assert counts == [counts[0]] * 3


async def test_an_answer_is_never_older_than_the_last_import(
    api: Api, database: TestDatabase, tmp_path: Path
) -> None:
    query = (
        '{ instrument(symbol: "Q49") { latestQuote { bid } quotes { edges { node { bid } } } } }'
    )
    for n in range(3):
        row = ("Q49", f"2024-02-0{n + 1}T15:00Z", f"{n + 1}", "1", "", "")
        add_quotes(database.url, tmp_path / "new.csv", [row])
        found = (await api.data(query))["instrument"]
        assert found["latestQuote"] == {"bid": f"{n + 1}"}
        assert found["quotes"]["edges"][-1]["node"] == {"bid": f"{n + 1}"}
