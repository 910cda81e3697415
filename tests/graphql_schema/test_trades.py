"""Trades page by page, and the newest price."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from graphql_schema import ids
from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_bars, add_instruments, add_trades
from tests.serving import Api, in_process

Row = tuple[str, str, str, str]


def rows_of(symbol: str, start: str, count: int, step: timedelta) -> list[Row]:
    """Make trades at a steady pace, with prices that floats would not keep."""
    first = datetime.fromisoformat(start).replace(tzinfo=UTC)
    return [
        (symbol, (first + step * n).isoformat(), f"{100 + n}.{n:017}1", f"0.{n + 1:018}")
        for n in range(count)
    ]


# Years apart, many at one instant, over the edges of chunks of 7 days.
SPARSE = [
    *rows_of("SPARSE", "2012-01-01", 1, timedelta()),
    *rows_of("SPARSE", "2012-03-05T10:00:00.000001", 5, timedelta()),
    *rows_of("SPARSE", "2019-07-07T23:59:50", 40, timedelta(seconds=1)),
    *rows_of("SPARSE", "2024-02-20", 240, timedelta(hours=1)),
]
OTHER = rows_of("OTHER", "2018-05-05", 3, timedelta(days=2))
BAR = ("BARS", "2024-01-02", "1.50", "2.25", "1.25", "2.000", "1000.5")


@pytest.fixture(scope="module")
async def api(database: TestDatabase) -> AsyncIterator[Api]:
    symbols = ["SPARSE", "OTHER", "BARS", "EMPTY"]
    add_instruments(database.url, [{"symbol": symbol} for symbol in symbols])
    add_trades(database.url, SPARSE + OTHER)
    add_bars(database.url, "1d", [BAR])
    async with in_process(database.url, max_points=300) as running:
        yield running


TRADES = """
query ($symbols: [String!]!, $from: DateTime, $to: DateTime, $first: Int, $after: String) {
  instruments(symbols: $symbols) {
    symbol
    trades(from: $from, to: $to, first: $first, after: $after) {
      edges { cursor node { time price size tradeId session tradingDate } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""


async def page(api: Api, symbol: str = "SPARSE", **variables: Any) -> dict[str, Any]:
    data = await api.data(TRADES, symbols=[symbol], **variables)
    found: dict[str, Any] = data["instruments"][0]["trades"]
    return found


def rows_on(found: dict[str, Any], symbol: str = "SPARSE") -> list[Row]:
    nodes = [edge["node"] for edge in found["edges"]]
    return [(symbol, each["time"], each["price"], each["size"]) for each in nodes]


@pytest.mark.parametrize("first", [None, 3, 7, 50, 285, 286, 287])
async def test_pages_cover_every_trade_once_and_in_order(api: Api, first: int | None) -> None:
    size = 100 if first is None else first
    found: list[Row] = []
    cursors: list[str] = []
    after = None
    while True:
        got = await page(api, first=first, after=after)
        found += rows_on(got)
        cursors += [edge["cursor"] for edge in got["edges"]]
        info = got["pageInfo"]
        assert info["hasPreviousPage"] == (after is not None)
        assert info["startCursor"] == got["edges"][0]["cursor"]
        assert info["endCursor"] == got["edges"][-1]["cursor"]
        if not info["hasNextPage"]:
            break
        assert len(got["edges"]) == size
        after = info["endCursor"]
    assert found == SPARSE
    assert len(set(cursors)) == len(SPARSE)


async def test_each_cursor_leads_to_the_trades_behind_it(api: Api) -> None:
    edges = (await page(api, first=286))["edges"]
    for place in (0, 1, 3, 5, 6, 45, 46, 284, 285):
        behind = await page(api, first=2, after=edges[place]["cursor"])
        assert rows_on(behind) == SPARSE[place + 1 : place + 3]


async def test_nothing_is_behind_the_last_trade(api: Api) -> None:
    last = (await page(api, first=286))["pageInfo"]["endCursor"]
    assert await page(api, after=last) == {
        "edges": [],
        "pageInfo": {
            "hasNextPage": False,
            "hasPreviousPage": True,
            "startCursor": None,
            "endCursor": None,
        },
    }


async def test_page_of_nothing_says_whether_there_is_more(api: Api) -> None:
    assert (await page(api, first=0))["pageInfo"]["hasNextPage"] is True
    assert (await page(api, "EMPTY", first=0))["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"from": "2024-02-20"}, SPARSE[46:]),
        ({"to": "2012-03-05T10:00:00.000001Z"}, SPARSE[:1]),
        ({"to": "2012-03-05T10:00:00.000002Z"}, SPARSE[:6]),
        ({"from": "2012-03-05T10:00:00.000002Z", "to": "2020-01-01"}, SPARSE[6:46]),
        ({"from": "2024-02-20T05:30+05:30", "to": "2024-02-20T02:00Z"}, SPARSE[46:48]),
        ({"from": "2013-01-01", "to": "2019-01-01"}, []),
        ({"from": "2024-02-20", "to": "2024-02-20"}, []),
        ({"from": "2030-01-01"}, []),
        ({"to": "2000-01-01"}, []),
        ({"from": "1900-01-01", "to": "2200-01-01"}, SPARSE),
    ],
)
async def test_range_holds_its_start_and_not_its_end(
    api: Api, variables: dict[str, str], expected: list[Row]
) -> None:
    assert rows_on(await page(api, first=300, **variables)) == expected


async def test_cursor_and_range_hold_together(api: Api) -> None:
    edges = (await page(api, first=286))["edges"]
    within = {"from": "2019-01-01", "to": "2024-02-21"}
    before = await page(api, first=300, after=edges[0]["cursor"], **within)
    inside = await page(api, first=300, after=edges[20]["cursor"], **within)
    assert rows_on(before) == SPARSE[6:70]
    assert rows_on(inside) == SPARSE[21:70]


async def test_instruments_have_pages_of_their_own(api: Api) -> None:
    data = await api.data(TRADES, symbols=["OTHER", "SPARSE", "EMPTY", "BARS"], first=2)
    pages = [each["trades"] for each in data["instruments"]]
    assert rows_on(pages[0], "OTHER") == OTHER[:2]
    assert rows_on(pages[1]) == SPARSE[:2]
    assert [len(each["edges"]) for each in pages] == [2, 2, 0, 0]
    assert [each["pageInfo"]["hasNextPage"] for each in pages] == [True, True, False, False]


async def test_trades_of_one_instant_are_told_apart(api: Api) -> None:
    edges = (await page(api, to="2013-01-01"))["edges"][1:]
    assert len({edge["node"]["tradeId"] for edge in edges}) == 5
    assert {edge["node"]["session"] for edge in edges} == {"REGULAR"}
    assert {edge["node"]["tradingDate"] for edge in edges} == {"2012-03-05"}


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "🏃", "\0"),
        *(
            ids.encode(kind, key)
            for kind, key in [
                *(("Found", "1:A"), ("Trade", ""), ("Trade", "1"), ("Trade", "x" * 32)),
                *(("Trade", "f" * 32), ("Trade", "0" * 32), ("Trade", "\0")),
            ]
        ),
    ],
)
async def test_foreign_cursor_is_refused(api: Api, cursor: str) -> None:
    answer = await api.ask(TRADES, symbols=["SPARSE"], after=cursor)
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "BAD_CURSOR"}
    assert error["path"] == ["instruments", 0, "trades"]


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"first": -1}, "BAD_INPUT"),
        ({"first": 301}, "RANGE_TOO_LARGE"),
        ({"from": "2024-01-02", "to": "2024-01-01"}, "BAD_RANGE"),
        ({"from": "2024-01-02T00:00:00"}, "BAD_INPUT"),
    ],
)
async def test_unusable_arguments_are_refused(
    api: Api, variables: dict[str, Any], code: str
) -> None:
    answer = await api.ask(TRADES, symbols=["SPARSE"], **variables)
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


async def test_latest_is_the_last_trade_or_the_last_bars_close(api: Api) -> None:
    query = """
    query ($symbols: [String!]!) {
      instruments(symbols: $symbols) { latest { time price size tradingDate } candleSource }
    }
    """
    data = await api.data(query, symbols=["SPARSE", "BARS", "EMPTY"])
    _, time, price, size = SPARSE[-1]
    assert data["instruments"] == [
        {
            "latest": {"time": time, "price": price, "size": size, "tradingDate": time[:10]},
            "candleSource": "TRADES",
        },
        {
            "latest": {
                "time": "2024-01-02T00:00:00+00:00",
                "price": "2.000",
                "size": "1000.5",
                "tradingDate": "2024-01-02",
            },
            "candleSource": "BARS",
        },
        {"latest": None, "candleSource": None},
    ]
