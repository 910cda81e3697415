"""Over a hundred instruments for screens: four venues, three kinds of rows, gaps and splits."""

import csv
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import exchange_calendars as xcals
import pandas as pd

from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.rejects import Rejects
from app.market.candle import Session
from app.market.instrument import AssetClass
from app.market.interval import Interval
from app.storage.batches import BatchKind
from app.storage.database import Connection
from tests.query.actions import store_actions
from tests.query.market import new_instruments

FIRST, LAST = date(2023, 5, 22), date(2024, 6, 28)
# Tokyo's data end earlier: its present is another date.
ENDS = {"XNYS": LAST, "XLON": LAST, "XTKS": date(2024, 6, 20), "24/7": LAST}
NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    symbol: str
    exchange: str
    asset_class: AssetClass
    kind: str  # 1d, 1h or trades


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A bar, or a trade as a bar of one price."""

    symbol: str
    time: datetime
    day: date
    session: Session
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    symbol: str
    day: date
    new: int
    old: int


def sessions(mic: str) -> list[date]:
    """Give a venue's trading dates around the data, by the library."""
    start, end = FIRST - timedelta(days=500), LAST
    if mic == "24/7":
        return [each.date() for each in pd.date_range(start, end)]
    return [each.date() for each in xcals.get_calendar(mic, start=start, end=end).sessions]


def instruments() -> list[Listed]:
    counts = {"XNYS": 45, "XLON": 20, "XTKS": 20, "24/7": 15}
    classes = (AssetClass.EQUITY, AssetClass.ETF)
    listed = [
        Listed(
            symbol=f"{mic[:3]}{number:02}",
            exchange=mic,
            asset_class=classes[number % 3 == 0],
            kind="1d",
        )
        for mic, count in counts.items()
        for number in range(count)
    ]
    for kind, number in (("1h", 6), ("trades", 10)):
        for mic in ("XNYS", "24/7"):
            listed += [
                Listed(
                    symbol=f"{kind[:2].upper()}{mic[:3]}{each:02}",
                    exchange=mic,
                    asset_class=AssetClass.EQUITY,
                    kind=kind,
                )
                for each in range(number)
            ]
    return listed


SPLITS = [
    Split(symbol="XNY00", day=LAST, new=3, old=1),  # on the day itself
    Split(symbol="XNY01", day=date(2024, 3, 1), new=2, old=1),
    Split(symbol="XNY01", day=date(2024, 6, 24), new=7, old=1),
    Split(symbol="XLO02", day=date(2024, 5, 7), new=1, old=10),
    Split(symbol="TRXNY03", day=date(2024, 6, 25), new=4, old=1),
    Split(symbol="XNY04", day=date(2024, 6, 29), new=2, old=1),  # after the data
]


def rows(listed: Listed) -> list[Raw]:
    """Make up an instrument's rows, always the same: days are missing, some are seldom."""
    rng = random.Random(listed.symbol)
    days = [each for each in sessions(listed.exchange) if FIRST <= each <= ENDS[listed.exchange]]
    if listed.kind != "1d":
        days = days[-60:]
    elif rng.random() < 0.1:
        days = days[-rng.randint(1, 40) :]  # new
    elif rng.random() < 0.1:
        days = days[: -rng.randint(1, 100)]  # gone
    seldom = rng.random() < 0.1
    days = [each for each in days if rng.random() < (0.05 if seldom else 0.96)]
    price = Decimal(rng.randint(100, 100_000)) / 100
    found = []
    for day in days:
        for time, session in _times(listed, day, rng):
            price = max(price * Decimal(rng.randint(9_600, 10_420)) / 10_000, Decimal("0.05"))
            found.append(_row(listed, day, time, session, price, rng))
    return found


def _times(listed: Listed, day: date, rng: random.Random) -> Iterator[tuple[datetime, Session]]:
    if listed.kind == "1d":
        yield datetime(day.year, day.month, day.day, tzinfo=UTC), Session.REGULAR
        return
    always = listed.exchange == "24/7"
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC if always else NEW_YORK)
    hours = range(24) if always else range(4, 20)
    for hour in sorted(rng.sample(hours, 5)):
        minutes = 0 if listed.kind == "1h" else rng.randint(0, 59)
        time = (midnight + timedelta(hours=hour, minutes=minutes)).astimezone(UTC)
        minute = hour * 60 + minutes
        session = Session.REGULAR
        if not always and minute < 9 * 60 + 30:
            session = Session.PRE
        elif not always and minute >= 16 * 60:
            session = Session.POST
        yield time, session


def _row(
    listed: Listed, day: date, time: datetime, session: Session, price: Decimal, rng: random.Random
) -> Raw:
    price = price.quantize(Decimal("0.01"))
    spread = [Decimal(rng.randint(0, 300)) / 100 for _ in range(2)]
    is_trade = listed.kind == "trades"
    opened = price if is_trade else (price * Decimal(rng.randint(98, 102)) / 100).quantize(price)
    return Raw(
        symbol=listed.symbol,
        time=time,
        day=day,
        session=session,
        open=opened,
        high=price if is_trade else max(opened, price) + spread[0],
        low=price if is_trade else min(opened, price) * Decimal("0.99"),
        close=price,
        volume=Decimal(rng.choice((0, 100, 100, rng.randint(1, 10**6)))),
        trades=1 if is_trade else 0,
    )


def store(connection: Connection, folder: Path, listed: list[Listed], raws: list[Raw]) -> None:
    """Import them as users do, venue by venue and kind by kind; without a refresh."""
    own = {each.symbol: each for each in listed}
    groups: dict[tuple[str, AssetClass, str], list[Raw]] = {}
    for raw in raws:
        key = own[raw.symbol]
        groups.setdefault((key.exchange, key.asset_class, key.kind), []).append(raw)
    for (mic, asset_class, kind), some in groups.items():
        store_rows(connection, folder, mic, asset_class, kind, some)


def store_rows(
    connection: Connection,
    folder: Path,
    mic: str,
    asset_class: AssetClass,
    kind: str,
    raws: list[Raw],
) -> None:
    trades = kind == "trades"
    header = "time,price,size,symbol" if trades else "time,open,high,low,close,volume,symbol"
    columns: Callable[[Raw], tuple[object, ...]] = (
        (lambda raw: (raw.close, raw.volume))
        if trades
        else (lambda raw: (raw.open, raw.high, raw.low, raw.close, raw.volume))
    )
    path = folder / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows((raw.time.isoformat(), *columns(raw), raw.symbol) for raw in raws)
    delivery = Delivery(
        kind=BatchKind.TRADES if trades else BatchKind.BARS,
        source="file:rows.csv",
        actor="test",
        interval=None if trades else Interval.parse(kind),
        create=new_instruments(mic, asset_class),
    )
    counts = import_file(connection, path, delivery, Rejects(), lambda _: None).counts
    assert counts.stored == len(raws), counts


def store_splits(connection: Connection, folder: Path, splits: list[Split]) -> None:
    store_actions(
        connection,
        folder,
        [(each.symbol, str(each.day), "SPLIT", "", f"{each.new}:{each.old}") for each in splits],
    )
