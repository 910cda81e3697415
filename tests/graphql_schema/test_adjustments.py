"""Adjusted answers over GraphQL, the actions behind them, and how a candle came about."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from graphql import ExecutionResult, execute, parse

from app.live.events import CandleEvent, Mark
from app.market.candle import Candle
from app.rollups.refresh import refresh
from app.storage.database import connect
from graphql_schema.schema import build_schema
from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_bars, add_instruments, add_trades
from tests.graphql_schema.test_statement_counts import Statements
from tests.query.actions import store_actions
from tests.serving import Api, in_process

DAYS = [date(2024, 1, each) for each in (2, 3, 4, 5, 8, 9)]
MANY = [f"M{n:02}" for n in range(20)]
FACTORS = "factors { exDate kind ratio amount priceFactor volumeFactor reference unused }"
EXPLAIN = f"""explain {{ source barInterval rollups rows open high low close volume revision
    priceFactor volumeFactor {FACTORS} }}"""


@pytest.fixture(scope="module")
def statements() -> Statements:
    return Statements()


@pytest.fixture(scope="module")
async def api(
    database: TestDatabase, tmp_path_factory: pytest.TempPathFactory, statements: Statements
) -> AsyncIterator[Api]:
    """T has trades at 10:00 and 18:00 New York time, B and M.. daily bars; all at 100."""
    folder: Path = tmp_path_factory.mktemp("actions")
    symbols = ["T", "B", *MANY]
    add_instruments(database.url, [{"symbol": each, "exchange": "XNYS"} for each in symbols])
    times = [f"{day}T{hour}Z" for day in DAYS for hour in ("15:00", "23:00")]
    add_trades(database.url, [("T", time, "100", "10") for time in times])
    bars = [(each, str(day), *["100"] * 4, "10") for each in ["B", *MANY] for day in DAYS]
    add_bars(database.url, "1d", bars)
    with connect(database.url, timeout_s=10, statement_timeout_s=60) as connection:
        rows = [
            row
            for each in symbols
            for row in (
                (each, "2024-01-04", "SPLIT", "", "1:3"),
                (each, "2024-01-08", "DIVIDEND", "", "", "20", "USD"),
                (each, "2024-01-09", "DIVIDEND", "", "", "200", "USD"),
                (each, "2031-01-04", "SPLIT", "", "2"),
            )
        ]
        store_actions(connection, folder, rows)
        refresh(connection)
    async with in_process(database.url, on_statement=statements.note, cache_mb=0) as opened:
        yield opened


async def of(api: Api, symbol: str, fields: str) -> dict[str, Any]:
    data = await api.data(
        f"query ($symbol: String!) {{ instrument(symbol: $symbol) {{ {fields} }} }}", symbol=symbol
    )
    found: dict[str, Any] = data["instrument"]
    return found


async def test_actions_are_listed_with_what_they_do(api: Api) -> None:
    fields = "exDate kind number ratio amount currency priceFactor volumeFactor reference unused"
    found = await of(api, "B", f"corporateActions {{ {fields} source revision }}")
    split, dividend, absurd, future = found["corporateActions"]
    assert split["ratio"] == "0." + "3" * 40
    assert (split["priceFactor"], split["volumeFactor"]) == ("3", "0." + "3" * 40)
    assert dividend["priceFactor"] == "0.8"
    assert (dividend["volumeFactor"], dividend["reference"], dividend["amount"]) == (
        "1",
        "100",
        "20",
    )
    assert (absurd["unused"], absurd["priceFactor"]) == ("NOT_BELOW_PRICE", "1")
    assert (future["unused"], future["priceFactor"]) == ("NOT_YET", "1")
    assert split["source"] == "file:actions.csv"


@pytest.mark.parametrize(
    ("arguments", "dates"),
    [
        ('from: "2024-01-05"', ["2024-01-08", "2024-01-09", "2031-01-04"]),
        ('from: "2024-01-08", to: "2024-01-09"', ["2024-01-08"]),
        ("adjust: SPLITS", ["2024-01-04", "2031-01-04"]),
        ('to: "2020-01-01"', []),
    ],
)
async def test_actions_of_a_range(api: Api, arguments: str, dates: list[str]) -> None:
    found = await of(api, "B", f"corporateActions({arguments}) {{ exDate }}")
    assert [each["exDate"] for each in found["corporateActions"]] == dates


async def test_a_candle_is_explained_by_its_raw_values_and_factors(api: Api) -> None:
    found = await of(
        api, "T", f'candles(interval: "1d", last: 6, adjust: ALL) {{ close volume {EXPLAIN} }}'
    )
    first, *_, last = found["candles"]
    told = first["explain"]
    assert (first["close"], first["volume"]) == ("240", "6.6666666666")  # each session is rounded
    assert (told["open"], told["high"], told["low"], told["close"]) == ("100",) * 4
    assert (told["volume"], told["priceFactor"]) == ("20", "2.4")
    assert (told["source"], told["barInterval"]) == ("TRADES", None)
    assert told["rollups"] == ["trade_candle_1d"]
    assert told["rows"] is False
    assert [(each["exDate"], each["priceFactor"]) for each in told["factors"]] == [
        ("2024-01-04", "3"),
        ("2024-01-08", "0.8"),
        ("2024-01-09", "1"),
        ("2031-01-04", "1"),
    ]
    assert (last["explain"]["priceFactor"], last["explain"]["volumeFactor"]) == ("1", "1")


async def test_a_week_that_an_ex_date_cuts_has_no_one_factor(api: Api) -> None:
    found = await of(
        api, "B", f'candles(interval: "1w", last: 2, adjust: ALL) {{ open close volume {EXPLAIN} }}'
    )
    first, second = found["candles"]
    assert (first["open"], first["close"]) == ("240", "80")
    assert first["volume"] == "26.6666666666"  # two days of a third, two of all
    assert first["explain"]["priceFactor"] is None
    assert first["explain"]["open"] == "100"
    assert first["explain"]["source"] == "BARS"
    assert first["explain"]["barInterval"] == "1d"
    assert first["explain"]["rows"] is True
    assert second["explain"]["priceFactor"] == "1"


async def test_an_hour_is_explained_by_its_trading_date(api: Api) -> None:
    """At 23:00 UTC the 5th is over nowhere but in the calendar of UTC: it is still the 5th's."""
    found = await of(
        api,
        "T",
        f'candles(interval: "1h", from: "2024-01-05", adjust: ALL) {{ time close {EXPLAIN} }}',
    )
    assert [(each["close"], each["explain"]["priceFactor"]) for each in found["candles"]] == [
        ("80", "0.8"), ("80", "0.8"), ("100", "1"), ("100", "1"), ("100", "1"), ("100", "1"),
    ]  # fmt: skip
    assert found["candles"][0]["explain"]["rollups"] == ["trade_candle_1h"]


