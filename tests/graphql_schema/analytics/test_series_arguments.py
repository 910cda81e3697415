"""Bad arguments of series and indicators get coded errors; columns stay aligned and finite."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_bars, add_instruments
from tests.query.market import minute_bars, store_bars
from tests.serving import Api, in_process

START = datetime(2026, 1, 5, tzinfo=UTC)
SYMBOLS = [f"S{number:02}" for number in range(50)]
INDICATORS = """
    sma(period: 5) ema(period: 3) rsi(period: 2) macd(fast: 2, slow: 3, signal: 2) { histogram }
    bbands(period: 4) { upper lower }
"""


@pytest.fixture(scope="module")
async def api(
    native_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Api]:
    url = native_database.url
    with connect(url, timeout_s=10, statement_timeout_s=300) as connection:
        folder = tmp_path_factory.mktemp("market")
        store_bars(connection, folder, "BARS", "24/7", "1m", minute_bars(8, START, 900, 1))
    add_instruments(url, [{"symbol": symbol} for symbol in SYMBOLS])
    hours = [f"2026-01-{day:02}T{hour:02}:00Z" for day in range(1, 15) for hour in range(24)]
    add_bars(url, "1h", [(symbol, hour, *"23121") for symbol in SYMBOLS for hour in hours])
    async with in_process(url, max_points=5_000) as opened:
        yield opened


async def error(api: Api, field: str, arguments: str = 'interval: "1m", last: 5') -> dict[str, Any]:
    query = f'{{ instrument(symbol: "BARS") {{ series({arguments}) {{ {field} }} }} }}'
    # The ordinary path, then the fast one, which leaves it to the other.
    answers = [await api.ask(query) for _ in range(2)]
    assert answers[0] == answers[1]
    (found,) = answers[0]["errors"]
    return {"message": found["message"], "path": found["path"], **found["extensions"]}


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("sma(period: 0)", "sma period is 0: it must be from 1 to 100000"),
        ("rsi(period: 1)", "rsi period is 1: it must be from 2 to 100000"),
        ("macd(signal: 0) { macd }", "macd signal is 0: it must be from 1 to 100000"),
        ("rollingVwap(period: -3)", "rollingVwap period is -3: it must be from 1 to 100000"),
        ("sar(maximum: -1)", "sar maximum is -1.0: it must be from 0.0 to"),
        ('indicator(name: "NOPE") { name }', "'NOPE' is not one of those that `indicators` lists"),
        (
            'indicator(name: "RSI", parameters: [{name: "period", value: 3}]) { name }',
            "RSI has no parameter 'period': it has 'timeperiod'",
        ),
        (
            'indicator(name: "RSI", parameters: [{name: "timeperiod", value: 0}]) { name }',
            "RSI timeperiod is 0: it must be from 2 to 100000",
        ),
        (
            'indicator(name: "ATR", inputs: [{name: "price", source: HL2}]) { name }',
            "ATR has no input 'price' to choose: it has none",
        ),
    ],
)
async def test_a_bad_indicator_is_told_with_what_is_accepted(
    api: Api, field: str, words: str
) -> None:
    found = await error(api, field)
    assert found["code"] == "BAD_INPUT"
    assert words in found["message"]
    assert found["path"] == ["instrument", "series", field.split("(")[0]]


async def test_a_warm_up_longer_than_any_list_is_refused(api: Api) -> None:
    found = await error(api, "close ema(period: 1000)")
    assert found["code"] == "RANGE_TOO_LARGE"
    assert "needs 13664 candles before the range: at most 5000 are read" in found["message"]
    assert found["maxPoints"] == 5_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("maxPoints: 3", "maxPoints is 3: it must be from 4 to 5000 with M4"),
        ("maxPoints: 2, method: LTTB", "maxPoints is 2: it must be from 3 to 5000 with LTTB"),
        ("maxPoints: 5001", "maxPoints is 5001: it must be from 4 to 5000"),
        ("fill: NULL, session: PRE", "`fill` 'NULL'"),
    ],
)
async def test_bad_points_and_fills_are_refused(api: Api, arguments: str, words: str) -> None:
    found = await error(api, "time", f'interval: "1m", last: 5, {arguments}')
    assert (found["code"], found["path"]) == ("BAD_INPUT", ["instrument", "series"])
    assert words in found["message"]


async def test_more_filled_buckets_than_points_are_refused(native_database: TestDatabase) -> None:
    async with in_process(native_database.url, max_points=1_000) as few:
        kept = await error(few, "time", 'interval: "1m", from: "2026-01-05", fill: NULL')
    assert kept["code"] == "RANGE_TOO_LARGE"
    assert "at most 1,000 are looked at" in kept["message"]


@pytest.mark.parametrize("method", ["M4", "LTTB"])
async def test_picked_rows_are_rows_of_the_whole_series(api: Api, method: str) -> None:
    fields = f"time open high low close volume trades vwap {INDICATORS}"
    query = f"""{{ instrument(symbol: "BARS") {{
      all: series(interval: "1m", from: "2026-01-05") {{ {fields} }}
      some: series(interval: "1m", from: "2026-01-05", maxPoints: 80, method: {method})
        {{ {fields} }}
    }} }}"""
    answer = json.loads((await api.client.post("/graphql", json={"query": query})).text)
    whole, some = (table(answer["data"]["instrument"][name]) for name in ("all", "some"))
    assert len(whole) == 900
    assert 40 <= len(some) <= 80
    every = {row[0]: row for row in whole}
    assert [every[row[0]] for row in some] == some
    assert (some[0], some[-1]) == (whole[0], whole[-1])


def table(series: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Give rows of all columns, those of nested indicators too."""
    columns: list[list[Any]] = []
    for value in series.values():
        columns += value.values() if isinstance(value, dict) else [value]
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("fields", ["close", f"close {INDICATORS}"], ids=["plain", "indicators"])
@pytest.mark.parametrize("symbols", [SYMBOLS[:1], SYMBOLS], ids=["one", "fifty"])
async def test_many_instruments_and_indicators_are_one_read(
    api: Api, native_database: TestDatabase, fields: str, symbols: list[str]
) -> None:
    query = """query ($symbols: [String!]!) { instruments(symbols: $symbols) {
        series(interval: "1h", from: "2026-01-10", to: "2026-01-12") { time %s } } }"""
    statements: list[str] = []
    async with in_process(
        native_database.url, on_statement=statements.append, cache_mb=0
    ) as running:
        await running.data(
            "query ($symbols: [String!]!) { instruments(symbols: $symbols)"
            ' { candles(interval: "1h", last: 1) { time } } }',
            symbols=symbols,
        )
        for way in ("unknown", "fast"):
            statements.clear()
            before = running.outcomes.copy()
            data = await running.data(query % fields, symbols=symbols)
            assert running.outcomes - before == {way: 1}
            assert [len(each["series"]["time"]) for each in data["instruments"]] == [48] * len(
                symbols
            )
            assert len([sql for sql in statements if "-- candles" in sql]) == 1
            assert len(statements) <= 3  # and the look-up of symbols, and a look at the log
