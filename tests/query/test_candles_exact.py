"""Every candle equals a recomputation from the raw rows, to the last digit, on every database."""

import csv
import gzip
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest

from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.rejects import Rejects
from app.market.interval import Interval
from app.query.window import Window
from app.rollups.refresh import refresh
from app.storage.batches import BatchKind
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.market import (
    busy_trades,
    minute_bars,
    new_instruments,
    store_bars,
    store_trades,
    us_day_trades,
)
from tests.query.reading import as_expected, candles_of, reading
from tests.query.recompute import RawBar, from_bars, from_trades

START = datetime(2026, 3, 5, 21, 7, 13, tzinfo=UTC)
BUSY = busy_trades(1, START, 6000, 45.0)
US_DAYS = [
    date(2026, 3, 5),
    date(2026, 3, 6),
    date(2026, 3, 9),
    date(2026, 3, 10),
]  # over a DST day
US = us_day_trades(2, US_DAYS)
MINUTES = minute_bars(3, datetime(2026, 1, 30, 22, tzinfo=UTC), 4000, 1)
SEVEN = minute_bars(4, datetime(2000, 1, 3, tzinfo=UTC) + timedelta(minutes=7 * 1000), 500, 7)
EVERYTHING = Window(start=datetime(1990, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC))
ALL_INTERVALS = (
    "1s", "10s", "90s", "1m", "5m", "7m", "65m", "1h", "2h", "24h", "1d", "3d", "1w", "1mo", "1y",
)  # fmt: skip
SAMPLE = Path(str(files("bokeh_sampledata"))) / "_data" / "stocks.csv.gz"


@pytest.fixture(scope="module")
def market(database: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> TestDatabase:
    folder = tmp_path_factory.mktemp("market")
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        store_trades(connection, folder, "BUSY", "24/7", BUSY)
        store_trades(connection, folder, "US", "XNAS", US)
        store_bars(connection, folder, "MINUTES", "24/7", "1m", MINUTES)
        store_bars(connection, folder, "SEVEN", "24/7", "7m", SEVEN)
        delivery = Delivery(
            kind=BatchKind.BARS,
            source=f"file:{SAMPLE.name}",
            actor="test",
            interval=Interval.parse("1d"),
            create=new_instruments("XNYS"),
        )
        import_file(connection, SAMPLE, delivery, Rejects(), lambda _: None)
        refresh(connection)
    return database


def sample_bars(symbol: str) -> list[RawBar]:
    with gzip.open(SAMPLE, "rt") as file:
        return [
            RawBar(
                time=datetime.fromisoformat(row["Date"]).replace(tzinfo=UTC),
                open=Decimal(row["Open"]),
                high=Decimal(row["High"]),
                low=Decimal(row["Low"]),
                close=Decimal(row["Close"]),
                volume=Decimal(row["Volume"]),
                trading_date=date.fromisoformat(row["Date"]),
            )
            for row in csv.DictReader(file)
            if row["Ticker"] == symbol
        ]


@pytest.mark.parametrize("interval", ALL_INTERVALS)
async def test_candles_of_trades_around_the_clock(market: TestDatabase, interval: str) -> None:
    async with reading(market.url) as opened:
        found = await candles_of(opened, "BUSY", interval, EVERYTHING)
    assert as_expected(found) == from_trades(BUSY, interval)


@pytest.mark.parametrize("interval", ALL_INTERVALS)
async def test_candles_of_an_exchange_with_sessions(market: TestDatabase, interval: str) -> None:
    async with reading(market.url) as opened:
        found = await candles_of(opened, "US", interval, EVERYTHING)
    assert as_expected(found) == from_trades(US, interval)


@pytest.mark.parametrize("interval", ["1m", "5m", "65m", "1h", "2h", "24h", "1d", "1w", "1mo"])
async def test_candles_of_minute_bars(market: TestDatabase, interval: str) -> None:
    async with reading(market.url) as opened:
        found = await candles_of(opened, "MINUTES", interval, EVERYTHING)
    assert as_expected(found) == from_bars(MINUTES, interval)


@pytest.mark.parametrize("interval", ["7m", "14m", "35m", "42h"])
async def test_candles_of_seven_minute_bars(market: TestDatabase, interval: str) -> None:
    async with reading(market.url) as opened:
        found = await candles_of(opened, "SEVEN", interval, EVERYTHING)
    assert as_expected(found) == from_bars(SEVEN, interval)


@pytest.mark.parametrize("interval", ["1d", "3d", "1w", "1mo", "3mo", "1y"])
@pytest.mark.parametrize("symbol", ["AAPL", "FB", "GOOG", "IBM", "MSFT"])
async def test_candles_of_real_daily_bars(market: TestDatabase, symbol: str, interval: str) -> None:
    async with reading(market.url) as opened:
        found = await candles_of(opened, symbol, interval, EVERYTHING)
    assert as_expected(found) == from_bars(sample_bars(symbol), interval)
    assert len(found) > 1


@pytest.mark.parametrize("interval", ["10s", "1m", "65m", "1h", "1d", "1w"])
@pytest.mark.parametrize("last", [1, 2, 7, 100])
async def test_the_newest_n_are_the_end_of_everything(
    market: TestDatabase, interval: str, last: int
) -> None:
    async with reading(market.url) as opened:
        for symbol in ("BUSY", "US"):
            every = await candles_of(opened, symbol, interval, EVERYTHING)
            newest = await candles_of(opened, symbol, interval, Window(last=last))
            assert newest == every[-last:]
            earlier = Window(last=last, end=every[-1].time)
            assert await candles_of(opened, symbol, interval, earlier) == every[:-1][-last:]


@pytest.mark.parametrize("interval", ["1m", "65m", "1d", "1w"])
async def test_a_range_holds_the_buckets_that_start_within_it(
    market: TestDatabase, interval: str
) -> None:
    start, end = START + timedelta(hours=7, seconds=1), START + timedelta(days=2, hours=3)
    async with reading(market.url) as opened:
        found = await candles_of(opened, "BUSY", interval, Window(start=start, end=end))
    expected = [each for each in from_trades(BUSY, interval) if start <= each.time < end]
    assert as_expected(found) == expected


async def test_vwap_is_notional_over_volume(market: TestDatabase) -> None:
    async with reading(market.url) as opened:
        found = await candles_of(opened, "BUSY", "1h", EVERYTHING)
    notional = {each.time: Decimal(0) for each in found}
    for trade in BUSY:
        start = trade.time.replace(minute=0, second=0, microsecond=0)
        notional[start] += trade.price * trade.size
    for each in found:
        assert each.vwap is not None
        assert abs(each.vwap * each.volume - notional[each.time]) < Decimal("1e-9")
