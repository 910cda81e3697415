"""Root fields for those who look after the data: refused and odd records, the audit trail."""

import strawberry

from app.errors import UnknownSymbol
from app.query.oversight import RefusedFilter, read_audit, read_flags, read_refused
from app.storage.audit import Action
from app.storage.batches import BatchKind
from app.storage.quarantine import State
from app.validation.reasons import Reason
from graphql_schema import ids
from graphql_schema.candle_arguments import From, To
from graphql_schema.context import Info
from graphql_schema.oversight_types import (
    AuditConnection,
    AuditEdge,
    AuditEntry,
    Flag,
    FlagConnection,
    FlagEdge,
    QuarantineConnection,
    QuarantinedRecord,
    QuarantineEdge,
)
from graphql_schema.paging import before_key, page_info, page_size, plain_text
from graphql_schema.scalars import Cursor, Revision

_REFUSED, _ENTRY, _FLAG = "Refused", "AuditEntry", "Flag"


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
        count = page_size(first)
        wanted = RefusedFilter(
            state=state,
            reason=reason,
            kind=kind,
            source=plain_text("source", source),
            batch_id=batch,
        )
        rows = await read_refused(
            info.context.reader, wanted, before=before_key(_REFUSED, after), limit=count + 1
        )
        edges = [
            QuarantineEdge(
                cursor=Cursor(ids.encode(_REFUSED, row["quarantine_id"])),
                node=QuarantinedRecord.of(row),
            )
            for row in rows[:count]
        ]
        return QuarantineConnection(
            edges=edges, page_info=page_info(edges, len(rows) > count, after)
        )

    @strawberry.field(
        description="Stored rows that looked odd, those flagged last first; times are the rows'."
    )
    async def flags(
        self,
        info: Info,
        symbol: str | None = None,
        rule: str | None = None,
        from_: From = None,
        to: To = None,
        first: int | None = 50,
        after: str | None = None,
    ) -> FlagConnection:
        """Load a page."""
        count, own = page_size(first), None
        if symbol is not None:
            found = await info.context.loaders.instrument_by_symbol.load(symbol)
            if found is None:
                raise UnknownSymbol(f"no instrument has the symbol {symbol!r}")
            own = found.instrument_id
        rows = await read_flags(
            info.context.reader,
            instrument_id=own,
            rule=plain_text("rule", rule),
            start=from_,
            end=to,
            before=before_key(_FLAG, after),
            limit=count + 1,
        )
        edges = [
            FlagEdge(cursor=Cursor(ids.encode(_FLAG, row["flag_id"])), node=Flag.of(row))
            for row in rows[:count]
        ]
        return FlagConnection(edges=edges, page_info=page_info(edges, len(rows) > count, after))

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
        count = page_size(first)
        rows = await read_audit(
            info.context.reader,
            actor=plain_text("actor", actor),
            action=action,
            start=from_,
            end=to,
            before=before_key(_ENTRY, after),
            limit=count + 1,
        )
        edges = [
            AuditEdge(cursor=Cursor(ids.encode(_ENTRY, row["sequence"])), node=AuditEntry.of(row))
            for row in rows[:count]
        ]
        return AuditConnection(edges=edges, page_info=page_info(edges, len(rows) > count, after))
