"""Put instruments, trades and bars into a database the way users do: from CSV files."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from app.commands.database import OpenDatabase
from app.commands.importing import ImportRequest, import_command, new_instruments
from app.ingestion.delivery import Delivery
from app.market.interval import Interval
from app.settings import Settings
from app.storage.batches import BatchKind
from app.storage.database import Connection, connect

TRADE = ("symbol", "time", "price", "size")
BAR = ("symbol", "time", "open", "high", "low", "close", "volume")


def add_instruments(url: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Create instruments, each a mapping of symbol, name, exchange, asset_class, currency."""
    header = list(dict.fromkeys(name for row in rows for name in row))
    _add(url, "instruments", header, [[row.get(name, "") for name in header] for row in rows])


def add_trades(url: str, rows: Sequence[Sequence[str]]) -> None:
    """Store trades given as symbol, time, price, size."""
    _add(url, "trades", TRADE, rows)


def add_bars(url: str, interval: str, rows: Sequence[Sequence[str]]) -> None:
    """Store bars given as symbol, time, open, high, low, close, volume."""
    _add(url, "bars", BAR, rows, interval)


def add_former_symbol(
    url: str, former: str, symbol: str, *, since: str = "-infinity", until: str
) -> None:
    """Say that an instrument once had another symbol."""
    with writing(url) as connection:
        connection.execute(
            "INSERT INTO symbol_alias (symbol, valid_from, valid_to, instrument_id)"
            " SELECT %s, %s, %s, instrument_id FROM instrument WHERE symbol = %s",
            (former, since, until, symbol),
        )


@contextmanager
def writing(url: str) -> Iterator[Connection]:
    """Open a connection for writing."""
    with connect(url, timeout_s=10, statement_timeout_s=60) as connection:
        yield connection


def _add(
    url: str,
    kind: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    interval: str | None = None,
) -> None:
    database = OpenDatabase(url=url, embedded=False, settings=Settings(database_url=url))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
        delivery = Delivery(
            kind=BatchKind(kind.upper()),
            source=f"file:{path.name}",
            actor="test",
            interval=None if interval is None else Interval.parse(interval),
        )
        new = new_instruments(exchange="24/7", asset_class="EQUITY", currency="USD")
        request = ImportRequest(path=path, delivery=delivery, new=new, rejects=None)
        receipt = import_command(database, request)
    counts = receipt.counts
    assert (counts.stored, counts.rejected) == (len(rows), 0), receipt.reasons
