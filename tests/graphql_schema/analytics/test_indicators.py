"""Indicators over HTTP equal TA-Lib called directly on the whole history of the same candles."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from app.query.indicators.catalogue import TALIB
from app.rollups.refresh import refresh
from app.storage.database import connect
from graphql_schema.analytics.usual_indicators import TYPED
from tests.conftest import TestDatabase
from tests.graphql_schema.analytics.direct_indicators import FIELDS, FROM_START, Floats
from tests.query.actions import store_actions
from tests.query.indicators.history import assert_close, directly
from tests.query.market import minute_bars, store_bars, store_trades, us_day_trades
from tests.serving import Api, in_process

START = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = [START.date() + timedelta(days=day) for day in range(60) if day % 7 < 5]

# Which candles: symbol, arguments, a range that begins within the history.
KINDS = {
    "bars": ("BARS", 'interval: "1m"', 'from: "2026-01-09", to: "2026-01-09T08:00:00Z"'),
    "newest": ("BARS", 'interval: "2m"', "last: 150"),
    "session": ("US", 'interval: "15m", session: REGULAR', 'from: "2026-02-20"'),
    "zone": ("US", 'interval: "2h", timezone: "Asia/Tokyo"', 'from: "2026-02-20"'),
    "splits": ("BARS", 'interval: "5m", adjust: SPLITS', 'from: "2026-01-10"'),
}  # fmt: skip


@pytest.fixture(scope="module")
async def api(
    native_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Api]:
    folder = tmp_path_factory.mktemp("market")
    with connect(native_database.url, timeout_s=10, statement_timeout_s=300) as connection:
        store_bars(connection, folder, "BARS", "24/7", "1m", minute_bars(8, START, 9_000, 1))
        store_trades(connection, folder, "US", "XNYS", us_day_trades(2, DAYS))
        store_actions(connection, folder, [("BARS", "2026-01-11", "SPLIT", "", "4")])
        refresh(connection)
    async with in_process(native_database.url, max_points=20_000) as opened:
        yield opened


async def history_of(api: Api, symbol: str, arguments: str) -> tuple[list[str], dict[str, Floats]]:
    """Give times and prices of all candles, from the exact decimals of `candles`."""
    query = f"""{{ instrument(symbol: "{symbol}") {{
        candles({arguments}, from: "2000-01-01") {{ time open high low close volume }} }} }}"""
    rows = (await api.data(query))["instrument"]["candles"]
    names = ("open", "high", "low", "close", "volume")
    columns = {name: np.array([float(row[name]) for row in rows]) for name in names}
    return [row["time"] for row in rows], columns


async def series(api: Api, symbol: str, arguments: str, fields: str) -> dict[str, Any]:
    query = f'{{ instrument(symbol: "{symbol}") {{ series({arguments}) {{ time {fields} }} }} }}'
    found: dict[str, Any] = (await api.data(query))["instrument"]["series"]
    return found


def numbers(values: list[float | None]) -> Floats:
    return np.array([np.nan if each is None else each for each in values], dtype=np.float64)


def millis(times: list[str]) -> list[int]:
    return [round(datetime.fromisoformat(each).timestamp() * 1000) for each in times]


def test_every_usual_indicator_is_compared() -> None:
    asked = {field.split("(")[0].split()[0] for field in (*FIELDS, *FROM_START)}
    assert asked | {"rollingVwap", "anchoredVwap"} == set(TYPED)


@pytest.mark.parametrize(("symbol", "kind", "window"), KINDS.values(), ids=KINDS)
async def test_usual_indicators_equal_talib_on_the_whole_history(
    api: Api, symbol: str, kind: str, window: str
) -> None:
    times, prices = await history_of(api, symbol, kind)
    asked = [*FIELDS, *FROM_START]
    aliased = " ".join(f"f{place}: {field}" for place, field in enumerate(asked))
    shown = await series(api, symbol, f"{kind}, {window}", aliased)
    count = len(shown["time"])
    first = millis(times).index(shown["time"][0])
    assert shown["time"] == millis(times)[first : first + count]
    assert count >= 40
    assert first > 200
    for place, field in enumerate(asked):
        if field in FROM_START:
            own = {name: column[first : first + count] for name, column in prices.items()}
            found = FROM_START[field](own)
        else:
            found = FIELDS[field](prices)
        value = shown[f"f{place}"]
        outputs = list(value.values()) if isinstance(value, dict) else [value]
        expected = [found] if isinstance(found, np.ndarray) else list(found)
        if field not in FROM_START:
            expected = [each[first : first + count] for each in expected]
        for ours, theirs in zip(outputs, expected, strict=True):
            assert_close(numbers(ours), theirs.astype(np.float64))


async def test_all_of_talib_through_the_generic_field(api: Api) -> None:
    times, prices = await history_of(api, "BARS", 'interval: "1m"')
    catalogue = (await api.data("{ indicators { name outputs { name } } }"))["indicators"]
    names = [each["name"] for each in catalogue]
    assert sorted(names) == sorted(TALIB.get_functions())
    # All of it begins with the history's own first candle: nothing to warm up on.
    window = 'interval: "1m", from: "2000-01-01", to: "2026-01-06"'
    asked = " ".join(
        f'{name}: indicator(name: "{name}") {{ name outputs {{ name values }} }}' for name in names
    )
    shown = await series(api, "BARS", window, asked)
    count = len(shown["time"])
    own = {name: column[:count] for name, column in prices.items()}
    for each in catalogue:
        found = shown[each["name"]]
        assert found["name"] == each["name"]
        outputs = {output["name"]: output["values"] for output in found["outputs"]}
        assert list(outputs) == [output["name"] for output in each["outputs"]]
        for ours, theirs in zip(outputs.values(), directly(each["name"], {}, own), strict=True):
            np.testing.assert_array_equal(numbers(ours), theirs)


async def test_a_history_shorter_than_the_period_is_null(api: Api) -> None:
    found = await series(
        api, "BARS", 'interval: "1m", to: "2026-01-05T00:30:00Z", last: 8',
        "a: sma(period: 5) b: ema(period: 500) macd { signal } c: sma(period: 1) close",
    )  # fmt: skip
    assert found["b"] == found["macd"]["signal"] == [None] * 8
    assert found["c"] == found["close"]
    nothing = await series(api, "BARS", 'interval: "1m", from: "2030-01-01"', "sma atr close")
    assert nothing == {"time": [], "sma": [], "atr": [], "close": []}
