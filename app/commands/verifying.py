"""Verify a database: the audit trail, the batch log, the counts of each source, the roll-ups."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from app.commands.database import OpenDatabase
from app.errors import BadInput
from app.rollups.verification import Difference as RollupDifference
from app.rollups.verification import Skipped, Unverifiable, verify_rollups
from app.storage.audit import Entry
from app.storage.audit_batches import LogComparison, SourceCounts, source_counts
from app.storage.audit_walk import Chain, bounds, parse_head, unguarded, walk
from app.storage.database import Connection

# How many differences of a kind, and lines of sources, are shown; all are counted.
SHOWN = 100

_LEFT_OUT = {
    Unverifiable.UNFOLLOWED: "not followed yet (`tickgraph refresh` does)",
    Unverifiable.DROPPED: "retention has dropped the rows",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest:
    """What the command line asked for: a head that was kept, and the roll-ups' range."""

    head: Entry | None
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollups:
    """How the roll-ups compare with their rows: how many columns differ, the first of them."""

    differing: int
    differences: list[RollupDifference]
    skipped: list[Skipped]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All that was found."""

    chain: Chain
    unguarded: list[str]
    log: LogComparison
    sources: list[SourceCounts]
    rollups: Rollups

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        trail = self.chain.broken is None and not self.unguarded and not self.log.count
        return trail and all(each.agrees for each in self.sources) and not self.rollups.differing

    def as_json(self) -> dict[str, object]:
        """Give `ok`, the present `head`, and what was found of each part."""
        broken = self.chain.broken
        return {
            "ok": self.ok,
            "head": str(self.chain.head),
            "chain": {
                "entries": self.chain.entries,
                "broken": None
                if broken is None
                else {
                    "sequence": broken.sequence,
                    "flaw": broken.flaw.name,
                    "found": broken.flaw.value,
                },
                "unguarded": self.unguarded,
            },
            "batches": {
                "compared": self.log.batches,
                "before_trail": self.log.before_trail,
                "differing": self.log.count,
                "differences": [
                    {"batch": each.batch_id, "found": each.found} for each in self.log.differences
                ],
            },
            "sources": [_source_json(each) for each in self.sources],
            "rollups": {
                "differing": self.rollups.differing,
                "differences": [_rollup_json(each) for each in self.rollups.differences],
                "skipped": [_skipped_json(each) for each in self.rollups.skipped],
            },
        }

    def as_lines(self) -> Iterator[str]:
        """Say it to a person, line by line."""
        yield from self._trail_lines()
        yield from self._source_lines()
        yield from self._rollup_lines()

    def _trail_lines(self) -> Iterator[str]:
        chain, log = self.chain, self.log
        state = "whole" if chain.broken is None else f"BROKEN at {chain.broken}"
        yield f"audit trail: {chain.entries:,} entries, {state}"
        yield from (f"  WRONG: {each}" for each in self.unguarded)
        yield f"  head {chain.head}"
        if chain.broken is None:
            yield "  (keep it elsewhere: `verify --head` then shows what was cut off or redone)"
        found = "as the audit trail says" if not log.count else f"{log.count:,} WRONG"
        yield f"batch log: {log.batches:,} batches, {found}"
        yield from (f"  {each}" for each in log.differences)
        if log.count > len(log.differences):
            yield f"  and {log.count - len(log.differences):,} more"
        if log.before_trail:
            yield f"  batches up to {log.before_trail} were there before the trail began"

    def _source_lines(self) -> Iterator[str]:
        wrong = [each for each in self.sources if not each.agrees]
        state = "all records accounted for" if not wrong else f"{len(wrong):,} WRONG"
        yield f"sources: {len(self.sources):,}, {state}"
        shown = (wrong + [each for each in self.sources if each.agrees])[:SHOWN]
        for each in shown:
            mark = "" if each.agrees else "WRONG: "
            yield (
                f"  {mark}{each.source}: {each.received:,} received = {each.stored:,} stored"
                f" + {each.duplicate:,} duplicate + {each.rejected:,} rejected"
                + ("" if each.agrees else f", {each.quarantined:,} of {each.kept:,} in quarantine")
            )
        if len(self.sources) > len(shown):
            yield f"  and {len(self.sources) - len(shown):,} more"

    def _rollup_lines(self) -> Iterator[str]:
        rollups = self.rollups
        state = "as their rows say" if not rollups.differing else f"{rollups.differing:,} WRONG"
        yield f"roll-ups: {state}"
        for each in rollups.differences:
            yield (
                f"  {each.view} instrument {each.instrument_id} {each.bucket:%Y-%m-%dT%H:%M}"
                f" session {each.session}: {each.column} is {each.stored}, of the rows"
                f" {each.recomputed}"
            )
        if rollups.differing > len(rollups.differences):
            yield f"  and {rollups.differing - len(rollups.differences):,} more"
        for skip in rollups.skipped[:SHOWN]:
            yield (
                f"  left out: {skip.view} {skip.start:%Y-%m-%dT%H:%M} to {skip.end:%Y-%m-%dT%H:%M},"
                f" {_LEFT_OUT[skip.reason]}"
            )
        if len(rollups.skipped) > SHOWN:
            yield f"  and {len(rollups.skipped) - SHOWN:,} more left out"


def verify_request(head: str | None, start: str | None, end: str | None) -> VerifyRequest:
    """Read the options.

    Raises:
        BadInput: one of them cannot be read, or the range is empty.
    """
    first, last = _moment("--from", start), _moment("--to", end)
    if first is not None and last is not None and first >= last:
        raise BadInput("--from must be before --to")
    return VerifyRequest(
        head=None if head is None else parse_head(head),
        start=first,
        end=last,
    )


def verify(database: OpenDatabase, request: VerifyRequest) -> Verification:
    """Look at everything; nothing is changed, and writers may go on.

    Raises:
        TickgraphError: the database cannot be asked.
    """
    with database.connection() as connection:
        upto = bounds(connection)
        log = LogComparison(connection, upto=upto.batch_id, limit=SHOWN)
        chain = walk(connection, upto=upto.sequence, head=request.head, on_entry=log.take)
        log.finish()
        return Verification(
            chain=chain,
            unguarded=unguarded(connection),
            log=log,
            sources=source_counts(connection, upto=upto.batch_id, since=log.before_trail),
            rollups=_rollups(connection, request),
        )


def _rollups(connection: Connection, request: VerifyRequest) -> Rollups:
    differing, differences = 0, []
    skipped: list[Skipped] = []
    for each in verify_rollups(connection, start=request.start, end=request.end):
        if isinstance(each, RollupDifference):
            differing += 1
            if differing <= SHOWN:
                differences.append(each)
        elif skipped and _goes_on(skipped[-1], each):
            skipped[-1] = replace(skipped[-1], end=max(skipped[-1].end, each.end))
        else:
            skipped.append(each)
    return Rollups(differing=differing, differences=differences, skipped=skipped)


def _goes_on(last: Skipped, each: Skipped) -> bool:
    """Tell whether two steps leave out one range for one reason."""
    same = (last.view, last.reason, last.instruments) == (each.view, each.reason, each.instruments)
    return same and each.start <= last.end


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{option} {text!r} is no time, such as 2024-01-02T15:30Z") from error


def _source_json(each: SourceCounts) -> dict[str, object]:
    return {
        "source": each.source,
        "batches": each.batches,
        "received": each.received,
        "stored": each.stored,
        "duplicate": each.duplicate,
        "rejected": each.rejected,
        "quarantined": each.quarantined,
        "agrees": each.agrees,
    }


def _rollup_json(each: RollupDifference) -> dict[str, object]:
    return {
        "view": each.view,
        "instrument_id": each.instrument_id,
        "interval_minutes": each.interval_minutes,
        "session": each.session,
        "trading_date": each.trading_date.isoformat(),
        "bucket": each.bucket.isoformat(),
        "column": each.column,
        "stored": each.stored,
        "recomputed": each.recomputed,
    }


def _skipped_json(each: Skipped) -> dict[str, object]:
    return {
        "view": each.view,
        "start": each.start.isoformat(),
        "end": each.end.isoformat(),
        "reason": each.reason.value,
        "instruments": each.instruments,
    }
