"""Take records out of quarantine: through validation again, or for good."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

import polars as pl

from app.errors import BadInput, RangeTooLarge
from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.pipeline import deliver
from app.ingestion.rows_table import rows_table
from app.ingestion.table import Chunk
from app.market.interval import Interval
from app.storage import quarantine
from app.storage.audit import Action, append_alone
from app.storage.batches import BatchKind
from app.storage.database import Connection
from app.storage.quarantine import Refused
from app.validation.reasons import Reason

MAX_RECORDS = 10_000
SOURCE = "quarantine"
NOT_PENDING = "NOT_PENDING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What became of records: batches of those that are stored now, reasons of the others.

    A record that is not in quarantine, or was decided on before, has the reason NOT_PENDING.
    """

    receipts: list[Receipt]
    refused: dict[int, list[str]]


def release(
    connection: Connection,
    ids: Sequence[int],
    *,
    actor: str,
    overrides: Collection[Reason] = (),
    note: str | None = None,
) -> Release:
    """Deliver quarantined records again, as they came; those still refused stay where they are.

    `overrides` name rules that are waived for them, which the audit trail records;
    CONTRADICTS_STORED corrects what is stored. Each kind of record becomes a batch.

    Raises:
        BadInput: an override is for a rule that nobody may waive.
        RangeTooLarge: over MAX_RECORDS.
    """
    for reason in overrides:
        if not reason.may_be_waived:
            raise BadInput(f"{reason} cannot be overridden: {reason.sentence}")
    wanted = _checked(ids)
    receipts: list[Receipt] = []
    refused: dict[int, list[str]] = {each: [NOT_PENDING] for each in wanted}
    with connection.transaction():
        records = quarantine.pending(connection, wanted)
    refused |= {each.quarantine_id: each.reasons for each in records}
    readable = [each for each in records if each.fields is not None and _is_data(each)]
    for _, group in groupby(sorted(readable, key=_how), key=_how):
        releasing = _Releasing(actor, sorted(overrides), note)
        with suppress(_NothingGood), connection.transaction():
            held = quarantine.pending(connection, [each.quarantine_id for each in group])
            if held:
                receipts.append(releasing.run(connection, held))
                for each in releasing.released:
                    del refused[each]
        refused |= releasing.refused
    return Release(receipts=receipts, refused=refused)


def discard(
    connection: Connection, ids: Sequence[int], *, actor: str, note: str | None = None
) -> list[int]:
    """Decide that records will not be stored; they stay readable. Gives those decided on now.

    Raises:
        RangeTooLarge: over MAX_RECORDS.
    """
    wanted = _checked(ids)
    with connection.transaction():
        gone = quarantine.discard(connection, wanted, actor=actor, note=note)
        if gone:
            append_alone(
                connection,
                actor=actor,
                action=Action.DISCARD,
                subject=f"{len(gone)} records",
                detail={"quarantine_ids": gone, "note": note},
            )
    return gone


class _NothingGood(Exception):
    """Every record is refused again: there is no batch."""


class _Releasing:
    """Delivers records; notes which are refused again, the others are released with the batch."""

    new = False

    def __init__(self, actor: str, overrides: Sequence[str], note: str | None) -> None:
        self._actor = actor
        self._overrides = overrides
        self._note = note
        self._ids: list[int] = []
        self._told: dict[str, object] = {"overrides": overrides, "note": note}
        self.reasons: Counter[Reason] = Counter()
        self.refused: dict[int, list[str]] = {}
        self.released: list[int] = []

    def run(self, connection: Connection, records: Sequence[Refused]) -> Receipt:
        """Deliver records that are read alike, in the caller's transaction.

        Raises:
            _NothingGood: all of them are refused again.
        """
        self._ids = [each.quarantine_id for each in records]
        self._connection = connection
        options = records[0].options
        interval = options["interval"]
        delivery = Delivery(
            kind=BatchKind(options["kind"]),
            source=SOURCE,
            actor=self._actor,
            interval=None if interval is None else Interval.parse(interval),
            timezone=options["timezone"],
            replace=Reason.CONTRADICTS_STORED in self._overrides,
            waived=frozenset(Reason(each) for each in self._overrides),
            released=self._told,
        )
        fields = [each.fields or {} for each in records]
        return deliver(connection, lambda: rows_table(fields), delivery, refusals=lambda _: self)

    def add_malformed(self, chunk: Chunk) -> None:
        self.add(chunk, [(line, Reason.MALFORMED_ROW) for line in chunk.malformed])

    def add(self, chunk: Chunk, refused: Sequence[tuple[int, Reason]]) -> None:
        for line, reason in refused:
            self._add(line, [reason.value])

    def add_frame(self, chunk: Chunk, refused: pl.DataFrame) -> None:
        for line, reasons in refused.iter_rows():
            self._add(line, reasons)

    def keep(self, batch_id: int, options: Mapping[str, object]) -> None:
        self.released = [each for each in self._ids if each not in self.refused]
        if not self.released:
            raise _NothingGood
        self._told["quarantine_ids"] = self.released
        quarantine.release(
            self._connection,
            self.released,
            batch_id=batch_id,
            actor=self._actor,
            overrides=self._overrides,
            note=self._note,
        )

    def _add(self, line: int, reasons: list[str]) -> None:
        self.reasons[Reason(reasons[0])] += 1
        self.refused[self._ids[line - 1]] = reasons


def _checked(ids: Sequence[int]) -> list[int]:
    if len(ids) > MAX_RECORDS:
        raise RangeTooLarge(f"{len(ids)} records: at most {MAX_RECORDS} at once")
    return list(dict.fromkeys(ids))


def _is_data(record: Refused) -> bool:
    """Tell whether a record is released by a delivery; others are imported again instead."""
    return str(record.options["kind"]) not in (BatchKind.INSTRUMENTS, BatchKind.ACTIONS)


def _how(record: Refused) -> tuple[str, ...]:
    """Tell what records have in common that are delivered together."""
    options = record.options
    read = (options["kind"], options["interval"] or "", options["timezone"])
    return (*read, *sorted(record.fields or ()))
