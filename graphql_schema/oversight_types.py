"""Refused and odd records and audit entries as GraphQL shows them."""

from datetime import datetime
from typing import Self

import strawberry

from app.market.interval import Interval
from app.storage.audit import Action
from app.storage.batches import BatchKind
from app.storage.quarantine import State
from app.storage.reader import Row
from app.validation.anomalies import Severity
from app.validation.reasons import Reason
from graphql_schema.market_types import PageInfo
from graphql_schema.scalars import Cursor, Revision


@strawberry.type(description="A record that was refused.")
class QuarantinedRecord:
    """A row of `quarantine`."""

    id: strawberry.ID = strawberry.field(description="Give it to the mutations that decide on it.")
    batch: Revision = strawberry.field(description="The batch that it came with.")
    kind: BatchKind = strawberry.field(description="What it is a record of.")
    source: str = strawberry.field(description="Where it came from.")
    position: Revision = strawberry.field(description="Its line, or its place in the request.")
    reasons: list[Reason] = strawberry.field(description="The rules that it breaks.")
    record: str = strawberry.field(
        description="The record as it came; bytes that are no UTF-8 show as U+FFFD."
    )
    received_at: datetime = strawberry.field(description="When it came.")
    state: State = strawberry.field(description="What has become of it.")
    decided_at: datetime | None = strawberry.field(description="When somebody decided on it.")
    decided_by: str | None = strawberry.field(description="Who decided.")
    note: str | None = strawberry.field(description="What they said.")
    overrides: list[Reason] | None = strawberry.field(description="The rules that were waived.")
    released_batch: Revision | None = strawberry.field(description="The batch that stored it.")

    @classmethod
    def of(cls, row: Row) -> Self:
        """Show a row."""
        released = row["released_batch_id"]
        overrides = row["overrides"]
        return cls(
            id=strawberry.ID(str(row["quarantine_id"])),
            batch=Revision(row["batch_id"]),
            kind=BatchKind(row["kind"]),
            source=row["source"],
            position=Revision(row["position"]),
            reasons=[Reason(each) for each in row["reasons"]],
            record=row["record"].decode("utf-8", errors="replace"),
            received_at=row["received_at"],
            state=State(row["state"]),
            decided_at=row["decided_at"],
            decided_by=row["decided_by"],
            note=row["note"],
            overrides=None if overrides is None else [Reason(each) for each in overrides],
            released_batch=None if released is None else Revision(released),
        )


@strawberry.type(description="A refused record and its place in the list.")
class QuarantineEdge:
    """Relay edge of refused records."""

    cursor: Cursor = strawberry.field(description="Give it as `after` to go on behind this one.")
    node: QuarantinedRecord = strawberry.field(description="The record.")


@strawberry.type(description="A page of refused records, newest first.")
class QuarantineConnection:
    """Relay connection of refused records."""

    edges: list[QuarantineEdge] = strawberry.field(description="The records of this page.")
    page_info: PageInfo = strawberry.field(description="Whether and where there is more.")


@strawberry.type(description="An entry of the audit trail, bound to the one before it by its hash.")
class AuditEntry:
    """A row of `audit`."""

    sequence: Revision = strawberry.field(description="Its place in the chain, from 1.")
    recorded_at: datetime = strawberry.field(description="When it was made.")
    actor: str = strawberry.field(description="Who did it.")
    action: Action = strawberry.field(description="What was done.")
    subject: str = strawberry.field(description="What it was done to.")
    detail: str = strawberry.field(description="The particulars, as canonical JSON.")
    hash: str = strawberry.field(description="SHA-256 over all this and the hash before it.")

    @classmethod
    def of(cls, row: Row) -> Self:
        """Show a row."""
        return cls(
            sequence=Revision(row["sequence"]),
            recorded_at=row["recorded_at"],
            actor=row["actor"],
            action=Action(row["action"]),
            subject=row["subject"],
            detail=row["detail"],
            hash=row["hash"],
        )


@strawberry.type(description="An entry and its place in the list.")
class AuditEdge:
    """Relay edge of audit entries."""

    cursor: Cursor = strawberry.field(description="Give it as `after` to go on behind this one.")
    node: AuditEntry = strawberry.field(description="The entry.")


@strawberry.type(description="A page of the audit trail, newest first.")
class AuditConnection:
    """Relay connection of audit entries."""

    edges: list[AuditEdge] = strawberry.field(description="The entries of this page.")
    page_info: PageInfo = strawberry.field(description="Whether and where there is more.")


@strawberry.type(description="A stored row that looked odd beside the recent past.")
class Flag:
    """A row of `flag`."""

    symbol: str = strawberry.field(description="The instrument's symbol now.")
    kind: BatchKind = strawberry.field(description="What the row is.")
    interval: Interval | None = strawberry.field(description="The interval of a bar.")
    time: datetime = strawberry.field(description="The row's time.")
    row_id: str = strawberry.field(description="The id of a trade or quote; 0 for a bar.")
    rule: str = strawberry.field(description="The rule's name; docs/anomalies.md explains each.")
    severity: Severity = strawberry.field(description="How much it should worry.")
    score: float = strawberry.field(description="How odd.")
    threshold: float = strawberry.field(description="From which score on the rule flags.")
    batch: Revision = strawberry.field(description="The batch that stored the row.")

    @classmethod
    def of(cls, row: Row) -> Self:
        """Show a row."""
        minutes = row["interval_minutes"]
        return cls(
            symbol=row["symbol"],
            kind=BatchKind(row["kind"]),
            interval=Interval.of_minutes(minutes) if minutes else None,
            time=row["event_time"],
            row_id=str(row["row_id"]),
            rule=row["rule"],
            severity=Severity(row["severity"]),
            score=row["score"],
            threshold=row["threshold"],
            batch=Revision(row["batch_id"]),
        )


@strawberry.type(description="A flag and its place in the list.")
class FlagEdge:
    """Relay edge of flags."""

    cursor: Cursor = strawberry.field(description="Give it as `after` to go on behind this one.")
    node: Flag = strawberry.field(description="The flag.")


@strawberry.type(description="A page of flags, those made last first.")
class FlagConnection:
    """Relay connection of flags."""

    edges: list[FlagEdge] = strawberry.field(description="The flags of this page.")
    page_info: PageInfo = strawberry.field(description="Whether and where there is more.")
