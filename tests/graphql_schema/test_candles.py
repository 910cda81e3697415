"""Candles and series: their arguments, ranges, limits and errors."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_bars, add_instruments, add_trades
from tests.serving import Api, in_process

START = datetime(2024, 3, 1, tzinfo=UTC)
MINUTES = 12
# Two trades in each of 12 minutes; exact only as decimals.
TRADES = [
    (
        "TRADED",
        (START + timedelta(seconds=30 * n)).isoformat(),
        f"{n + 1}.000000000000000001",
        "0.1",
    )
    for n in range(2 * MINUTES)
]
DAYS = [("DAILY", f"2024-02-{day:02}", "1", "3.10", "0.5", "2.5", f"{day}") for day in range(1, 29)]
BARS = [
    ("MINUTELY", (START + timedelta(minutes=n)).isoformat(), "1", "2", "0.5", "1.5", "10")
    for n in range(MINUTES)
]
TIMES = [(START + timedelta(minutes=n)).isoformat() for n in range(MINUTES)]


@pytest.fixture(scope="module")
async def seeded(database: TestDatabase) -> str:
    symbols = ["TRADED", "DAILY", "MINUTELY", "EMPTY"]
    add_instruments(database.url, [{"symbol": symbol} for symbol in symbols])
    add_trades(database.url, TRADES)
    add_bars(database.url, "1d", DAYS)
    add_bars(database.url, "1m", BARS)
    return database.url


@pytest.fixture(scope="module")
async def api(seeded: str) -> AsyncIterator[Api]:
    async with in_process(seeded) as running:
        yield running


@pytest.fixture(scope="module")
async def small(seeded: str) -> AsyncIterator[Api]:
    """A server that gives at most ten points."""
    async with in_process(seeded, max_points=10) as running:
        yield running


CANDLES = """
query ($symbol: String!, $interval: Interval!, $from: DateTime, $to: DateTime, $last: Int) {
  instrument(symbol: $symbol) {
    candles(interval: $interval, from: $from, to: $to, last: $last) { time }
  }
}
"""


async def times(
    api: Api, symbol: str = "TRADED", interval: str = "1m", **variables: Any
) -> list[str]:
    data = await api.data(CANDLES, symbol=symbol, interval=interval, **variables)
    return [candle["time"] for candle in data["instrument"]["candles"]]


async def code(
    api: Api, symbol: str = "TRADED", interval: str = "1m", **variables: Any
) -> str | None:
    answer = await api.ask(CANDLES, symbol=symbol, interval=interval, **variables)
    codes: list[str] = [error["extensions"]["code"] for error in answer.get("errors", [])]
    return codes[0] if codes else None


async def test_decimals_are_exact_text(api: Api) -> None:
    query = """
    { instrument(symbol: "TRADED") { candles(interval: "1m", last: 1) {
        time open high low close volume vwap trades final } } }
    """
    data = await api.data(query)
    assert data["instrument"]["candles"] == [
        {
            "time": TIMES[-1],
            "open": "23.000000000000000001",
            "high": "24.000000000000000001",
            "low": "23.000000000000000001",
            "close": "24.000000000000000001",
            "volume": "0.2",
            "vwap": "23.500000000000000001",
            "trades": 2,
            "final": False,
        }
    ]


async def test_bar_source_without_counts_gives_no_trades_and_no_vwap(api: Api) -> None:
    query = """
    { instrument(symbol: "DAILY") { candles(interval: "1d", last: 1) {
        time open high low close volume vwap trades } } }
    """
    (candle,) = (await api.data(query))["instrument"]["candles"]
    assert candle == {
        "time": "2024-02-28T00:00:00+00:00",
        "open": "1",
        "high": "3.10",
        "low": "0.5",
        "close": "2.5",
        "volume": "28",
        "vwap": None,
        "trades": 0,
    }


async def test_revision_is_a_json_integer_that_later_batches_exceed(api: Api) -> None:
    query = """
    { instruments(symbols: ["TRADED", "MINUTELY"]) {
        candles(interval: "1m", last: 1) { revision } } }
    """
    (traded,), (minutely,) = (
        [candle["revision"] for candle in each["candles"]]
        for each in (await api.data(query))["instruments"]
    )
    assert isinstance(traded, int)
    assert 0 < traded < minutely


@pytest.mark.parametrize("symbol", ["TRADED", "MINUTELY"])
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"last": 3}, TIMES[-3:]),
        ({"last": 0}, []),
        ({"last": 5_000}, TIMES),
        ({"last": 3, "to": TIMES[5]}, TIMES[2:5]),
        ({"last": 3, "to": TIMES[1]}, TIMES[:1]),
        ({"last": 3, "to": "2020-01-01"}, []),
        ({"last": 2, "to": "2099-01-01"}, TIMES[-2:]),
        ({"from": TIMES[4]}, TIMES[4:]),
        ({"to": TIMES[4]}, TIMES[:4]),
        ({"from": TIMES[4], "to": TIMES[7]}, TIMES[4:7]),
        ({"from": "2024-03-01T00:03:59.999999Z", "to": "2024-03-01T00:06:00.000001Z"}, TIMES[4:7]),
        ({"from": TIMES[4], "to": TIMES[4]}, []),
        ({"from": "2024-03-01T00:04:01Z", "to": "2024-03-01T00:04:59Z"}, []),
        ({"from": "2025-01-01"}, []),
        ({"to": "2020-01-01"}, []),
    ],
)
async def test_range_holds_buckets_that_start_in_it(
    api: Api, symbol: str, variables: dict[str, Any], expected: list[str]
) -> None:
    assert await times(api, symbol, **variables) == expected


@pytest.mark.parametrize("interval", ["1s", "1m", "5m", "1h", "168h", "1d", "1w", "1mo", "10y"])
@pytest.mark.parametrize(
    "variables",
    [{"from": "1900-01-01"}, {"to": "2200-01-01"}, {"from": "1900-01-01", "to": "2200-01-01"}],
)
async def test_widest_range_holds_every_candle(
    api: Api, interval: str, variables: dict[str, str]
) -> None:
    every = await times(api, interval=interval, last=1000)
    assert every
    assert await times(api, interval=interval, **variables) == every


@pytest.mark.parametrize(
    "midnight",
    [
        *("2024-03-01", "2024-03-01T00:00Z", "2024-03-01T00:00:00.000Z", "2024-03-01 00:00+00:00"),
        *("2024-03-01T05:30:00+05:30", "2024-02-29T19:00:00-05:00", "20240301T000000Z"),
    ],
)
async def test_time_is_read_in_any_zone_and_a_date_as_its_utc_midnight(
    api: Api, midnight: str
) -> None:
    assert await times(api, **{"from": midnight}) == TIMES
    assert await times(api, to=midnight) == []


@pytest.mark.parametrize("place", ["from", "to"])
@pytest.mark.parametrize(
    "bad",
    [
        *("2024-03-01T00:00:00", "2024-03-01 00:00", "yesterday", "", "2024-13-01", "2024-W10-1"),
        *("20240301", "2024-03-01T00:00:00+25:00", "\0", "0001-01-01", "1899-12-31"),
        *("0001-01-01T00:00:00+14:00", "2200-01-01T00:00:01Z", "9999-12-31T23:59:59-14:00"),
        *(1709251200, 1709251200000, 1.5, True, ["2024-03-01"], {"a": 1}),
    ],
)
async def test_time_without_zone_or_of_another_form_is_refused(
    api: Api, place: str, bad: object
) -> None:
    variables: dict[str, Any] = {place: bad}
    assert await code(api, **variables) == "BAD_INPUT"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "BAD_RANGE"),
        ({"from": TIMES[1], "last": 1}, "BAD_RANGE"),
        ({"from": TIMES[1], "to": TIMES[2], "last": 1}, "BAD_RANGE"),
        ({"from": TIMES[2], "to": TIMES[1]}, "BAD_RANGE"),
        ({"last": -1}, "BAD_RANGE"),
        ({"last": 50_001}, "RANGE_TOO_LARGE"),
        ({"last": 2**31}, "GRAPHQL_VALIDATION_FAILED"),
        ({"last": 1, "interval": "1x"}, "BAD_INTERVAL"),
        ({"last": 1, "interval": ""}, "BAD_INTERVAL"),
        ({"last": 1, "interval": "0m"}, "BAD_INTERVAL"),
        ({"last": 1, "interval": "-1m"}, "BAD_INTERVAL"),
        ({"last": 1, "interval": "1M"}, "BAD_INTERVAL"),
        ({"last": 1, "interval": "169h"}, "BAD_INTERVAL"),
        ({"last": 1, "interval": 60}, "BAD_INTERVAL"),
    ],
)
@pytest.mark.parametrize("symbol", ["TRADED", "EMPTY"])
async def test_unusable_arguments_are_refused(
    api: Api, symbol: str, variables: dict[str, Any], expected: str
) -> None:
    assert await code(api, **{"symbol": symbol} | variables) == expected


@pytest.mark.parametrize("symbol", ["TRADED", "MINUTELY"])
@pytest.mark.parametrize(
    "variables",
    [{"last": 11}, {"from": TIMES[0]}, {"to": "2025-01-01"}, {"from": TIMES[0], "to": TIMES[11]}],
)
async def test_list_over_the_limit_is_refused_and_never_cut(
    small: Api, symbol: str, variables: dict[str, Any]
) -> None:
    answer = await small.ask(CANDLES, symbol=symbol, interval="1m", **variables)
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "RANGE_TOO_LARGE"
    assert error["path"] == ["instrument", "candles"]
    assert answer["data"] == {"instrument": None}


async def test_list_of_exactly_the_limit_is_whole(small: Api) -> None:
    assert await times(small, **{"from": TIMES[2]}) == TIMES[2:]
    assert await times(small, last=10) == TIMES[2:]


async def test_interval_finer_than_the_bars_fails_for_that_instrument_alone(api: Api) -> None:
    query = """
    { instruments(symbols: ["TRADED", "DAILY", "none", "MINUTELY"]) {
        symbol candles(interval: "1m", last: 1) { time } } }
    """
    answer = await api.ask(query)
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "BAD_INTERVAL"}
    assert error["path"] == ["instruments", 1, "candles"]
    assert "'DAILY'" in error["message"]
    latest = [{"time": TIMES[-1]}]
    assert answer["data"]["instruments"] == [
        {"symbol": "TRADED", "candles": latest},
        None,
        None,
        {"symbol": "MINUTELY", "candles": latest},
    ]


@pytest.mark.parametrize("symbol", ["TRADED", "MINUTELY"])
async def test_series_are_the_candles_column_by_column(api: Api, symbol: str) -> None:
    query = """
    query ($symbol: String!) { instrument(symbol: $symbol) {
        candles(interval: "5m", last: 9) { time open high low close volume }
        series(interval: "5m", last: 9) { time open high low close volume } } }
    """
    found = (await api.data(query, symbol=symbol))["instrument"]
    assert len(found["candles"]) == 3
    millis = [
        round(datetime.fromisoformat(each["time"]).timestamp() * 1000) for each in found["candles"]
    ]
    assert found["series"].pop("time") == millis
    for column, numbers in found["series"].items():
        assert numbers == [float(each[column]) for each in found["candles"]]
