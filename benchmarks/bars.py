"""The bars that reads are measured on: made up, always the same, imported as users do."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.rejects import Rejects
from app.market.instrument import AssetClass
from app.market.interval import Interval
from app.market.schedule import exchange_of
from app.storage.batches import BatchKind
from app.storage.database import connect
from app.storage.instrument_writes import NewInstruments
from app.storage.migrate import migrate
from benchmarks.pinning import Cores, choose_cores, pinned
from tests.parts.postgres import NativeServer, native_timescaledb

END = datetime(2026, 11, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
SHARED_BUFFERS_MB = 512  # holds all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Some instruments' bars: `count` of each, up to END, one every `width`."""

    symbols: Sequence[str]
    count: int
    width: timedelta
    exchange: str = "24/7"

    def __str__(self) -> str:
        """Describe them for the page."""
        each = {MINUTE: "one-minute", DAY: "daily"}[self.width]
        return f"{len(self.symbols):,} instruments x {self.count:,} {each} bars"

    def rows(self) -> pl.DataFrame:
        """Write them in the order in which they would have come in: by time, then instrument."""
        number = pl.int_range(self.count * len(self.symbols), dtype=pl.Int64)
        place, step = number % len(self.symbols), number // len(self.symbols)
        start = END - self.width * self.count
        cents = 10_000 + (step * 7 + place * 131) % 4_001
        return pl.select(
            pl.lit(pl.Series(self.symbols)).gather(place).alias("symbol"),
            (pl.lit(start) + step * pl.lit(self.width)).alias("time"),
            _money(cents).alias("open"),
            _money(cents + 3 + step % 17).alias("high"),
            _money(cents - 2 - step % 13).alias("low"),
            _money(cents + step % 5 - 2).alias("close"),
            (100 + (step * 37 + place) % 9_901).alias("volume"),
        )


# Half a thousand instruments, some with a long history by the minute, some with years by the day.
WIDE = Bars(symbols=[f"M{number:03}" for number in range(500)], count=2_000, width=MINUTE)
LONG = Bars(symbols=[f"L{number}" for number in range(8)], count=50_000, width=MINUTE)
DAILY = Bars(symbols=[f"D{number:02}" for number in range(50)], count=3_650, width=DAY)


@contextmanager
def stage(folder: Path) -> Iterator[tuple[NativeServer, Cores]]:
    """Run a native server on its core."""
    cores = choose_cores()
    with ExitStack() as stack:
        with pinned(cores.database):
            server = stack.enter_context(
                native_timescaledb(folder / "pg", shared_buffers_mb=SHARED_BUFFERS_MB)
            )
        yield server, cores


def store(server: NativeServer, name: str, folder: Path, all_bars: Sequence[Bars]) -> str:
    """Make a database with bars and give its URL."""
    url = server.create_database(name)
    migrate(url)
    for bars in all_bars:
        import_rows(url, folder, bars)
    tidy(url)
    return url


def import_rows(url: str, folder: Path, bars: Bars, rows: pl.DataFrame | None = None) -> None:
    """Import bars, or some rows of them, from a CSV file as one batch."""
    path = folder / "bars.csv"
    wanted = bars.rows() if rows is None else rows
    wanted.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    create = NewInstruments(
        exchange=exchange_of(bars.exchange), asset_class=AssetClass.CRYPTO, currency="USD"
    )
    interval = Interval.of_minutes(bars.width // MINUTE)
    with connect(url, timeout_s=10, statement_timeout_s=600) as connection:
        delivery = Delivery(
            kind=BatchKind.BARS,
            source=f"file:{path.name}",
            actor="benchmark",
            interval=interval,
            create=create,
        )
        counts = import_file(connection, path, delivery, Rejects(), lambda _: None).counts
    path.unlink()
    assert counts.stored == wanted.height, counts


def tidy(url: str) -> None:
    """Leave nothing for the database's own workers to do while something is measured."""
    with connect(url, timeout_s=10, statement_timeout_s=600) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _money(cents: pl.Expr) -> pl.Expr:
    return (cents / 100).round(2)
