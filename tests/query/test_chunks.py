"""However many chunks there are, a question touches those of its own time: held by EXPLAIN."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.market.candle_spec import CandleSpec
from app.market.interval import Interval
from app.query.candles import read_candles
from app.query.market import Market
from app.query.shapes import JsonRows
from app.query.trade_shapes import TradeRows
from app.query.trades import read_trades, trade_page
from app.query.window import Window
from app.rollups.refresh import refresh
from app.storage.database import Connection, connect
from app.storage.reader import Reader, Row
from tests.conftest import TestDatabase
from tests.query.market import store_bars, store_trades
from tests.query.reading import market_of, reading, subjects_of
from tests.query.recompute import RawBar, RawTrade

ONE_MINUTE = CandleSpec(interval=Interval.parse("1m"))
START = datetime(2026, 1, 5, tzinfo=UTC)
CHUNKS = {"native": 1100, "embedded": 60, "given": 1100}
SHAPE = JsonRows((("time", "time"), ("close", "close")))


class Explaining(Reader):
    """Explains each statement with its own values before it runs it."""

    def __init__(self, inner: Reader) -> None:
        self._inner = inner
        self.chunks: dict[str, set[str]] = {}

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        if "FROM unnest" in sql:
            (row,) = await self._inner.fetch(f"EXPLAIN (FORMAT JSON) {sql}", *args)
            plan = json.dumps(json.loads(row[0]))
            self.chunks[sql] = set(re.findall(r"_hyper_\d+_\d+_chunk(?=\")", plan))
        return await self._inner.fetch(sql, *args)

    @property
    def most(self) -> int:
        """The most chunks that one statement touches."""
        return max(len(chunks) for chunks in self.chunks.values())


@pytest.fixture(scope="module")
def many_chunks(database: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> TestDatabase:
    """Trades and minute bars of some hours each, every hour a chunk of its own."""
    folder = tmp_path_factory.mktemp("market")
    hours = [START + timedelta(hours=number) for number in range(CHUNKS[database.kind])]
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        for table in ("trade", "bar"):
            connection.execute(
                f"SELECT set_chunk_time_interval('{table}', INTERVAL '1 hour')".encode()
            )
        store_trades(connection, folder, "T", "24/7", [_trade(time) for time in hours])
        store_bars(connection, folder, "B", "24/7", "1m", [_bar(time) for time in hours])
        refresh(connection)
        for table in ("trade", "bar"):
            assert _count(connection, table) == len(hours)
    return database


def _count(connection: Connection, table: str) -> int:
    row = connection.execute(
        "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = %s", (table,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def _trade(time: datetime) -> RawTrade:
    return RawTrade(
        time=time, trade_id=1, price=Decimal(7), size=Decimal(1), trading_date=time.date()
    )


def _bar(time: datetime) -> RawBar:
    price = Decimal(7)
    return RawBar(
        time=time, open=price, high=price, low=price, close=price, volume=price,
        trading_date=time.date(),
    )  # fmt: skip


@asynccontextmanager
async def explaining(database: TestDatabase) -> AsyncIterator[tuple[Market, Explaining]]:
    async with reading(database.url) as opened:
        reader = Explaining(opened.reader)
        yield await market_of(reader), reader


@pytest.mark.parametrize("symbol", ["T", "B"])
@pytest.mark.parametrize("interval", ["1m", "5m", "30s", "1h"])
async def test_a_range_touches_the_chunks_of_its_hours(
    many_chunks: TestDatabase, symbol: str, interval: str
) -> None:
    if (symbol, interval) == ("B", "30s"):
        interval = "7m"  # bars of a minute give no seconds
    start = START + timedelta(hours=20)
    window = Window(start=start, end=start + timedelta(hours=3))
    async with explaining(many_chunks) as (market, reader):
        subjects = await subjects_of(market.reader, symbol)
        (answer,) = await read_candles(
            market, subjects, CandleSpec(interval=Interval.parse(interval)), window, SHAPE
        )
    assert json.loads(answer.value) != []  # type: ignore[union-attr]
    assert reader.most <= 5


@pytest.mark.parametrize("symbol", ["T", "B"])
async def test_the_newest_touch_the_last_chunks(many_chunks: TestDatabase, symbol: str) -> None:
    async with explaining(many_chunks) as (market, reader):
        subjects = await subjects_of(market.reader, symbol)
        (answer,) = await read_candles(
            market, subjects, CandleSpec(interval=Interval.parse("1m")), Window(last=3), SHAPE
        )
    assert len(json.loads(answer.value)) == 3  # type: ignore[union-attr]
    # An hour between candles: the look back widens a few times, to less than a day.
    assert reader.most <= 26


async def test_a_page_of_trades_touches_the_week_that_it_looks_at(
    many_chunks: TestDatabase,
) -> None:
    start = START + timedelta(hours=10)
    page = trade_page(start, start + timedelta(hours=4), 10, None, 1000)
    async with explaining(many_chunks) as (market, reader):
        (subject,) = await subjects_of(market.reader, "T")
        (found,) = await read_trades(market, [subject.instrument_id], page, TradeRows())
    assert len(found.trades) == 4
    assert reader.most <= 5


async def test_statements_about_many_instruments_are_bounded_too(
    many_chunks: TestDatabase, tmp_path: Path
) -> None:
    start = START + timedelta(hours=30)
    async with explaining(many_chunks) as (market, reader):
        subjects = await subjects_of(market.reader, "T", "B")
        window = Window(start=start, end=start + timedelta(hours=2))
        answers = await read_candles(
            market, subjects, CandleSpec(interval=Interval.parse("1m")), window, SHAPE
        )
    assert all(len(json.loads(answer.value)) == 2 for answer in answers)  # type: ignore[union-attr]
    assert reader.most <= 4
