"""Refused records and the audit trail as GraphQL shows them."""

from datetime import datetime
from typing import Self

import strawberry

from app.errors import BadInput, RangeTooLarge
from app.query.oversight import RefusedFilter, read_audit, read_refused
from app.storage.audit import Action
from app.storage.batches import BatchKind
from app.storage.quarantine import State
from app.storage.reader import Row
from app.validation.reasons import Reason
from graphql_schema import ids
from graphql_schema.context import Info
from graphql_schema.instrument import From, To
from graphql_schema.market_types import PageInfo
from graphql_schema.scalars import Cursor, Revision

_MAX_PAGE = 1000
_REFUSED, _ENTRY = "Refused", "AuditEntry"


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


@strawberry.type(description="What people look after.")
class Oversight:
    """Root fields for those who look after the data."""

    @strawberry.field(description="Records that were refused, newest first.")
    async def quarantine(
        self,
        info: Info,
        state: State | None = None,
        reason: Reason | None = None,
        kind: BatchKind | None = None,
        source: str | None = None,
        batch: Revision | None = None,
        first: int | None = 50,
        after: str | None = None,
    ) -> QuarantineConnection:
        """Load a page."""
        count = _page(first)
        wanted = RefusedFilter(
            state=state, reason=reason, kind=kind, source=_plain("source", source), batch_id=batch
        )
        rows = await read_refused(
            info.context.reader, wanted, before=_before(_REFUSED, after), limit=count + 1
        )
        edges = [
            QuarantineEdge(
                cursor=Cursor(ids.encode(_REFUSED, row["quarantine_id"])),
                node=QuarantinedRecord.of(row),
            )
            for row in rows[:count]
        ]
        cursors = [edge.cursor for edge in edges]
        return QuarantineConnection(edges=edges, page_info=_info(cursors, len(rows) > count, after))

    @strawberry.field(
        description="The audit trail, newest first; times are when entries were made."
    )
    async def audit(
        self,
        info: Info,
        actor: str | None = None,
        action: Action | None = None,
        from_: From = None,
        to: To = None,
        first: int | None = 50,
        after: str | None = None,
    ) -> AuditConnection:
        """Load a page."""
        count = _page(first)
        rows = await read_audit(
            info.context.reader,
            actor=_plain("actor", actor),
            action=action,
            start=from_,
            end=to,
            before=_before(_ENTRY, after),
            limit=count + 1,
        )
        edges = [
            AuditEdge(cursor=Cursor(ids.encode(_ENTRY, row["sequence"])), node=AuditEntry.of(row))
            for row in rows[:count]
        ]
        cursors = [edge.cursor for edge in edges]
        return AuditConnection(edges=edges, page_info=_info(cursors, len(rows) > count, after))


def _page(first: int | None) -> int:
    count = 50 if first is None else first
    if count < 0:
        raise BadInput(f"`first` is {count}: it must be from 0 to {_MAX_PAGE}")
    if count > _MAX_PAGE:
        raise RangeTooLarge(f"`first` is {count}: at most {_MAX_PAGE} are given at once")
    return count


def _plain(name: str, text: str | None) -> str | None:
    if text is not None and "\0" in text:
        raise BadInput(f"`{name}` holds a NUL character")
    return text


def _before(kind: str, cursor: str | None) -> int | None:
    key = ids.decode_cursor(kind, cursor)
    return None if key is None else int(key)


def _info(cursors: list[Cursor], has_next: bool, after: str | None) -> PageInfo:
    return PageInfo(
        has_next_page=has_next,
        has_previous_page=after is not None,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
