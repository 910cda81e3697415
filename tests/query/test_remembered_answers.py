"""What is remembered goes when a batch touches it, and only then."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.storage.batches import PAUSE_S, VALID_S, next_batch_id
from app.storage.database import connect
from app.storage.migrate import migrate
from tests.conftest import TestDatabase
from tests.parts.postgres import native_timescaledb
from tests.query.market import busy_trades, store_trades
from tests.query.recompute import RawTrade
from tests.serving import Api, in_process

START = datetime(2026, 5, 4, tzinfo=UTC)
DAY = busy_trades(1, START, 2000, 40.0)
LAST = 'query L($s: String!) { instrument(symbol: $s) { candles(interval: "1m", last: 5) { time close final } } }'  # noqa: E501
RANGE = """
query R($s: String!, $from: DateTime!, $to: DateTime!) {
  instrument(symbol: $s) { candles(interval: "5m", from: $from, to: $to) { time close volume } }
}
"""
NAME = "query N($s: String!) { instrument(symbol: $s) { name candleSource } }"


@pytest.fixture(scope="module")
async def api(
    native_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Api]:
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        for symbol in ("A", "B"):
            store_trades(connection, tmp_path_factory.mktemp("market"), symbol, "24/7", DAY)
    async with in_process(native_database.url) as opened:
        yield opened


def hours(first: int, last: int) -> dict[str, str]:
    start = START + timedelta(hours=first)
    return {"from": start.isoformat(), "to": (START + timedelta(hours=last)).isoformat()}


async def how(api: Api, query: str, **variables: Any) -> str:
    """Ask, and tell how it was answered."""
    before = api.outcomes.copy()
    await api.data(query, **variables)
    (outcome,) = api.outcomes - before
    return outcome


async def remember(api: Api, query: str, **variables: Any) -> None:
    """Ask until it is remembered: the first time teaches the document, the second makes it."""
    for _ in range(3):
        if await how(api, query, **variables) == "cached":
            return
    raise AssertionError("it is never remembered")


def late(seconds: float) -> RawTrade:
    first = DAY[0]
    time = START + timedelta(seconds=seconds)
    return RawTrade(
        time=time, trade_id=int(seconds), price=first.price, size=first.size,
        trading_date=time.date(),
    )  # fmt: skip


async def test_a_late_trade_takes_what_it_changed_and_nothing_else(
    api: Api, native_database: TestDatabase, tmp_path: Path
) -> None:
    asked: dict[str, tuple[str, dict[str, str]]] = {
        "same range": (RANGE, {"s": "A", **hours(1, 3)}),
        "another range": (RANGE, {"s": "A", **hours(4, 6)}),
        "another instrument": (RANGE, {"s": "B", **hours(1, 3)}),
        "the newest": (LAST, {"s": "A"}),
    }
    for query, variables in asked.values():
        await remember(api, query, **variables)
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_trades(connection, tmp_path, "A", "24/7", [late(2 * 3600 + 7)])
    found = {name: await how(api, query, **variables) for name, (query, variables) in asked.items()}
    assert found == {
        "same range": "fast",
        "another range": "cached",
        "another instrument": "cached",
        "the newest": "cached",
    }


async def test_the_next_tick_takes_an_answer_that_ends_in_the_open_bucket(
    api: Api, native_database: TestDatabase, tmp_path: Path
) -> None:
    await remember(api, LAST, s="B")
    await remember(api, RANGE, s="B", **hours(1, 3))
    tick = (DAY[-1].time - START).total_seconds() + 1
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_trades(connection, tmp_path, "B", "24/7", [late(tick)])
    assert await how(api, LAST, s="B") == "fast"
    assert await how(api, RANGE, s="B", **hours(1, 3)) == "cached"


async def test_a_range_whose_end_is_not_final_yet_goes_with_any_later_trade(
    api: Api, native_database: TestDatabase, tmp_path: Path
) -> None:
    open_end = {"from": DAY[-20].time.isoformat(), "to": "2030-01-01T00:00:00Z"}
    await remember(api, RANGE, s="A", **open_end)
    tick = (DAY[-1].time - START).total_seconds() + 3600
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_trades(connection, tmp_path, "A", "24/7", [late(tick)])
    assert await how(api, RANGE, s="A", **open_end) == "fast"


async def test_an_unknown_symbol_is_not_remembered(api: Api) -> None:
    for _ in range(4):
        assert await how(api, NAME, s="NOBODY") != "cached"


async def test_a_new_name_is_in_the_next_answer(api: Api, native_database: TestDatabase) -> None:
    await remember(api, NAME, s="A")
    with (
        connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection,
        connection.transaction(),
    ):
        batch_id = next_batch_id(connection, None)
        connection.execute("UPDATE instrument SET name = 'Renamed' WHERE symbol = 'A'")
        connection.execute(
            "INSERT INTO batch (batch_id, kind, source, received, stored, duplicate, rejected,"
            " received_at, actor) VALUES (%s, 'INSTRUMENTS', 'test', 1, 1, 0, 0, now(), 'test')",
            (batch_id,),
        )
    data = await api.data(NAME, s="A")
    assert data["instrument"]["name"] == "Renamed"


async def test_an_announced_write_makes_every_answer_look_first(
    api: Api, native_database: TestDatabase
) -> None:
    """While a batch is under way its instruments are confirmed by a look of each request's own."""
    await remember(api, RANGE, s="B", **hours(1, 3))
    ledger = api.app.state.view.fast._market.ledger
    with (
        connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection,
        connection.transaction(),
    ):
        next_batch_id(connection, [1])
        await asyncio.sleep(VALID_S * 2)
        assert await ledger.confirm(frozenset({1}))
        assert not ledger.holds(frozenset({1}))
        assert ledger.holds(frozenset({2}))
    await asyncio.sleep(VALID_S * 2)
    assert await ledger.confirm(frozenset({1}))
    assert ledger.holds(frozenset({1}))


def test_a_writer_waits_longer_than_a_look_is_good_for() -> None:
    assert PAUSE_S >= VALID_S * 1.2


async def test_nothing_remembered_is_used_while_the_database_is_gone(tmp_path: Path) -> None:
    with native_timescaledb(tmp_path / "pg") as server:
        url = server.create_database("gone")
        migrate(url)
        with connect(url, timeout_s=10, statement_timeout_s=60) as connection:
            store_trades(connection, tmp_path, "A", "24/7", DAY)
        async with in_process(url, pool_timeout_s=2.0) as api:
            await remember(api, LAST, s="A")
            server.stop()
            await asyncio.sleep(VALID_S * 2)
            answer = await api.ask(LAST, s="A")
            assert answer["errors"][0]["extensions"]["code"] == "DATABASE_UNAVAILABLE"
            server.start()
            assert (await api.data(LAST, s="A"))["instrument"]["candles"]
