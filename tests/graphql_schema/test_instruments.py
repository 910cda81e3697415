"""Instruments by symbol, by former symbol, by id and by search."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from graphql_schema import ids
from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_former_symbol, add_instruments
from tests.serving import Api, in_process

NAMED = [
    {"symbol": "ACME", "name": "Acme Corporation", "exchange": "XNAS", "asset_class": "EQUITY"},
    {"symbol": "acme.L", "name": "Acme London", "exchange": "XLON", "currency": "GBP"},
    {"symbol": "BACME", "name": "Before Acme", "asset_class": "ETF"},
    {"symbol": "BTC", "name": "Bitcoin, the coin of Acme", "asset_class": "CRYPTO"},
    {"symbol": "100%", "name": "Per cent", "asset_class": "OTHER"},
    {"symbol": "A_B", "name": "Under_score", "asset_class": "OTHER"},
    {"symbol": "A\\B", "name": "Back slash", "asset_class": "OTHER"},
    {"symbol": "ÆON", "name": "Straße", "asset_class": "OTHER"},
    {"symbol": "NEW", "name": "Renamed", "asset_class": "INDEX"},
    {"symbol": "TAKEN", "name": "Took a former symbol", "asset_class": "INDEX"},
]
FUTURES = [{"symbol": f"F{n:03}", "asset_class": "FUTURE"} for n in range(125)]
EVERY = len(NAMED) + len(FUTURES)


@pytest.fixture(scope="module")
async def api(database: TestDatabase) -> AsyncIterator[Api]:
    add_instruments(database.url, NAMED + FUTURES)
    add_former_symbol(database.url, "OLD", "NEW", until="2020-01-01")
    add_former_symbol(database.url, "OLDER", "BTC", until="2010-01-01")
    add_former_symbol(database.url, "OLDER", "NEW", since="2010-01-01", until="infinity")
    add_former_symbol(database.url, "TAKEN", "NEW", until="2015-01-01")
    async with in_process(database.url) as running:
        yield running


async def test_instrument_has_what_was_imported(api: Api) -> None:
    query = """
    { instrument(symbol: "acme.L") {
        symbol name assetClass currency exchange { mic calendar timezone } candleSource simulated
        latest { price } candles(interval: "1d", last: 1) { time } trades { edges { cursor } }
        series(interval: "1m", from: "2020-01-01") { time close }
    } }
    """
    assert await api.data(query) == {
        "instrument": {
            "symbol": "acme.L",
            "name": "Acme London",
            "assetClass": "EQUITY",
            "currency": "GBP",
            "exchange": {"mic": "XLON", "calendar": "XLON", "timezone": "Europe/London"},
            "candleSource": None,
            "simulated": False,
            "latest": None,
            "candles": [],
            "trades": {"edges": []},
            "series": {"time": [], "close": []},
        }
    }


@pytest.mark.parametrize(
    "symbol", ["", "acme", "ACME ", "acme.l", "A%", "AC_E", "\0", "🏃", "x" * 9_999]
)
async def test_unknown_symbol_is_null(api: Api, symbol: str) -> None:
    query = "query ($symbol: String!) { instrument(symbol: $symbol) { symbol } }"
    assert await api.data(query, symbol=symbol) == {"instrument": None}


INSTRUMENTS = """
query ($symbols: [String!]!) { instruments(symbols: $symbols) { symbol name } }
"""


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ([], []),
        (["BTC", "ACME", "ÆON"], ["BTC", "ACME", "ÆON"]),
        (["none", "BTC", "", "ACME", "\0"], [None, "BTC", None, "ACME", None]),
        (["BTC", "ACME", "BTC", "BTC", "none", "none"], ["BTC", "ACME", "BTC", "BTC", None, None]),
    ],
)
async def test_instruments_keep_the_order_of_the_symbols(
    api: Api, asked: list[str], answered: list[str | None]
) -> None:
    data = await api.data(INSTRUMENTS, symbols=asked)
    assert [each and each["symbol"] for each in data["instruments"]] == answered


@pytest.mark.parametrize(
    ("former", "now"), [("OLD", "NEW"), ("OLDER", "NEW"), ("TAKEN", "TAKEN"), ("NEW", "NEW")]
)
async def test_former_symbol_finds_who_had_it_last(api: Api, former: str, now: str) -> None:
    data = await api.data(INSTRUMENTS, symbols=[former])
    assert [each["symbol"] for each in data["instruments"]] == [now]


async def test_symbols_former_and_present_may_be_asked_together(api: Api) -> None:
    data = await api.data(INSTRUMENTS, symbols=["OLD", "NEW", "OLDER"])
    assert [each["symbol"] for each in data["instruments"]] == ["NEW"] * 3


SEARCH = """
query ($text: String, $class: AssetClass, $exchange: String, $first: Int, $after: String) {
  searchInstruments(
    text: $text, assetClass: $class, exchange: $exchange, first: $first, after: $after
  ) {
    edges { cursor node { symbol } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


def symbols_of(data: dict[str, Any]) -> list[str]:
    return [edge["node"]["symbol"] for edge in data["searchInstruments"]["edges"]]


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"text": "ACME"}, ["ACME", "acme.L", "BACME", "BTC"]),
        ({"text": "aCmE"}, ["ACME", "acme.L", "BACME", "BTC"]),
        ({"text": "corporation"}, ["ACME"]),
        ({"text": "%"}, ["100%"]),
        ({"text": "0%"}, ["100%"]),
        ({"text": "A%"}, []),
        ({"text": "_"}, ["A_B"]),
        ({"text": "a_b"}, ["A_B"]),
        ({"text": "A_ME"}, []),
        ({"text": "\\"}, ["A\\B"]),
        ({"text": "\\_"}, []),
        ({"text": "æon"}, ["ÆON"]),
        ({"text": "ACME", "class": "ETF"}, ["BACME"]),
        ({"text": "ACME", "exchange": "XNAS"}, ["ACME"]),
        ({"text": "ACME", "exchange": "XNAS", "class": "ETF"}, []),
        ({"exchange": "XLON"}, ["acme.L"]),
        ({"exchange": "xlon"}, []),
        ({"class": "INDEX"}, ["NEW", "TAKEN"]),
        ({"text": "nowhere"}, []),
        ({"text": "F00", "first": 3}, ["F000", "F001", "F002"]),
        ({"text": "F00", "first": 0}, []),
    ],
)
async def test_search_finds(api: Api, variables: dict[str, Any], found: list[str]) -> None:
    assert symbols_of(await api.data(SEARCH, **variables)) == found


