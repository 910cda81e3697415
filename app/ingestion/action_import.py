"""Import corporate actions: splits, cash dividends and spin-offs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import polars as pl

from app.errors import ImportRefused
from app.ingestion.columns import ACTION_FIELDS, find_columns
from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.file_import import OnRead, nothing_good, open_table
from app.ingestion.quarantining import NO_RECORD, Quarantining
from app.ingestion.rejects import Rejects
from app.ingestion.symbols import Symbols
from app.ingestion.table import Chunk
from app.market.adjustment import ActionKind
from app.storage import corporate_actions
from app.storage.batches import Counts, next_batch_id, record_batch
from app.storage.database import Connection
from app.validation import rules
from app.validation.reasons import Reason

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RATIO = re.compile(r"([0-9.eE+-]+)(?:\s*[:/]\s*([0-9.eE+-]+))?")
_NUMBER = re.compile(r"[0-9]{1,4}")
_MAX_NUMBER = 1000
_YEARS = (1900, 2199)
_NOON = time(12, tzinfo=UTC)
_RESOLVABLE: dict[str, pl.DataType | type[pl.DataType]] = {
    "line": pl.Int64,
    "symbol": pl.String,
    "event_time": pl.Datetime("us", "UTC"),
}
_STAGED: dict[str, type[pl.DataType]] = {
    name: pl.Int64 if kind in {"bigint", "integer"} else pl.String
    for name, kind in corporate_actions.STAGING.columns
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRecord:
    """What a source says of one action."""

    symbol: str
    ex_date: date
    kind: ActionKind
    number: int
    ratio: tuple[Decimal, Decimal] | None
    amount: Decimal | None
    currency: str | None


class Refused(Exception):
    """A record cannot be used."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.sentence)
        self.reason = reason


def import_actions(
    connection: Connection, path: Path, delivery: Delivery, rejects: Rejects, on_read: OnRead
) -> Receipt:
    """Store the actions of a file as one batch; ones sent again count as duplicates.

    A symbol is looked up as of the ex date. Without `delivery.replace`, an action that is stored
    with other content is refused; of lines with one key the first counts, with it the last.

    Raises:
        ImportRefused: the file cannot be read or lacks a column, and nothing is kept; or it has no
            good record, and all of them are in quarantine.
    """
    received_at = datetime.now(UTC)
    constant = frozenset() if delivery.symbol is None else frozenset({"symbol"})
    symbols = Symbols(connection, None)
    received = 0
    with connection.transaction():
        refused = Quarantining(connection, rejects)
        corporate_actions.STAGING.create(connection)
        with open_table(path, on_read) as table:
            places = find_columns(
                table.header, ACTION_FIELDS, given=delivery.columns, constant=constant
            )
            for chunk in table.chunks(places):
                received += chunk.rows.height + len(chunk.malformed)
                staged, bad = _judged(chunk, delivery.symbol, symbols)
                corporate_actions.STAGING.copy(
                    connection, staged.write_csv(include_header=False).encode()
                )
                refused.add_malformed(chunk)
                refused.add(chunk, bad)
        if not received:
            raise ImportRefused(NO_RECORD)
        batch_id = next_batch_id(connection, corporate_actions.touching(connection))
        stored = corporate_actions.insert(
            connection,
            source=delivery.source,
            batch_id=batch_id,
            received_at=received_at,
            replace=delivery.replace,
        )
        if stored.conflicts:
            waiting = set(stored.conflicts)
            with open_table(path, lambda _: None) as again:
                for chunk in again.chunks(places):
                    own = sorted(waiting.intersection(chunk.rows["line"]))
                    refused.add(chunk, [(line, Reason.CONTRADICTS_STORED) for line in own])
        counts = Counts(
            stored=stored.stored, duplicate=stored.duplicate, rejected=refused.reasons.total()
        )
        assert counts.received == received, "a record has no outcome, or two"
        refused.keep(batch_id, delivery.options)
        record_batch(
            connection,
            batch_id=batch_id,
            kind=delivery.kind,
            source=delivery.source,
            checksum=table.checksum,
            counts=counts,
            received_at=received_at,
            actor=delivery.actor,
            action=delivery.action,
        )
    if not counts.stored + counts.duplicate:
        raise nothing_good(batch_id, rejects)
    return Receipt(batch_id=batch_id, counts=counts, reasons=refused.reasons)