async def test_unadjusted_candles_are_explained_without_factors(api: Api) -> None:
    found = await of(api, "T", f'candles(interval: "30s", last: 1) {{ ... {{ {EXPLAIN} }} }}')
    (candle,) = found["candles"]
    assert candle["explain"]["factors"] == []
    assert candle["explain"]["priceFactor"] == "1"
    assert (candle["explain"]["rows"], candle["explain"]["rollups"]) == (True, [])


async def test_a_filled_gap_has_no_explanation(api: Api) -> None:
    found = await of(
        api,
        "T",
        'candles(interval: "1h", from: "2024-01-08T15:00Z", to: "2024-01-08T17:00Z",'
        " fill: PREVIOUS) { time explain { close } }",
    )
    assert [each["explain"] for each in found["candles"]] == [{"close": "100"}, None]


def test_subscriptions_have_no_explanation() -> None:
    noon = datetime(2026, 3, 5, 12, tzinfo=UTC)
    one = Decimal(1)
    candle = Candle(
        time=noon, open=one, high=one, low=one, close=one, volume=one, vwap=None, trades=1,
        revision=1, final=False,
    )  # fmt: skip
    event = CandleEvent(mark=Mark(1, 1, "x"), symbol="A", time=noon, revision=1, candle=candle)
    text = (
        'subscription { candles(symbols: ["A"], interval: "1m") { candle { explain { close } } } }'
    )
    result = execute(build_schema()._schema, parse(text), root_value=event)
    assert isinstance(result, ExecutionResult)
    assert result.data == {"candles": {"candle": {"explain": None}}}


async def test_trades_are_adjusted_by_their_dates(api: Api) -> None:
    fields = "trades(first: 12, adjust: %s) { edges { node { price size tradingDate } } }"
    prices = {}
    for adjust in ("NONE", "SPLITS", "ALL"):
        found = await of(api, "T", fields % adjust)
        nodes = [edge["node"] for edge in found["trades"]["edges"]]
        prices[adjust] = [each["price"] for each in nodes]
        assert [each["tradingDate"] for each in nodes] == [str(day) for day in DAYS for _ in "12"]
    assert prices["NONE"] == ["100"] * 12
    assert prices["SPLITS"] == ["300"] * 4 + ["100"] * 8
    assert prices["ALL"] == ["240"] * 4 + ["80"] * 4 + ["100"] * 4


