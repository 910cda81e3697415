"""Instrument.coverage and candles(fill:): what clients see, what is refused, how much is read."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_bars, add_instruments, add_trades
from tests.serving import Api, in_process

MANY = [f"T{n:02}" for n in range(50)]
OPEN = datetime(2024, 11, 29, 14, 30, tzinfo=UTC)  # a half day: it closes at 18:00
TRADED = (0, 1, 61)  # minutes after the open
COVERAGE = """
coverage(interval: "30m", from: "2024-11-28", to: "2024-11-30") {
  from to expected present unexpected closed missingCount completeness missingRanges
  missing { from to buckets reason }
  late corrected cancelled flagged watermark newestEventTime
}
"""


@pytest.fixture(scope="module")
def statements() -> list[str]:
    return []


@pytest.fixture(scope="module")
async def api(database: TestDatabase, statements: list[str]) -> AsyncIterator[Api]:
    add_instruments(
        database.url,
        [{"symbol": symbol, "exchange": "XNYS"} for symbol in [*MANY, "EMPTY"]]
        + [{"symbol": "BARS", "exchange": "XNYS"}],
    )
    add_trades(
        database.url,
        [
            (symbol, (OPEN + timedelta(minutes=minute)).isoformat(), f"1{minute}.50", "2")
            for symbol in MANY
            for minute in TRADED
        ],
    )
    add_bars(database.url, "1h", [("BARS", "2024-11-29T15:00Z", *"11111")])

    def note(sql: str) -> None:
        if "look_at_log" not in sql:
            statements.append(sql)

    async with in_process(database.url, on_statement=note, cache_mb=0, max_points=1000) as running:
        yield running


async def instrument(api: Api, fields: str, symbol: str = "T00") -> Any:
    return (await api.data(f'{{ instrument(symbol: "{symbol}") {{ {fields} }} }}'))["instrument"]


async def test_coverage_tells_what_is_there_and_why_not_all(api: Api) -> None:
    assert (await instrument(api, COVERAGE))["coverage"] == {
        "from": "2024-11-28T00:00:00+00:00",
        "to": "2024-11-30T00:00:00+00:00",
        "expected": 7,
        "present": 2,
        "unexpected": 0,
        "closed": 89,
        "missingCount": 5,
        "completeness": 2 / 7,
        "missingRanges": 2,
        "missing": [
            {
                "from": "2024-11-29T15:00:00+00:00",
                "to": "2024-11-29T15:30:00+00:00",
                "buckets": 1,
                "reason": "OUTAGE",
            },
            {
                "from": "2024-11-29T16:00:00+00:00",
                "to": "2024-11-29T18:00:00+00:00",
                "buckets": 4,
                "reason": "NOT_YET",
            },
        ],
        "late": 0,
        "corrected": 0,
        "cancelled": 0,
        "flagged": 0,
        "watermark": "2024-11-29T15:31:00+00:00",
        "newestEventTime": "2024-11-29T15:31:00+00:00",
    }


async def test_an_instrument_without_data_has_a_coverage(api: Api) -> None:
    fields = """
    coverage(interval: "1d", from: "2024-11-25", to: "2024-12-02") {
      expected present completeness missing { reason } watermark stalenessSeconds late
    }
    """
    assert (await instrument(api, fields, "EMPTY"))["coverage"] == {
        "expected": 4,
        "present": 0,
        "completeness": 0,
        "missing": [{"reason": "BEFORE_DATA"}],
        "watermark": None,
        "stalenessSeconds": None,
        "late": 0,
    }


async def test_only_the_asked_number_of_gaps_is_listed(api: Api) -> None:
    fields = COVERAGE.replace("missing {", "missing(first: 1) {")
    found = (await instrument(api, fields))["coverage"]
    assert (len(found["missing"]), found["missingRanges"]) == (1, 2)


async def test_coverage_of_now_has_an_age(api: Api) -> None:
    fields = 'coverage(interval: "1mo", from: "2024-11-01") { to stalenessSeconds }'
    found = (await instrument(api, fields))["coverage"]
    assert abs(datetime.fromisoformat(found["to"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert found["stalenessSeconds"] > 86_400


@pytest.mark.parametrize("count", [1, 10, 50])
async def test_statements_do_not_depend_on_the_number_of_instruments(
    api: Api, statements: list[str], count: int
) -> None:
    async def asked(fields: str, symbols: list[str]) -> int:
        query = f"query ($symbols: [String!]!) {{ instruments(symbols: $symbols) {{ {fields} }} }}"
        for _ in range(2):  # what is remembered of instruments and of the log
            await api.data(query, symbols=symbols)
        statements.clear()
        data = await api.data(query, symbols=symbols)
        assert len(data["instruments"]) == len(symbols)
        return len(statements)

    filled = 'candles(interval: "1m", from: "2024-11-29", fill: PREVIOUS) { time }'
    hours = 'exchange { isOpen sessions(from: "2024-01-01", to: "2024-02-01") { open } }'
    for fields in (COVERAGE, filled, hours):
        assert await asked(fields, MANY[:count]) == await asked(fields, MANY[:1])


async def test_previous_fills_up_to_the_newest_data(api: Api) -> None:
    fields = """
    candles(interval: "30m", from: "2024-11-28", fill: PREVIOUS) {
      time open close volume vwap trades final
    }
    """
    for _ in range(3):  # also once the document is known
        (first, second, third) = (await instrument(api, fields))["candles"]
        assert first["time"] == "2024-11-29T14:30:00+00:00"
        assert second == {
            "time": "2024-11-29T15:00:00+00:00",
            "open": "11.50",
            "close": "11.50",
            "volume": "0",
            "vwap": None,
            "trades": 0,
            "final": True,
        }
        assert third["time"] == "2024-11-29T15:30:00+00:00"


async def test_fill_none_is_plain_candles_and_stays_fast(api: Api) -> None:
    fields = 'a: candles(interval: "30m", last: 9{}) {{ time close volume }}'
    plain = await instrument(api, fields.format(""))
    before = api.outcomes["fast"]
    for fill in (", fill: NONE", ", fill: null"):
        for _ in range(2):
            assert await instrument(api, fields.format(fill)) == plain
    assert api.outcomes["fast"] >= before + 2


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ('candles(interval: "1m", last: 1, fill: NULL) { time }', "BAD_INPUT", "`series`"),
        (
            'candles(interval: "1m", last: 1, session: PRE, fill: PREVIOUS) { time }',
            "BAD_INPUT",
            "'PRE'",
        ),
        (
            'candles(interval: "1s", from: "2024-11-29", fill: PREVIOUS) { time }',
            "RANGE_TOO_LARGE",
            "1,000",
        ),
        (
            'coverage(interval: "1m", session: POST, from: "2024-11-29") { expected }',
            "BAD_INPUT",
            "'POST'",
        ),
        (
            'coverage(interval: "1d", from: "2024-11-29", to: "2024-11-28") { expected }',
            "BAD_RANGE",
            "2024-11-29",
        ),
        (
            'coverage(interval: "1m", from: "2024-01-01") { expected }',
            "RANGE_TOO_LARGE",
            "1,000",
        ),
        (
            'coverage(interval: "1d", from: "1950-01-01") { expected }',
            "BAD_RANGE",
            "1970-01-01",
        ),
        (
            'coverage(interval: "1d", from: "2024-11-29") { missing(first: -1) { reason } }',
            "BAD_INPUT",
            "-1",
        ),
        (
            'coverage(interval: "1h", timezone: "Mars/Base", from: "2024-11-29") { expected }',
            "BAD_INPUT",
            "Mars/Base",
        ),
    ],
)
async def test_bad_arguments_are_coded_and_named(
    api: Api, fields: str, code: str, words: str
) -> None:
    answer = await api.ask(f'{{ instrument(symbol: "T00") {{ {fields} }} }}')
    (found,) = answer["errors"]
    assert found["extensions"]["code"] == code, found["message"]
    assert words in found["message"]


async def test_bars_too_coarse_for_the_interval_are_an_error_of_their_own(api: Api) -> None:
    query = """
    { instruments(symbols: ["BARS", "T00"]) {
        symbol coverage(interval: "1m", from: "2024-11-29", to: "2024-11-30") { present }
    } }
    """
    answer = await api.ask(query)
    (error,) = answer["errors"]
    assert (error["extensions"]["code"], error["path"]) == (
        "BAD_INTERVAL",
        ["instruments", 0, "coverage"],
    )
