"""Run one import with its progress bar, refused rows and summary."""

import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from app.commands.database import OpenDatabase
from app.errors import BadInput, TickgraphError
from app.ingestion.action_import import import_actions
from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.file_import import import_file
from app.ingestion.instrument_import import import_instruments
from app.ingestion.rejects import Rejects, rejects_to
from app.market.instrument import AssetClass
from app.market.schedule import exchange_of
from app.rollups.refresh import refresh
from app.storage.batches import BatchKind
from app.storage.database import Connection
from app.storage.instrument_writes import NewInstruments
from app.validation import rules
from app.validation.reasons import Reason

logger = logging.getLogger(__name__)


KINDS = {each.value.lower(): each for each in BatchKind}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What the command line asked for; `new` are the instruments that a file does not describe."""

    path: Path
    delivery: Delivery
    new: NewInstruments
    rejects: Path | None

    def __post_init__(self) -> None:
        """Refuse what could only end badly.

        Raises:
            BadInput: the rejects would overwrite the file.
        """
        if self.rejects is not None and self.rejects.resolve() == self.path.resolve():
            raise BadInput(f"--rejects {str(self.rejects)!r} is the file to import")


def as_text(request: ImportRequest, receipt: Receipt) -> str:
    """Say to a person what became of the records."""
    counts, kind = receipt.counts, request.delivery.kind.lower()
    lines = [
        f"{counts.received:,} {kind} received: {counts.stored:,} stored,"
        f" {counts.duplicate:,} duplicate, {counts.rejected:,} rejected"
    ]
    lines += [f"  {count:,} {reason}" for reason, count in sorted(receipt.reasons.items())]
    return "\n".join(lines)


def import_command(database: OpenDatabase, request: ImportRequest) -> Receipt:
    """Import the file and bring the roll-ups up to it.

    Raises:
        TickgraphError: the file cannot be used; nothing is stored.
    """
    with (
        rejects_to(request.rejects) as rejects,
        database.connection() as connection,
        _progress(request.path) as on_read,
    ):
        receipt = _import(connection, request, rejects, on_read)
    try:
        with database.connection() as connection:
            refresh(connection)
    except TickgraphError as error:
        # The rows are committed, and reads find them without the roll-ups: no failed import.
        logger.warning("the roll-ups do not follow yet: %s", error.message)
    return receipt


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
) -> Receipt:
    path, delivery = request.path, request.delivery
    if delivery.kind is BatchKind.ACTIONS:
        return import_actions(connection, path, delivery, rejects, on_read)
    if delivery.kind is not BatchKind.INSTRUMENTS:
        return import_file(connection, path, delivery, rejects, on_read)
    return import_instruments(
        connection,
        path,
        request.new,
        rejects,
        on_read,
        actor=delivery.actor,
        columns=delivery.columns,
    )


@contextmanager
def _progress(path: Path) -> Iterator[Callable[[int], None]]:
    """Show bytes read on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty() or not path.is_file():
        yield lambda count: None
        return
    with click.progressbar(length=path.stat().st_size, label=path.name, file=sys.stderr) as bar:
        yield bar.update
