"""A screen that starts after a commit reflects it, whatever roll-ups and memory still hold."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from app.market.candle import Session
from app.market.instrument import AssetClass
from app.query.market import Market
from app.query.screens.question import Direction, Measure, Order, Screen, ScreenKind, screen_of
from app.query.screens.screen import ScreenPage, read_screen
from app.rollups.refresh import refresh
from app.storage.database import Connection, connect
from app.storage.reader import open_reader
from tests.conftest import TestDatabase
from tests.query.reading import market_of, reading
from tests.query.screens.listing import Listed, Raw, Split, rows, store_rows, store_splits
from tests.query.screens.recompute import COLUMNS, Row, Truth

GAIN = screen_of(kind=ScreenKind.TOP_GAINERS)
HIGHS = screen_of(kind=ScreenKind.NEW_HIGHS)
RELATIVE = screen_of(order=Order(measure=Measure.RELATIVE_VOLUME, direction=Direction.DESC))


def listed(prefix: str, kind: str, count: int) -> list[Listed]:
    return [
        Listed(
            symbol=f"{prefix}{number}",
            exchange="24/7",
            asset_class=AssetClass.EQUITY,
            kind=kind,
        )
        for number in range(count)
    ]


def put(connection: Connection, folder: Path, kind: str, raws: list[Raw]) -> None:
    store_rows(connection, folder, "24/7", AssetClass.EQUITY, kind, raws)


def shown(page: ScreenPage) -> dict[str, Row]:
    return {row.symbol: Row(**{name: getattr(row, name) for name in COLUMNS}) for row in page.rows}


async def screened(market: Market, asked: Screen, among: list[Listed]) -> dict[str, Row]:
    found = shown(await read_screen(market, asked, None, 1000))
    return {each.symbol: found[each.symbol] for each in among if each.symbol in found}


@pytest.mark.parametrize("kind", ["trades", "1h"])
@pytest.mark.parametrize("seed", range(2))
async def test_batches_in_any_order_with_refreshes_between(
    database: TestDatabase, tmp_path: Path, seed: int, kind: str
) -> None:
    """Rows of all days arrive shuffled, in batches; some are followed by a refresh."""
    rng = random.Random(seed)
    own = listed(f"SHUFFLED{kind.upper()}{seed}", kind, 4)
    raws = [raw for each in own for raw in rows(each)]
    rng.shuffle(raws)
    arrived: list[Raw] = []
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        async with reading(database.url) as market:
            for number in range(5):
                batch = raws[number::5]
                put(connection, tmp_path, kind, batch)
                arrived += batch
                if rng.random() < 0.5:
                    refresh(connection)
                truth = Truth(own, arrived, [])
                expected = {row.symbol: row for row in truth.rows(truth.present())}
                on = truth.present()["24/7"]
                for asked in (screen_of(on=on), RELATIVE):
                    assert await screened(market, asked, own) == expected
                highs = {symbol for symbol, row in expected.items() if row.new_high}
                assert set(await screened(market, HIGHS, own)) == highs


def one_trade(symbol: str, day: date, price: str, minute: int = 0) -> Raw:
    """Give a trade of some minute after noon."""
    return Raw(
        symbol=symbol,
        time=datetime(day.year, day.month, day.day, 12, minute, tzinfo=UTC),
        day=day,
        session=Session.REGULAR,
        open=Decimal(price),
        high=Decimal(price),
        low=Decimal(price),
        close=Decimal(price),
        volume=Decimal(5),
        trades=1,
    )


async def test_late_trades_move_the_close_before_and_the_highs(
    database: TestDatabase, tmp_path: Path
) -> None:
    (own,) = listed("LATE", "trades", 1)
    on = date(2024, 6, 28)
    days = [on - timedelta(days=back) for back in (200, 30, 1, 0)]
    prices = ["10", "11", "12", "15"]
    raws = [one_trade("LATE0", day, price) for day, price in zip(days, prices, strict=True)]
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        put(connection, tmp_path, "trades", raws)
        refresh(connection)
        async with reading(database.url) as market:
            before = (await screened(market, screen_of(on=on), [own]))["LATE0"]
            put(connection, tmp_path, "trades", [one_trade("LATE0", days[2], "14", 1)])
            between = (await screened(market, screen_of(on=on), [own]))["LATE0"]
            put(connection, tmp_path, "trades", [one_trade("LATE0", days[0], "99", 1)])
            after = (await screened(market, screen_of(on=on), [own]))["LATE0"]
            refresh(connection)
            refreshed = (await screened(market, screen_of(on=on), [own]))["LATE0"]
    assert (before.previous_close, before.new_high) == (Decimal(12), True)
    assert (between.previous_close, between.change) == (Decimal(14), Decimal(1))
    assert (after.high_52_week, after.new_high) == (Decimal(99), False)
    assert refreshed == after


@asynccontextmanager
async def interrupted(url: str, writes: list[object]) -> AsyncIterator[Market]:
    """Read with a reader that lets the next write happen right before the screen itself."""

    def on_statement(sql: str) -> None:
        if "matched AS MATERIALIZED" in sql and writes:
            write = writes.pop()
            assert callable(write)
            write()

    async with open_reader(
        url, pool_size=1, pool_timeout_s=20, statement_timeout_s=60, on_statement=on_statement
    ) as reader:
        yield await market_of(reader)


async def test_a_batch_between_the_two_statements_is_whole(
    database: TestDatabase, tmp_path: Path
) -> None:
    """Nothing was stale and there were no splits when the screen was planned."""
    own = listed("BETWEEN", "trades", 3)
    raws = [raw for each in own for raw in rows(each)]
    late = raws[::7]
    early = [raw for raw in raws if raw not in late]
    split = Split(symbol="BETWEEN1", day=max(raw.day for raw in raws), new=2, old=1)
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        put(connection, tmp_path, "trades", early)
        refresh(connection)
        writes: list[object] = [lambda: put(connection, tmp_path, "trades", late)]
        async with interrupted(database.url, writes) as market:
            on = max(raw.day for raw in early)
            found = await screened(market, screen_of(on=on), own)
            assert not writes
            truth = Truth(own, raws, []).rows({"24/7": on})
            assert found == {row.symbol: row for row in truth}
            refresh(connection)
            writes.append(lambda: store_splits(connection, tmp_path, [split]))
            found = await screened(market, screen_of(on=on), own)
            assert not writes
            truth = Truth(own, raws, [split]).rows({"24/7": on})
            assert found == {row.symbol: row for row in truth}


async def test_a_page_is_used_again_until_a_batch_comes(
    database: TestDatabase, tmp_path: Path
) -> None:
    own = listed("AGAIN", "1d", 2)
    raws = [raw for each in own for raw in rows(each)]
    statements: list[str] = []
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        put(connection, tmp_path, "1d", raws[:-1])
        async with reading(database.url, statements) as market:
            statements.clear()
            first = await read_screen(market, GAIN, None, 1000)
            assert len(statements) == 2
            assert await read_screen(market, GAIN, None, 1000) is first
            assert len(statements) == 3
            put(connection, tmp_path, "1d", raws[-1:])
            second = await read_screen(market, GAIN, None, 1000)
            assert second is not first
            assert len(statements) == 6
            assert await read_screen(market, GAIN, None, 1000) is second
