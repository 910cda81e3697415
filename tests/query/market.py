"""A small market for tests: trades and bars written to files and imported as users do."""

import csv
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.rejects import Rejects
from app.market.instrument import AssetClass
from app.market.interval import Interval
from app.market.schedule import exchange_of
from app.storage.batches import BatchKind, Counts
from app.storage.database import Connection
from app.storage.instrument_writes import NewInstruments
from tests.query.recompute import RawBar, RawTrade

NEW_YORK = ZoneInfo("America/New_York")


def new_instruments(mic: str, asset_class: AssetClass = AssetClass.EQUITY) -> NewInstruments:
    return NewInstruments(exchange=exchange_of(mic), asset_class=asset_class, currency="USD")


def write_trades(path: Path, trades: Iterable[RawTrade]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time", "price", "size", "trade_id"))
        for trade in trades:
            writer.writerow((trade.time.isoformat(), trade.price, trade.size, trade.trade_id))
    return path


def store_trades(
    connection: Connection, folder: Path, symbol: str, mic: str, trades: Iterable[RawTrade]
) -> Counts:
    path = write_trades(folder / "trades.csv", trades)
    delivery = Delivery(
        kind=BatchKind.TRADES,
        source="file:trades.csv",
        actor="test",
        symbol=symbol,
        create=new_instruments(mic),
    )
    return import_file(connection, path, delivery, Rejects(), lambda _: None).counts


def store_bars(
    connection: Connection,
    folder: Path,
    symbol: str,
    mic: str,
    interval: str,
    bars: Iterable[RawBar],
) -> Counts:
    path = folder / "bars.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time", "open", "high", "low", "close", "volume"))
        for bar in bars:
            writer.writerow(
                (bar.time.isoformat(), bar.open, bar.high, bar.low, bar.close, bar.volume)
            )
    delivery = Delivery(
        kind=BatchKind.BARS,
        source="file:bars.csv",
        actor="test",
        interval=Interval.parse(interval),
        symbol=symbol,
        create=new_instruments(mic),
    )
    return import_file(connection, path, delivery, Rejects(), lambda _: None).counts


def walk(seed: int, count: int) -> list[Decimal]:
    """Give prices with up to nine decimals that wander."""
    rng = random.Random(seed)
    price = Decimal("100")
    prices = []
    for _ in range(count):
        step = Decimal(rng.randint(-(10**6), 10**6)).scaleb(-rng.choice((2, 4, 6, 9)))
        price = max(price + step / 100, Decimal("0.000001"))
        prices.append(price)
    return prices


def busy_trades(seed: int, start: datetime, count: int, gap_s: float) -> list[RawTrade]:
    """Trades around the clock; one in four shares its time with the one before."""
    rng = random.Random(seed)
    time = start
    trades = []
    for trade_id, price in enumerate(walk(seed, count)):
        if rng.random() > 0.25:
            time += timedelta(microseconds=rng.randint(1, int(gap_s * 2e6)))
        size = Decimal(rng.randint(0, 5000)).scaleb(-rng.choice((0, 0, 3, 8)))
        trades.append(
            RawTrade(time=time, trade_id=trade_id, price=price, size=size, trading_date=time.date())
        )
    # Ids that do not follow the order of arrival, far apart: ties are broken by the whole id.
    ids = rng.sample(range(10**15), count)
    return [
        RawTrade(
            time=each.time,
            trade_id=ids[each.trade_id],
            price=each.price,
            size=each.size,
            trading_date=each.trading_date,
        )
        for each in trades
    ]


def us_day_trades(seed: int, days: Sequence[date]) -> list[RawTrade]:
    """Trades of US trading days from 04:00 to 20:00 New York time: pre, regular and post."""
    rng = random.Random(seed)
    trades: list[RawTrade] = []
    prices = iter(walk(seed, len(days) * 200))
    for day in days:
        midnight = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK)
        for offset in sorted(rng.sample(range(4 * 3600, 20 * 3600), 200)):
            time = (midnight + timedelta(seconds=offset)).astimezone(UTC)
            trades.append(
                RawTrade(
                    time=time,
                    trade_id=len(trades),
                    price=next(prices),
                    size=Decimal(rng.randint(1, 900)),
                    trading_date=day,
                )
            )
    return trades


def minute_bars(seed: int, start: datetime, count: int, minutes: int) -> list[RawBar]:
    rng = random.Random(seed)
    bars = []
    time = start
    for price in walk(seed, count):
        time += timedelta(minutes=minutes * rng.choice((1, 1, 1, 2, 9)))
        corners = sorted(price + Decimal(rng.randint(0, 99)).scaleb(-3) for _ in range(4))
        low, first, second, high = corners
        opens, closes = rng.choice(((first, second), (second, first)))
        bars.append(
            RawBar(
                time=time,
                open=opens,
                high=high,
                low=low,
                close=closes,
                volume=Decimal(rng.randint(0, 10**6)),
                trading_date=time.date(),
            )
        )
    return bars
