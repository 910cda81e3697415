"""`tickgraph quarantine`: list refused records, release them, or discard them."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import click

from app.commands.console import say, settings
from app.commands.database import OpenDatabase, open_database
from app.commands.operator import operator
from app.ingestion.release import MAX_RECORDS, discard, release
from app.query.oversight import RefusedFilter, read_refused
from app.storage.batches import BatchKind
from app.storage.quarantine import State
from app.storage.reader import Row, open_reader
from app.validation.reasons import Reason

_SHOWN = 120
_FILTERS = (
    click.option("--reason", type=click.Choice(list(Reason)), help="Records that break this rule."),
    click.option("--kind", type=click.Choice(list(BatchKind)), help="Records of this kind."),
    click.option("--source", help="Records from this source, such as file:trades.csv."),
    click.option("--batch", "batch_id", type=int, help="Records that came with this batch."),
)


def _filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose records, as one argument `wanted`."""

    @wraps(command)
    def run(
        reason: str | None, kind: str | None, source: str | None, batch_id: int | None, **more: Any
    ) -> None:
        wanted = RefusedFilter(
            state=more.pop("state", State.PENDING),
            reason=reason,
            kind=kind,
            source=source,
            batch_id=batch_id,
        )
        command(wanted=wanted, **more)

    for option in reversed(_FILTERS):
        run = option(run)
    return run


@click.group()
def quarantine() -> None:
    """Look after refused records."""


@quarantine.command("list")
@click.option("--state", type=click.Choice(list(State)), default=State.PENDING, show_default=True)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@_filtered
def list_(*, wanted: RefusedFilter, limit: int, as_json: bool) -> None:
    """List refused records, newest first."""
    with open_database(settings(), say) as database:
        database.require_schema()
        for row in _rows(database, wanted, limit):
            click.echo(json.dumps(_as_json(row)) if as_json else _as_text(row))


@quarantine.command("release")
@click.argument("ids", nargs=-1, type=int)
@click.option(
    "--override",
    "overrides",
    multiple=True,
    type=click.Choice([each for each in Reason if each.may_be_waived]),
    help="Waive a rule for these records; the audit trail records it.",
)
@click.option("--note", help="Why, for the audit trail.")
@_filtered
def release_(
    *, wanted: RefusedFilter, ids: tuple[int, ...], overrides: tuple[str, ...], note: str | None
) -> None:
    """Store refused records after all: by their ids, or all that the options choose."""
    stays = 0
    with open_database(settings(), say) as database:
        database.require_schema()
        for some in _chosen(database, ids, wanted):
            with database.connection() as connection:
                found = release(
                    connection,
                    some,
                    actor=operator(),
                    overrides=[Reason(each) for each in overrides],
                    note=note,
                )
            for receipt in found.receipts:
                click.echo(
                    f"batch {receipt.batch_id}: {receipt.counts.stored} stored,"
                    f" {receipt.counts.duplicate} duplicate"
                )
            for key, reasons in sorted(found.refused.items()):
                click.echo(f"{key} stays: {', '.join(reasons)}")
            stays += len(found.refused)
    sys.exit(1 if stays else 0)


@quarantine.command("discard")
@click.argument("ids", nargs=-1, type=int)
@click.option("--note", help="Why, for the audit trail.")
@_filtered
def discard_(*, wanted: RefusedFilter, ids: tuple[int, ...], note: str | None) -> None:
    """Decide that records will not be stored; they can still be listed."""
    gone = 0
    with open_database(settings(), say) as database:
        database.require_schema()
        for some in _chosen(database, ids, wanted):
            with database.connection() as connection:
                gone += len(discard(connection, some, actor=operator(), note=note))
    click.echo(f"{gone} discarded")


def _chosen(
    database: OpenDatabase, ids: Sequence[int], wanted: RefusedFilter
) -> Iterator[list[int]]:
    """Give the ids to decide on, as many at a time as may be: those named, or those filtered."""
    anything = any((wanted.reason, wanted.kind, wanted.source, wanted.batch_id))
    if bool(ids) == anything:
        raise click.UsageError("name the records by their ids, or choose them by options")
    chosen = list(ids) or [row["quarantine_id"] for row in _rows(database, wanted, None)]
    for start in range(0, len(chosen), MAX_RECORDS):
        yield chosen[start : start + MAX_RECORDS]


def _rows(database: OpenDatabase, wanted: RefusedFilter, limit: int | None) -> list[Row]:
    """Read records page by page, newest first."""

    async def read() -> list[Row]:
        rows: list[Row] = []
        async with open_reader(
            database.url,
            pool_size=1,
            pool_timeout_s=database.settings.pool_timeout_s,
            statement_timeout_s=database.settings.statement_timeout_s,
        ) as reader:
            while limit is None or len(rows) < limit:
                size = MAX_RECORDS if limit is None else min(MAX_RECORDS, limit - len(rows))
                before = rows[-1]["quarantine_id"] if rows else None
                page = await read_refused(reader, wanted, before=before, limit=size)
                rows += page
                if len(page) < size:
                    break
        return rows

    return asyncio.run(read())


def _as_text(row: Row) -> str:
    record = row["record"].decode("utf-8", errors="replace")[:_SHOWN]
    return (
        f"{row['quarantine_id']}  batch {row['batch_id']} {row['source']}:{row['position']}"
        f"  {', '.join(row['reasons'])}  {record!r}"
    )


def _as_json(row: Row) -> dict[str, object]:
    return {
        "id": row["quarantine_id"],
        "batch": row["batch_id"],
        "kind": row["kind"],
        "source": row["source"],
        "position": row["position"],
        "reasons": row["reasons"],
        "record": row["record"].decode("utf-8", errors="replace"),
        "receivedAt": row["received_at"].isoformat(),
        "state": row["state"],
        "decidedAt": row["decided_at"] and row["decided_at"].isoformat(),
        "decidedBy": row["decided_by"],
        "note": row["note"],
        "overrides": row["overrides"],
        "releasedBatch": row["released_batch_id"],
    }
