"""Run one import with its progress bar, refused rows and summary."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from app.commands.database import OpenDatabase
from app.errors import ImportRefused
from app.ingestion.file_import import FileOptions, import_bars, import_trades
from app.ingestion.instrument_import import Defaults, import_instruments
from app.ingestion.rejects import Rejects, rejects_to
from app.ingestion.symbols import NewInstruments
from app.market.calendar import exchange_of
from app.market.instrument import AssetClass
from app.market.interval import Interval
from app.rollups.refresh import refresh
from app.storage.batches import Counts
from app.storage.database import Connection
from app.validation.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What the command line asked for."""

    kind: str
    path: Path
    interval: str | None
    symbol: str | None
    columns: Mapping[str, str]
    timezone: str
    create: bool
    exchange: str
    asset_class: str
    currency: str
    replace: bool
    rejects: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What became of the rows."""

    kind: str
    counts: Counts
    reasons: Mapping[Reason, int]

    def as_json(self) -> dict[str, int]:
        """Give the counts: received is the sum of the others."""
        return {
            "received": self.counts.received,
            "stored": self.counts.stored,
            "duplicate": self.counts.duplicate,
            "rejected": self.counts.rejected,
        }

    def as_text(self) -> str:
        """Say it to a person."""
        counts = self.counts
        lines = [
            f"{counts.received:,} {self.kind} received: {counts.stored:,} stored,"
            f" {counts.duplicate:,} duplicate, {counts.rejected:,} rejected"
        ]
        lines += [f"  {count:,} {reason}" for reason, count in sorted(self.reasons.items())]
        return "\n".join(lines)


def import_command(database: OpenDatabase, request: ImportRequest) -> Summary:
    """Import the file and bring the roll-ups up to it.

    Raises:
        TickgraphError: the file or an option cannot be used; nothing is stored.
    """
    with (
        rejects_to(request.rejects) as rejects,
        database.connection() as connection,
        _progress(request.path) as on_read,
    ):
        counts = _import(connection, request, rejects, on_read)
    with database.connection() as connection:
        refresh(connection)
    return Summary(kind=request.kind, counts=counts, reasons=rejects.reasons)


def _import(
    connection: Connection, request: ImportRequest, rejects: Rejects, on_read: Callable[[int], None]
) -> Counts:
    options = FileOptions(
        symbol=request.symbol,
        columns=request.columns,
        timezone=request.timezone,
        create=_new_instruments(request) if request.create else None,
        replace=request.replace,
    )
    path = request.path
    if request.kind == "instruments":
        defaults = Defaults(
            exchange=request.exchange,
            asset_class=request.asset_class,
            currency=request.currency,
        )
        return import_instruments(connection, path, options, defaults, rejects, on_read)
    if request.interval is not None:
        interval = Interval.parse(request.interval)
        return import_bars(connection, path, interval, options, rejects, on_read)
    return import_trades(connection, path, options, rejects, on_read)


def _new_instruments(request: ImportRequest) -> NewInstruments:
    try:
        asset_class = AssetClass(request.asset_class.upper())
    except ValueError as error:
        known = ", ".join(AssetClass)
        raise ImportRefused(f"--asset-class {request.asset_class!r} is none of {known}") from error
    return NewInstruments(
        exchange=exchange_of(request.exchange), asset_class=asset_class, currency=request.currency
    )


@contextmanager
def _progress(path: Path) -> Iterator[Callable[[int], None]]:
    """Show bytes read on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty() or not path.is_file():
        yield lambda count: None
        return
    with click.progressbar(length=path.stat().st_size, label=path.name, file=sys.stderr) as bar:
        yield bar.update
