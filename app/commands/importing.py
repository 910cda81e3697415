"""Run one import with its progress bar, refused rows and summary."""

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from app.commands.database import OpenDatabase
from app.errors import BadInput, TickgraphError
from app.ingestion.file_import import FileOptions, bar_minutes, import_bars, import_trades
from app.ingestion.instrument_import import import_instruments
from app.ingestion.rejects import Rejects, rejects_to
from app.market.calendar import exchange_of
from app.market.instrument import AssetClass
from app.market.interval import Interval
from app.rollups.refresh import refresh
from app.storage.batches import Counts
from app.storage.database import Connection
from app.storage.instrument_writes import NewInstruments
from app.validation import rules
from app.validation.reasons import Reason

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What the command line asked for."""

    kind: str
    path: Path
    interval: Interval | None
    symbol: str | None
    columns: Mapping[str, str]
    timezone: str
    create: bool
    new: NewInstruments
    replace: bool
    rejects: Path | None

    def __post_init__(self) -> None:
        """Refuse what could only end badly.

        Raises:
            BadInput: the interval is none for bars, or the rejects would overwrite the file.
        """
        if self.interval is not None:
            bar_minutes(self.interval)
        if self.rejects is not None and self.rejects.resolve() == self.path.resolve():
            raise BadInput(f"--rejects {str(self.rejects)!r} is the file to import")


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
        TickgraphError: the file cannot be used; nothing is stored.
    """
    with (
        rejects_to(request.rejects) as rejects,
        database.connection() as connection,
        _progress(request.path) as on_read,
    ):
        counts = _import(connection, request, rejects, on_read)
    try:
        with database.connection() as connection:
            refresh(connection)
    except TickgraphError as error:
        # The rows are committed, and reads find them without the roll-ups: no failed import.
        logger.warning("the roll-ups do not follow yet: %s", error.message)
    return Summary(kind=request.kind, counts=counts, reasons=rejects.reasons)


def new_instruments(*, exchange: str, asset_class: str, currency: str) -> NewInstruments:
    """Read what the options say of instruments that a file does not describe.

    Raises:
        BadInput: one of them cannot be used.
    """
    try:
        known = AssetClass(asset_class.upper())
    except ValueError as error:
        classes = ", ".join(AssetClass)
        raise BadInput(f"--asset-class {asset_class!r} is none of {classes}") from error
    if not re.fullmatch(rules.CURRENCY, currency):
        raise BadInput(f"--currency {currency!r}: {Reason.BAD_CURRENCY.sentence}")
    return NewInstruments(exchange=exchange_of(exchange), asset_class=known, currency=currency)


def _import(
    connection: Connection, request: ImportRequest, rejects: Rejects, on_read: Callable[[int], None]
) -> Counts:
    path, new = request.path, request.new
    options = FileOptions(
        symbol=request.symbol,
        columns=request.columns,
        timezone=request.timezone,
        create=new if request.create else None,
        replace=request.replace,
    )
    if request.kind == "instruments":
        return import_instruments(connection, path, options, new, rejects, on_read)
    if request.interval is not None:
        return import_bars(connection, path, request.interval, options, rejects, on_read)
    return import_trades(connection, path, options, rejects, on_read)


@contextmanager
def _progress(path: Path) -> Iterator[Callable[[int], None]]:
    """Show bytes read on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty() or not path.is_file():
        yield lambda count: None
        return
    with click.progressbar(length=path.stat().st_size, label=path.name, file=sys.stderr) as bar:
        yield bar.update
