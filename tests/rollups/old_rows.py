"""A market whose rows get old: trades over some weeks, and what its candles must be for ever."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.file_import import import_file
from app.ingestion.rejects import Rejects
from app.query.window import Window
from app.rollups.policies import Policies
from app.rollups.verification import Difference, Skipped, verify_rollups
from app.storage.batches import BatchKind
from app.storage.database import Connection, connect, one_row
from tests.query.market import busy_trades, new_instruments, write_trades
from tests.query.reading import as_expected, candles_of, reading
from tests.query.recompute import RawTrade, from_trades

# A Thursday, where a chunk of seven days begins.
START = datetime(2026, 6, 4, tzinfo=UTC)
EVERYTHING = Window(start=datetime(1990, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC))
LEVELS = ("1m", "5m", "1h", "90m", "1d", "1w", "1mo")
KEEP_10_DAYS = Policies(retention_days={"trade": 10, "bar": 10, "quote": 10})
DAY = timedelta(days=1)


def weeks_of_trades(seed: int, days: int = 21, per_day: int = 60) -> list[RawTrade]:
    """Trades over some weeks from START, about evenly spread."""
    count = days * per_day
    trades = busy_trades(seed, START + timedelta(seconds=1), count, 86_400 / per_day / 0.75)
    return [each for each in trades if each.time < START + days * DAY]


@contextmanager
def session(url: str) -> Iterator[Connection]:
    with connect(url, timeout_s=10, statement_timeout_s=120) as connection:
        yield connection


def correct_trades(
    connection: Connection, folder: Path, symbol: str, trades: Iterable[RawTrade]
) -> Receipt:
    """Import trades as `--replace` does."""
    path = write_trades(folder / "corrections.csv", trades)
    delivery = Delivery(
        kind=BatchKind.TRADES,
        source="file:corrections.csv",
        actor="test",
        symbol=symbol,
        create=new_instruments("24/7"),
        replace=True,
    )
    return import_file(connection, path, delivery, Rejects(), lambda _: None)


async def assert_candles(url: str, symbol: str, trades: list[RawTrade]) -> None:
    async with reading(url) as market:
        for interval in LEVELS:
            found = await candles_of(market, symbol, interval, EVERYTHING)
            assert as_expected(found) == from_trades(trades, interval), interval


def count(connection: Connection, table: str, where: str = "true", *values: object) -> int:
    statement = f"SELECT count(*) FROM {table} WHERE {where}"
    return int(one_row(connection, statement.encode(), values or None)[0])


def verified(connection: Connection, **chosen: object) -> tuple[list[Difference], list[Skipped]]:
    """Give what differs and what was left out."""
    items = list(verify_rollups(connection, **chosen))  # type: ignore[arg-type]
    return (
        [each for each in items if isinstance(each, Difference)],
        [each for each in items if isinstance(each, Skipped)],
    )
