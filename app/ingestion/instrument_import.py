"""Import instruments: create new ones, bring known ones up to date."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from app.errors import BadInput, ImportRefused
from app.ingestion.columns import INSTRUMENT_FIELDS, find_columns
from app.ingestion.delivery import Receipt
from app.ingestion.file_import import OnRead, nothing_good, open_table
from app.ingestion.quarantining import NO_RECORD, Quarantining
from app.ingestion.rejects import Rejects
from app.market.instrument import AssetClass, Exchange
from app.market.schedule import exchange_of
from app.storage.audit import Action
from app.storage.batches import BatchKind, Counts, next_batch_id, record_batch
from app.storage.database import Connection
from app.storage.instrument_writes import (
    InstrumentRecord,
    NewInstruments,
    Written,
    lock_instruments,
    upsert,
)
from app.validation import rules
from app.validation.reasons import Reason

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"


class Refused(Exception):
    """A record cannot be used."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.sentence)
        self.reason = reason


def import_instruments(
    connection: Connection,
    path: Path,
    new: NewInstruments,
    rejects: Rejects,
    on_read: OnRead,
    *,
    actor: str,
    columns: Mapping[str, str],
) -> Receipt:
    """Store the instruments of a file as one batch; unchanged ones count as duplicates.

    What the file does not say is kept for known instruments, and is as in `new` for new ones. Of
    lines with the same symbol the last has the last word; those before it count as duplicates.

    Raises:
        ImportRefused: the file cannot be read or lacks a column, and nothing is kept; or it has no
            good record, and all of them are in quarantine.
    """
    received_at = datetime.now(UTC)
    exchanges: dict[str, Exchange] = {}
    records: dict[tuple[str, str | None], InstrumentRecord] = {}
    good = 0
    with open_table(path, on_read) as table, connection.transaction():
        places = find_columns(table.header, INSTRUMENT_FIELDS, given=columns, constant=frozenset())
        refused = Quarantining(connection, rejects)
        for chunk in table.chunks(places):
            bad: list[tuple[int, Reason]] = []
            for row in chunk.rows.iter_rows(named=True):
                line = row.pop("line")
                try:
                    record = read_instrument(row, exchanges)
                except Refused as error:
                    bad.append((line, error.reason))
                    continue
                key = (record.symbol, record.former_symbol)
                records[key] = _merged(records.pop(key, None), record)
                good += 1
            refused.add_malformed(chunk)
            refused.add(chunk, bad)
        if not good + refused.reasons.total():
            raise ImportRefused(NO_RECORD)
        lock_instruments(connection)
        batch_id = next_batch_id(connection, None if records else [])
        written = [upsert(connection, record, new) for record in records.values()]
        stored = written.count(Written.STORED)
        counts = Counts(stored=stored, duplicate=good - stored, rejected=refused.reasons.total())
        refused.keep(batch_id, {"kind": BatchKind.INSTRUMENTS})
        record_batch(
            connection,
            batch_id=batch_id,
            kind=BatchKind.INSTRUMENTS,
            source=f"file:{path.name}",
            checksum=table.checksum,
            counts=counts,
            received_at=received_at,
            actor=actor,
            action=Action.INSTRUMENTS,
        )
    if not good:
        raise nothing_good(batch_id, rejects)
    return Receipt(batch_id=batch_id, counts=counts, reasons=refused.reasons)


def read_instrument(
    row: Mapping[str, str | None], exchanges: dict[str, Exchange]
) -> InstrumentRecord:
    """Make an instrument of one row's texts; `exchanges` keeps what was looked up.

    Raises:
        Refused: a field cannot be used.
    """
    symbol, name = row.get("symbol") or "", row.get("name")
    if not re.fullmatch(rules.SYMBOL, symbol):
        raise Refused(Reason.BAD_SYMBOL)
    if name is not None and not re.fullmatch(rules.NAME, name):
        raise Refused(Reason.BAD_NAME)
    currency = row.get("currency")
    if currency is not None and not re.fullmatch(rules.CURRENCY, currency):
        raise Refused(Reason.BAD_CURRENCY)
    listed_on, delisted_on = _date(row.get("listed_on")), _date(row.get("delisted_on"))
    if listed_on is not None and delisted_on is not None and delisted_on < listed_on:
        raise Refused(Reason.BAD_DATE)
    former, renamed_on = row.get("former_symbol") or None, _date(row.get("renamed_on"))
    if former is not None and (former == symbol or not re.fullmatch(rules.SYMBOL, former)):
        raise Refused(Reason.BAD_SYMBOL)
    if (former is None) != (renamed_on is None):
        raise Refused(Reason.BAD_DATE if renamed_on is None else Reason.BAD_SYMBOL)
    return InstrumentRecord(
        symbol=symbol,
        name=name,
        exchange=_exchange(row.get("exchange"), exchanges),
        asset_class=_asset_class(row.get("asset_class")),
        currency=currency,
        tick_size=_tick_size(row.get("tick_size")),
        listed_on=listed_on,
        delisted_on=delisted_on,
        former_symbol=former,
        renamed_on=renamed_on,
    )


def _merged(earlier: InstrumentRecord | None, record: InstrumentRecord) -> InstrumentRecord:
    if earlier is None:
        return record
    said = {each.name: getattr(record, each.name) for each in fields(record)}
    return replace(earlier, **{name: value for name, value in said.items() if value is not None})


def _exchange(mic: str | None, exchanges: dict[str, Exchange]) -> Exchange | None:
    if mic is None:
        return None
    if mic not in exchanges:
        try:
            exchanges[mic] = exchange_of(mic)
        except BadInput as error:
            raise Refused(Reason.UNKNOWN_EXCHANGE) from error
    return exchanges[mic]


def _asset_class(text: str | None) -> AssetClass | None:
    if text is None:
        return None
    try:
        return AssetClass(text.upper())
    except ValueError as error:
        raise Refused(Reason.UNKNOWN_ASSET_CLASS) from error


def _tick_size(text: str | None) -> Decimal | None:
    if text is None:
        return None
    value = rules.exact(text)
    if value is None or value <= 0:
        raise Refused(Reason.BAD_NUMBER)
    return value


def _date(text: str | None) -> date | None:
    if text is None:
        return None
    if not re.fullmatch(_DATE, text):
        raise Refused(Reason.BAD_DATE)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refused(Reason.BAD_DATE) from error