async def test_a_page_of_adjusted_trades_goes_on_where_it_ended(api: Api) -> None:
    fields = "trades(first: 5, adjust: ALL) { pageInfo { hasNextPage endCursor } }"
    found = (await of(api, "T", fields))["trades"]
    assert found["pageInfo"]["hasNextPage"] is True
    after = found["pageInfo"]["endCursor"]
    rest = await of(
        api, "T", f'trades(after: "{after}", adjust: ALL) {{ edges {{ node {{ price }} }} }}'
    )
    assert [each["node"]["price"] for each in rest["trades"]["edges"]] == ["80"] * 3 + ["100"] * 4


async def test_the_newest_price_is_as_it_is(api: Api) -> None:
    """It is of the last date with data, before which every action in force has its ex date."""
    found = await of(
        api, "T", "latest { price size } a: latest(adjust: ALL) { price size tradingDate }"
    )
    assert found["latest"] == {"price": "100", "size": "10"}
    assert found["a"] == {"price": "100", "size": "10", "tradingDate": "2024-01-09"}


@pytest.mark.parametrize(
    "text",
    [
        'candles(interval: "1d", last: 9, adjust: %s) { time open high low close volume vwap }',
        'candles(interval: "1w", last: 9, adjust: %s) { time close volume vwap trades final }',
        'candles(interval: "1d", last: 9, session: REGULAR, adjust: %s) { time close }',
        'candles(interval: "1d", last: 9, timezone: "Asia/Tokyo", adjust: %s) { close volume }',
        'series(interval: "1mo", last: 9, adjust: %s) { time close volume }',
    ],
)
@pytest.mark.parametrize("adjust", ["NONE", "SPLITS", "ALL", "TOTAL_RETURN", "null"])
async def test_the_fast_path_gives_what_the_ordinary_one_gives(
    api: Api, text: str, adjust: str
) -> None:
    document = f'{{ instruments(symbols: ["T"]) {{ {text % adjust} }} }}'
    before = api.outcomes.copy()
    ordinary, fast = await api.ask(document), await api.ask(document)
    assert "errors" not in ordinary
    assert fast == ordinary
    assert (api.outcomes - before)["fast"] == 1


async def test_a_remembered_response_is_forgotten_when_an_action_comes_in(
    native_database: TestDatabase, tmp_path: Path
) -> None:
    add_instruments(native_database.url, [{"symbol": "LATER", "exchange": "XNYS"}])
    days = [("LATER", str(day), *["100"] * 4, "10") for day in DAYS]
    add_bars(native_database.url, "1d", days)
    document = """{ instrument(symbol: "LATER") {
        candles(interval: "1d", from: "2024-01-02", to: "2024-01-03", adjust: ALL) { close } } }"""
    async with in_process(native_database.url) as api:
        for _ in range(3):
            assert (await api.data(document))["instrument"]["candles"] == [{"close": "100"}]
        assert api.outcomes["cached"] == 1
        with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
            store_actions(connection, tmp_path, [("LATER", "2024-01-05", "SPLIT", "", "4")])
        assert (await api.data(document))["instrument"]["candles"] == [{"close": "25"}]


async def test_what_the_fast_path_cannot_adjust_is_left_to_the_ordinary_one(api: Api) -> None:
    document = """query ($adjust: Adjust) { instrument(symbol: "T") {
        trades(first: 1, adjust: $adjust) { edges { node { price } } } } }"""
    for adjust, price, outcome in (("NONE", "100", "fast"), ("ALL", "240", "fallback")):
        await api.ask(document, adjust=adjust)
        before = api.outcomes.copy()
        data = await api.data(document, adjust=adjust)
        assert data["instrument"]["trades"]["edges"][0]["node"]["price"] == price
        assert (api.outcomes - before)[outcome] == 1


@pytest.mark.parametrize(
    "field",
    [
        f'candles(interval: "1d", last: 6, adjust: ALL) {{ {EXPLAIN} }}',
        "corporateActions { exDate }",
        "latest(adjust: ALL) { price }",
        "trades(first: 2, adjust: ALL) { edges { node { price } } }",
    ],
)
async def test_statements_do_not_grow_with_instruments(
    api: Api, statements: Statements, field: str
) -> None:
    query = f"query ($symbols: [String!]!) {{ instruments(symbols: $symbols) {{ {field} }} }}"
    counts = []
    for amount in (1, 10, 20):
        for _ in range(3):
            statements.clear()
            await api.data(query, symbols=MANY[:amount])
        counts.append(len(statements))
    assert counts == [counts[0]] * 3
    assert counts[0] <= 4
