"""Series with indicators, fills and fewer points are the ordinary path's, byte for byte."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest

from app.rollups.refresh import refresh
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.graphql_schema.fast.chart_documents import ChartDocument
from tests.query.market import (
    busy_trades,
    minute_bars,
    store_bars,
    store_trades,
    us_day_trades,
)
from tests.serving import Api, in_process

START = datetime(2026, 3, 5, 21, 7, tzinfo=UTC)
DOCUMENTS = 60


@pytest.fixture(scope="module")
async def api(
    native_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Api]:
    folder = tmp_path_factory.mktemp("market")
    with connect(native_database.url, timeout_s=10, statement_timeout_s=300) as connection:
        store_trades(connection, folder, "BUSY", "24/7", busy_trades(1, START, 3000, 45.0))
        days = [date(2026, 3, 5), date(2026, 3, 6), date(2026, 3, 9)]
        store_trades(connection, folder, "US", "XNAS", us_day_trades(2, days))
        store_bars(connection, folder, "MINUTES", "24/7", "1m", minute_bars(3, START, 2000, 1))
        connection.execute(
            "INSERT INTO instrument (symbol, exchange, asset_class, currency)"
            " VALUES ('EMPTY', 'XNAS', 'ETF', 'USD')"
        )
        refresh(connection)
    async with in_process(native_database.url, cache_mb=0, refresh_interval_s=3600.0) as opened:
        yield opened


async def asked(api: Api, text: str, variables: dict[str, Any]) -> bytes:
    response = await api.client.post("/graphql", json={"query": text, "variables": variables})
    return response.content


@pytest.mark.parametrize("seed", range(4))
async def test_random_charts_are_equal_bytes(api: Api, seed: int) -> None:
    rng = random.Random(seed)
    before = api.outcomes.copy()
    for _ in range(DOCUMENTS):
        document = ChartDocument(rng)
        text = document.text()
        ordinary = await asked(api, text, document.variables)
        fast = await asked(api, text, document.variables)
        assert b'"errors"' not in ordinary, (text, document.variables, ordinary)
        assert fast == ordinary, (text, document.variables)
        assert b"NaN" not in fast
        assert b"Infinity" not in fast
    outcomes = api.outcomes - before
    assert outcomes["fast"] >= DOCUMENTS
    assert outcomes["fallback"] == 0


@pytest.mark.parametrize(
    ("fill", "points", "method"),
    [("NONE", None, None), ("NULL", 12, "LTTB"), ("PREVIOUS", 8, "M4"), (None, 5, "M4")],
)
async def test_arguments_in_variables_are_equal_bytes(
    api: Api, fill: str | None, points: int | None, method: str | None
) -> None:
    text = """query ($fill: Fill, $points: Int, $method: DownsamplingMethod) {
      instrument(symbol: "MINUTES") {
        series(interval: "1m", last: 90, fill: $fill, maxPoints: $points, method: $method) {
          time close } } }"""
    variables = {"fill": fill, "points": points, "method": method}
    answers = [await asked(api, f"{text} # {variables}", variables) for _ in range(2)]
    assert answers[0] == answers[1]
    literal = text.replace("($fill: Fill, $points: Int, $method: DownsamplingMethod)", "")
    for name, value in variables.items():
        literal = literal.replace(f"${name}", "null" if value is None else str(value))
    assert await asked(api, literal, {}) == answers[0]


async def test_plain_columns_are_still_written_by_the_database(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def computed(*_: object) -> None:
        raise AssertionError("computed")

    monkeypatch.setattr("graphql_schema.fast.run.draw", computed)
    text = """query ($method: DownsamplingMethod) { instrument(symbol: "BUSY") {
        series(interval: "1h", last: 3, method: $method) {
          __typename time open high low close volume } } }"""
    await asked(api, text, {})
    answer = orjson.loads(await asked(api, text, {}))
    assert len(answer["data"]["instrument"]["series"]["time"]) == 3


async def test_a_charts_answer_is_remembered_until_its_data_change(
    native_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("late")
    text = """{ instrument(symbol: "MINUTES") {
        series(interval: "1m", from: "2026-03-06T03:00:00Z", to: "2026-03-06T03:30:00Z") {
          time ema(period: 30) } } }"""
    async with in_process(native_database.url) as running:
        first = [await asked(running, text, {}) for _ in range(3)]
        assert len(set(first)) == 1
        assert running.outcomes == {"unknown": 1, "fast": 1, "cached": 1}
        # A bar long before the range, which the average reaches back to.
        with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
            bars = minute_bars(77, datetime(2026, 3, 5, 20, tzinfo=UTC), 30, 1)
            store_bars(connection, folder, "MINUTES", "24/7", "1m", bars)
        later = await asked(running, text, {})
        assert later != first[0]
        assert running.outcomes["fast"] == 2


async def test_a_filled_answer_is_forgotten_when_older_data_come(
    native_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With a bar from before the range, buckets of the range are expected that were not."""
    folder = tmp_path_factory.mktemp("older")
    text = """{ instrument(symbol: "MINUTES") {
        series(interval: "1h", from: "2026-03-05T15:00Z", to: "2026-03-06", fill: NULL) {
          time close } } }"""
    async with in_process(native_database.url) as running:
        first = [await asked(running, text, {}) for _ in range(3)]
        assert running.outcomes["cached"] == 1
        assert len(orjson.loads(first[0])["data"]["instrument"]["series"]["time"]) < 9
        with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
            bars = minute_bars(78, datetime(2026, 3, 5, 9, tzinfo=UTC), 1, 1)
            store_bars(connection, folder, "MINUTES", "24/7", "1m", bars)
        later = orjson.loads(await asked(running, text, {}))["data"]["instrument"]["series"]
        assert len(later["time"]) == 9
        assert later["close"][:5] == [None] * 5