async def test_exact_symbol_is_first_then_those_that_begin_with_it(api: Api) -> None:
    assert symbols_of(await api.data(SEARCH, text="a"))[:3] != []
    assert symbols_of(await api.data(SEARCH, text="f12"))[0] == "F120"
    assert symbols_of(await api.data(SEARCH, text="btc"))[0] == "BTC"


@pytest.mark.parametrize("text", [None, ""])
async def test_search_without_text_gives_everything(api: Api, text: str | None) -> None:
    found = symbols_of(await api.data(SEARCH, text=text, first=1000))
    assert sorted(found) == sorted(each["symbol"] for each in NAMED + FUTURES)


@pytest.mark.parametrize("first", [None, 1, 7, 50, EVERY - 1, EVERY, EVERY + 1])
@pytest.mark.parametrize("text", [None, "f"])
async def test_pages_cover_every_match_once_and_in_order(
    api: Api, first: int | None, text: str | None
) -> None:
    whole = symbols_of(await api.data(SEARCH, text=text, first=1000))
    found: list[str] = []
    after = None
    while True:
        data = await api.data(SEARCH, text=text, first=first, after=after)
        edges, page = data["searchInstruments"]["edges"], data["searchInstruments"]["pageInfo"]
        found += symbols_of(data)
        assert page["hasPreviousPage"] == (after is not None)
        assert page["startCursor"] == edges[0]["cursor"]
        assert page["endCursor"] == edges[-1]["cursor"]
        if not page["hasNextPage"]:
            break
        assert len(edges) == (50 if first is None else first)
        after = page["endCursor"]
    assert found == whole
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "%", "🏃", "====", "\0"),
        *(
            ids.encode(kind, key)
            for kind, key in [
                *(("Trade", "1:ACME"), ("Instrument", 1), ("Found", ""), ("Found", "1")),
                *(("Found", "1:"), ("Found", "x:A"), ("Found", "9:A"), ("Found", "-1:A")),
                *(("Found", "99999999999:A"), ("Found", "1:\0"), ("Found", "٣:A")),
            ]
        ),
    ],
)
async def test_foreign_cursor_is_refused(api: Api, cursor: str) -> None:
    answer = await api.ask(SEARCH, after=cursor)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_CURSOR"]


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"first": -1}, "BAD_INPUT"),
        ({"first": 1001}, "RANGE_TOO_LARGE"),
        ({"text": "\0"}, "BAD_INPUT"),
        ({"exchange": "\0"}, "BAD_INPUT"),
    ],
)
async def test_unusable_search_is_refused(api: Api, variables: dict[str, Any], code: str) -> None:
    answer = await api.ask(SEARCH, **variables)
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


NODE = "query ($id: ID!) { node(id: $id) { __typename id ... on Instrument { symbol } } }"


async def test_node_gives_back_what_has_the_id(api: Api) -> None:
    data = await api.data('{ instrument(symbol: "ACME") { id } }')
    found = data["instrument"]["id"]
    assert await api.data(NODE, id=found) == {
        "node": {"__typename": "Instrument", "id": found, "symbol": "ACME"}
    }


@pytest.mark.parametrize(
    "garbage",
    [
        *("", "1", "ACME", "🏃", "====", "\0", "a" * 10_000),
        *(
            ids.encode(kind, key)
            for kind, key in [
                *(("Instrument", ""), ("Instrument", "0"), ("Instrument", "-1")),
                *(("Instrument", "01"), ("Instrument", "١"), ("Instrument", "1 ")),
                *(("Instrument", "999999999"), ("Instrument", "9" * 30), ("Trade", "1")),
                *(("instrument", "1"), ("Instrument", "ACME"), ("Instrument", "1:1")),
            ]
        ),
        base64.b64encode(b"Instrument:1").decode() + "=",
        base64.b64encode(b"Instrument:\xff").decode(),
    ],
)
async def test_garbage_id_is_null(api: Api, garbage: str) -> None:
    assert await api.data(NODE, id=garbage) == {"node": None}


async def test_aliases_and_fragments_are_answered_under_their_names(api: Api) -> None:
    query = """
    query ($all: Boolean!) {
      first: instrument(symbol: "ACME") { ...Names type: __typename }
      second: instruments(symbols: ["BTC", "none"]) {
        ...Names
        ... on Instrument @include(if: $all) { kind: assetClass }
        currency @skip(if: $all)
      }
    }
    fragment Names on Instrument { label: name ...Symbol }
    fragment Symbol on Instrument { symbol again: symbol }
    """
    assert await api.data(query, all=True) == {
        "first": {
            "label": "Acme Corporation",
            "symbol": "ACME",
            "again": "ACME",
            "type": "Instrument",
        },
        "second": [
            {
                "label": "Bitcoin, the coin of Acme",
                "symbol": "BTC",
                "again": "BTC",
                "kind": "CRYPTO",
            },
            None,
        ],
    }
