"""Import instruments: create new ones, bring known ones up to date."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from app.errors import BadInput, ImportRefused
from app.ingestion.columns import INSTRUMENT_FIELDS, find_columns
from app.ingestion.file_import import FileOptions, OnRead, open_table
from app.ingestion.rejects import Rejects
from app.market.calendar import ALWAYS_OPEN, exchange_of
from app.market.instrument import AssetClass, Exchange
from app.storage.batches import BatchKind, Counts, next_batch_id, record_batch
from app.storage.database import Connection
from app.storage.instrument_writes import InstrumentRecord, Written, upsert
from app.validation.reasons import Reason

_SYMBOL = re.compile(r"\S(?:.{0,62}\S)?")
_CURRENCY = re.compile(r"[A-Z0-9]{3,10}")
_TICK = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,18})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds where the file does not say."""

    exchange: str = ALWAYS_OPEN
    asset_class: str = AssetClass.EQUITY
    currency: str = "USD"
    simulated: bool = False


class Refused(Exception):
    """A record cannot be used."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.sentence)
        self.reason = reason


def import_instruments(
    connection: Connection,
    path: Path,
    options: FileOptions,
    defaults: Defaults,
    rejects: Rejects,
    on_read: OnRead,
) -> Counts:
    """Store the instruments of a file as one batch; unchanged ones count as duplicates.

    Raises:
        ImportRefused: the file cannot be read, lacks a column or has no good row; nothing is
            stored.
    """
    received_at = datetime.now(UTC)
    exchanges: dict[str, Exchange] = {}
    stored = duplicate = 0
    with open_table(path, on_read) as table, connection.transaction():
        places = find_columns(
            table.header, INSTRUMENT_FIELDS, given=options.columns, constant=frozenset()
        )
        batch_id = next_batch_id(connection)
        for chunk in table.chunks(places):
            for line, text in chunk.malformed:
                rejects.add(line, Reason.MALFORMED_ROW, text)
            for row in chunk.rows.iter_rows(named=True):
                line = row.pop("line")
                try:
                    record = read_instrument(row, defaults, exchanges)
                except Refused as refused:
                    shown = ",".join(value or "" for value in row.values())
                    rejects.add(line, refused.reason, shown)
                    continue
                if upsert(connection, record) is Written.STORED:
                    stored += 1
                else:
                    duplicate += 1
        if not stored + duplicate:
            raise ImportRefused(rejects.summary("the file has no good row"))
        counts = Counts(stored=stored, duplicate=duplicate, rejected=rejects.count)
        record_batch(
            connection,
            batch_id=batch_id,
            kind=BatchKind.INSTRUMENTS,
            source=f"file:{path.name}",
            checksum=table.checksum,
            counts=counts,
            received_at=received_at,
        )
    return counts


def read_instrument(
    row: Mapping[str, str | None], defaults: Defaults, exchanges: dict[str, Exchange]
) -> InstrumentRecord:
    """Make an instrument of one row's texts; `exchanges` keeps what was looked up.

    Raises:
        Refused: a field cannot be used.
    """
    symbol = row.get("symbol") or ""
    if not _SYMBOL.fullmatch(symbol):
        raise Refused(Reason.BAD_SYMBOL)
    mic = row.get("exchange") or defaults.exchange
    if mic not in exchanges:
        try:
            exchanges[mic] = exchange_of(mic)
        except BadInput as error:
            raise Refused(Reason.UNKNOWN_EXCHANGE) from error
    try:
        asset_class = AssetClass((row.get("asset_class") or defaults.asset_class).upper())
    except ValueError as error:
        raise Refused(Reason.UNKNOWN_ASSET_CLASS) from error
    currency = row.get("currency") or defaults.currency
    if not _CURRENCY.fullmatch(currency):
        raise Refused(Reason.BAD_CURRENCY)
    return InstrumentRecord(
        symbol=symbol,
        name=row.get("name"),
        exchange=exchanges[mic],
        asset_class=asset_class,
        currency=currency,
        tick_size=_tick_size(row.get("tick_size")),
        simulated=defaults.simulated,
    )


def _tick_size(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not _TICK.fullmatch(format(value, "f")) or value <= 0:
        raise Refused(Reason.BAD_NUMBER)
    return value