def _judged(
    chunk: Chunk, symbol: str | None, symbols: Symbols
) -> tuple[pl.DataFrame, Sequence[tuple[int, Reason]]]:
    """Give the rows for staging, and the refused lines."""
    bad: list[tuple[int, Reason]] = []
    good: dict[int, ActionRecord] = {}
    for row in chunk.rows.iter_rows(named=True):
        line = row.pop("line")
        try:
            good[line] = read_action(row if symbol is None else row | {"symbol": symbol})
        except Refused as error:
            bad.append((line, error.reason))
    asked = [
        (line, each.symbol, datetime.combine(each.ex_date, _NOON)) for line, each in good.items()
    ]
    found = symbols.resolve(pl.DataFrame(asked, schema=_RESOLVABLE, orient="row"))
    rows = []
    for line, instrument_id in found.select("line", "instrument_id").iter_rows():
        if instrument_id is None:
            bad.append((line, Reason.UNKNOWN_SYMBOL))
        else:
            rows.append((line, instrument_id, *_texts(good[line])))
    return pl.DataFrame(rows, schema=_STAGED, orient="row"), sorted(bad)


def _texts(action: ActionRecord) -> tuple[str | None, ...]:
    new, old = action.ratio or (None, None)
    exact = [None if each is None else format(each, "f") for each in (new, old, action.amount)]
    return (
        action.ex_date.isoformat(), action.kind.value, str(action.number), *exact, action.currency
    )  # fmt: skip


def read_action(row: Mapping[str, str | None]) -> ActionRecord:
    """Make an action of one row's texts.

    Raises:
        Refused: a field cannot be used.
    """
    symbol = row.get("symbol") or ""
    if not re.fullmatch(rules.SYMBOL, symbol):
        raise Refused(Reason.BAD_SYMBOL)
    number = row.get("number") or "1"
    try:
        kind = ActionKind((row.get("action") or "").upper().replace("-", "_").replace(" ", "_"))
    except ValueError as error:
        raise Refused(Reason.UNKNOWN_ACTION) from error
    if not _NUMBER.fullmatch(number) or not 1 <= int(number) <= _MAX_NUMBER:
        raise Refused(Reason.UNKNOWN_ACTION)
    ratio, amount, currency = _ratio(row.get("ratio")), _amount(row.get("amount")), None
    if (ratio is None) if kind is ActionKind.SPLIT else (kind is ActionKind.DIVIDEND and ratio):
        raise Refused(Reason.BAD_RATIO)
    if kind is ActionKind.SPLIT and amount is not None:
        raise Refused(Reason.BAD_AMOUNT)
    if kind is not ActionKind.SPLIT and amount is None and ratio is None:
        raise Refused(Reason.BAD_AMOUNT)
    if amount is not None:
        currency = row.get("currency") or None
        if currency is not None and not re.fullmatch(rules.CURRENCY, currency):
            raise Refused(Reason.BAD_CURRENCY)
    return ActionRecord(
        symbol=symbol,
        ex_date=_date(row.get("ex_date")),
        kind=kind,
        number=int(number),
        ratio=ratio,
        amount=amount,
        currency=currency,
    )


def _ratio(text: str | None) -> tuple[Decimal, Decimal] | None:
    if not text:
        return None
    match = _RATIO.fullmatch(text.strip())
    parts = [] if match is None else [rules.exact(each or "1") for each in match.groups()]
    new, old = parts or (None, None)
    if new is None or old is None or new <= 0 or old <= 0:
        raise Refused(Reason.BAD_RATIO)
    return new, old


def _amount(text: str | None) -> Decimal | None:
    if not text:
        return None
    value = rules.exact(text)
    if value is None or value < 0:
        raise Refused(Reason.BAD_AMOUNT)
    return value


def _date(text: str | None) -> date:
    if text is None or not _DATE.fullmatch(text):
        raise Refused(Reason.BAD_DATE)
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise Refused(Reason.BAD_DATE) from error
    if not _YEARS[0] <= day.year <= _YEARS[1]:
        raise Refused(Reason.BAD_DATE)
    return day
