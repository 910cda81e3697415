"""Run imports in tests as the command does, and read what they left behind."""

import csv
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.instrument_import import import_instruments
from app.ingestion.rejects import rejects_to
from app.market.instrument import AssetClass
from app.market.interval import Interval
from app.market.schedule import exchange_of
from app.storage.batches import BatchKind, Counts
from app.storage.database import Connection, connect
from app.storage.instrument_writes import NewInstruments


@contextmanager
def writing(url: str) -> Iterator[Connection]:
    """Open a connection with the timeouts of a command."""
    with connect(url, timeout_s=10, statement_timeout_s=60) as connection:
        yield connection


def new_instruments(mic: str = "24/7", asset_class: str = "CRYPTO") -> NewInstruments:
    return NewInstruments(
        exchange=exchange_of(mic), asset_class=AssetClass(asset_class), currency="USD"
    )


def fresh_symbol() -> str:
    """Give a symbol that no other test of the module has used."""
    return f"T.{uuid.uuid4().hex[:10].upper()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """One line of a rejects file."""

    line: int
    reason: str
    record: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an import said."""

    counts: Counts
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """Received, stored, duplicate, rejected."""
        counts = self.counts
        return counts.received, counts.stored, counts.duplicate, counts.rejected

    @property
    def reasons(self) -> dict[int, str]:
        """The reason of each refused line."""
        return {each.line: each.reason for each in self.rejected}


def load(
    connection: Connection,
    path: Path,
    *,
    interval: str | None = None,
    kind: str | None = None,
    new: NewInstruments | None = None,
    **options: Any,
) -> Outcome:
    """Import a file of trades, of bars where there is an interval, or of instruments."""
    rejects_path = path.with_name(f"{path.name}.rejects")

    def ignore(count: int) -> None:
        pass

    made = BatchKind.TRADES if interval is None else BatchKind.BARS
    with rejects_to(rejects_path) as rejects:
        if kind == "instruments":
            receipt = import_instruments(
                connection,
                path,
                new or new_instruments(),
                rejects,
                ignore,
                actor="test",
                columns=options.get("columns", {}),
            )
        else:
            delivery = Delivery(
                kind=BatchKind(kind) if kind else made,
                source=f"file:{path.name}",
                actor="test",
                interval=None if interval is None else Interval.parse(interval),
                **options,
            )
            receipt = import_file(connection, path, delivery, rejects, ignore)
    return Outcome(counts=receipt.counts, rejected=read_rejects(rejects_path))


def read_rejects(path: Path) -> list[Rejected]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Rejected(line=int(row["line"]), reason=row["reason"], record=row["record"])
            for row in csv.DictReader(file)
        ]


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def write_text(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def trades_of(connection: Connection, symbol: str) -> list[tuple[Any, ...]]:
    """Give (time, trade_id, price, size) of what is stored, in order."""
    return connection.execute(
        """
        SELECT event_time, trade_id, price, size
        FROM trade JOIN instrument USING (instrument_id)
        WHERE symbol = %s
        ORDER BY event_time, trade_id
        """,
        (symbol,),
    ).fetchall()


def bars_of(connection: Connection, symbol: str) -> list[tuple[Any, ...]]:
    """Give (start, interval, open, high, low, close, volume) of what is stored, in order."""
    return connection.execute(
        """
        SELECT bar_start, interval_minutes, open, high, low, close, volume
        FROM bar JOIN instrument USING (instrument_id)
        WHERE symbol = %s
        ORDER BY bar_start, interval_minutes
        """,
        (symbol,),
    ).fetchall()


def quotes_of(connection: Connection, symbol: str) -> list[tuple[Any, ...]]:
    """Give (time, quote_id, bid, bid_size, ask, ask_size) of what is stored, in order."""
    return connection.execute(
        """
        SELECT event_time, quote_id, bid, bid_size, ask, ask_size
        FROM quote JOIN instrument USING (instrument_id)
        WHERE symbol = %s
        ORDER BY event_time, quote_id
        """,
        (symbol,),
    ).fetchall()


def instrument_of(connection: Connection, symbol: str) -> Mapping[str, Any] | None:
    cursor = connection.execute(
        """
        SELECT instrument_id, name, exchange, asset_class, currency, tick_size, candle_source
        FROM instrument WHERE symbol = %s
        """,
        (symbol,),
    )
    row = cursor.fetchone()
    names = [column.name for column in cursor.description or ()]
    return None if row is None else dict(zip(names, row, strict=True))
