"""The root field of screens: arguments, pages, codes, statements."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_bars, add_instruments
from tests.serving import Api, in_process

DAYS = ("2024-03-04", "2024-03-05", "2024-03-06")
# Many ties, and some without a day before: two closes, three volumes.
SYMBOLS = [f"S{number:02}" for number in range(40)]
NEW = [f"N{number}" for number in range(3)]
GONE = "GONE"

PAGE = """
query ($kind: ScreenKind, $filter: ScreenFilter, $sort: ScreenSort, $on: Date, $first: Int,
       $after: String) {
  screen(kind: $kind, filter: $filter, sort: $sort, on: $on, first: $first, after: $after) {
    totalCount
    dates { exchange date }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { instrument { symbol } close change changePercent volume newHigh } }
  }
}
"""


def bars() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for place, symbol in enumerate(SYMBOLS):
        for number, day in enumerate(DAYS):
            close = "10" if number < 2 else ("12.5", "9", "10")[place % 3]
            found.append((symbol, day, "10", "13", "8", close, str(100 * (place % 4))))
    found += [(symbol, DAYS[-1], "5", "5", "5", "5", "7") for symbol in NEW]
    found += [(GONE, DAYS[0], "5", "5", "5", "5", "7")]
    return found


@pytest.fixture(scope="module")
def statements() -> list[str]:
    return []


@pytest.fixture(scope="module")
async def api(database: TestDatabase, statements: list[str]) -> AsyncIterator[Api]:
    rows = [
        {"symbol": symbol, "exchange": ("XNYS", "XLON")[place % 2], "currency": "USD"}
        for place, symbol in enumerate([*SYMBOLS, *NEW, GONE])
    ]
    add_instruments(database.url, [*rows, {"symbol": "IDLE", "exchange": "XTKS"}])
    add_bars(database.url, "1d", bars())
    async with in_process(database.url, on_statement=statements.append) as running:
        yield running


async def pages(api: Api, first: int, **variables: Any) -> list[list[dict[str, Any]]]:
    """Read all pages, each from the end of the one before."""
    found: list[list[dict[str, Any]]] = []
    after = None
    while True:
        data = await api.data(PAGE, first=first, after=after, **variables)
        screen = data["screen"]
        found.append([edge["node"] for edge in screen["edges"]])
        assert screen["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert (
            screen["totalCount"]
            == (await api.data(PAGE, first=0, **variables))["screen"]["totalCount"]
        )
        after = screen["pageInfo"]["endCursor"]
        if not screen["pageInfo"]["hasNextPage"]:
            assert sum(map(len, found)) == screen["totalCount"]
            return found


SORTS = [
    {"field": field, "direction": direction}
    for field, direction in itertools.product(
        ("SYMBOL", "CHANGE_PERCENT", "VOLUME", "RELATIVE_VOLUME"), ("ASC", "DESC")
    )
]


@pytest.mark.parametrize("sort", SORTS, ids=str)
@pytest.mark.parametrize("first", [1, 7, 43])
async def test_pages_have_every_row_once_in_order(
    api: Api, sort: dict[str, str], first: int
) -> None:
    whole = (await pages(api, 1000, sort=sort))[0]
    assert len(whole) == len(SYMBOLS) + len(NEW)
    found = await pages(api, first, sort=sort)
    assert [node for page in found for node in page] == whole
    assert {len(page) for page in found[:-1]} <= {first}


async def test_gainers_have_a_previous_close_and_ties_go_by_symbol(api: Api) -> None:
    (found,) = await pages(api, 100, kind="TOP_GAINERS")
    assert [node["instrument"]["symbol"] for node in found] == SYMBOLS[0::3]
    assert {node["changePercent"] for node in found} == {"25.000000"}
    (losers,) = await pages(api, 100, kind="TOP_LOSERS")
    assert [node["instrument"]["symbol"] for node in losers] == SYMBOLS[1::3]
    assert {node["change"] for node in losers} == {"-1"}


async def test_what_does_not_exist_is_null_and_last(api: Api) -> None:
    (found,) = await pages(api, 100, sort={"field": "CHANGE", "direction": "ASC"})
    assert [node["instrument"]["symbol"] for node in found[-3:]] == NEW
    assert [(node["change"], node["newHigh"]) for node in found[-3:]] == [(None, None)] * 3


async def test_a_filter_narrows_a_well_known_screen(api: Api) -> None:
    wanted = {"volume": {"min": "200"}, "exchanges": ["XNYS"]}
    (found,) = await pages(
        api, 100, kind="TOP_GAINERS", filter=wanted, sort={"field": "VOLUME", "direction": "ASC"}
    )
    own = [
        (100 * (place % 4), symbol)
        for place, symbol in enumerate(SYMBOLS)
        if place % 3 == 0 and place % 2 == 0 and place % 4 >= 2
    ]
    assert [node["instrument"]["symbol"] for node in found] == [symbol for _, symbol in sorted(own)]


async def test_a_day_without_trading_is_empty_and_says_its_date(api: Api) -> None:
    screen = (await api.data(PAGE, on="2024-03-03"))["screen"]
    assert screen["edges"] == []
    assert screen["totalCount"] == 0
    assert screen["dates"] == [{"exchange": mic, "date": "2024-03-03"} for mic in ("XLON", "XNYS")]
    past = (await api.data(PAGE, on=DAYS[0]))["screen"]
    assert past["totalCount"] == len(SYMBOLS) + 1


async def test_an_exchange_without_data_has_no_rows(api: Api) -> None:
    screen = (await api.data(PAGE, filter={"exchanges": ["XTKS"]}))["screen"]
    assert (screen["edges"], screen["dates"]) == ([], [])


@pytest.mark.parametrize(
    ("variables", "code", "words"),
    [
        ({"filter": {"exchanges": ["XXXX"]}}, "BAD_INPUT", "exchange 'XXXX'"),
        ({"filter": {"newHighDays": 0}}, "BAD_INPUT", "from 1 to 260"),
        ({"filter": {"newLowDays": 261}}, "BAD_INPUT", "`newLowDays` is 261"),
        ({"filter": {"close": {"min": "2", "max": "1"}}}, "BAD_INPUT", "is above `max`"),
        ({"filter": {"currencies": ["a\0b"]}}, "BAD_INPUT", "NUL"),
        ({"first": -1}, "BAD_INPUT", "from 0 to 1000"),
        ({"first": 1001}, "RANGE_TOO_LARGE", "at most 1000"),
        ({"on": "2199-01-01"}, "BAD_RANGE", "'2199-01-01' is in the future"),
        ({"on": "1899-12-31"}, "BAD_INPUT", "1899-12-31"),
        ({"on": "yesterday"}, "BAD_INPUT", "yesterday"),
        ({"after": "AAAA"}, "BAD_CURSOR", "'AAAA'"),
    ],
    ids=str,
)
async def test_bad_arguments_are_named(
    api: Api, variables: dict[str, Any], code: str, words: str
) -> None:
    (error,) = (await api.ask(PAGE, **variables))["errors"]
    assert error["extensions"]["code"] == code
    assert words in error["message"]


async def test_a_cursor_of_another_order_is_refused(api: Api) -> None:
    screen = (await api.data(PAGE, kind="TOP_GAINERS", first=1))["screen"]
    after = screen["pageInfo"]["endCursor"]
    (error,) = (await api.ask(PAGE, kind="TOP_LOSERS", after=after))["errors"]
    assert error["extensions"]["code"] == "BAD_CURSOR"


async def test_other_adjustments_are_refused(api: Api) -> None:
    (error,) = (await api.ask("{ screen(adjust: ALL) { totalCount } }"))["errors"]
    assert error["extensions"]["code"] == "BAD_INPUT"


@pytest.mark.parametrize("first", [1, 40])
async def test_statements_do_not_grow_with_rows(
    api: Api, statements: list[str], first: int
) -> None:
    await api.data(PAGE, first=3)
    statements.clear()
    data = await api.data(PAGE, kind="MOST_ACTIVE", filter={"close": {"min": "1"}}, first=first)
    assert len(data["screen"]["edges"]) in (1, 33)
    read = [sql for sql in statements if "look_at_log" not in sql]
    # Who is screened, the screen, the instruments of its rows.
    assert len(read) == 3
