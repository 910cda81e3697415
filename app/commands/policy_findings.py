"""What doctor says of old rows: what the settings ask for, and whether it is so."""

from collections.abc import Iterator
from datetime import datetime

from app.commands.findings import Finding, Verdict
from app.errors import SettingInvalid
from app.rollups.catalogue import DAY
from app.rollups.compression import old_chunks
from app.rollups.policies import (
    TABLES,
    ForeignPolicy,
    Policies,
    foreign_policies,
    refuse_impossible,
)
from app.rollups.refresh import clock, floor
from app.rollups.retention import due
from app.storage.database import Connection, Edition, server_facts
from app.storage.horizons import horizons

_SERVED = "a running server does it, within hours"


def policy_findings(connection: Connection, policies: Policies) -> Iterator[Finding]:
    """Examine retention, compression and what the server does by itself."""
    for foreign in foreign_policies(connection):
        yield _foreign(foreign)
    try:
        refuse_impossible(connection, policies)
    except SettingInvalid as error:
        yield Finding(
            verdict=Verdict.PROBLEM,
            subject="old rows",
            found=error.message,
            advice="unset the setting, or put right what it says",
        )
        return
    now = clock(connection)
    yield _retention(connection, policies, now)
    if server_facts(connection).edition is Edition.COMMUNITY:
        yield _compression(connection, policies, now)


def _foreign(policy: ForeignPolicy) -> Finding:
    words = {
        "policy_retention": "drops chunks without regard to the roll-ups",
        "policy_refresh_continuous_aggregate": "refreshes a roll-up without regard to the log",
    }
    return Finding(
        verdict=Verdict.PROBLEM,
        subject=f"job on {policy.subject}",
        found=f"{policy.procedure} {words[policy.procedure]}: candles can be lost or stay old",
        advice="remove that policy; TICKGRAPH_*_RETENTION_DAYS keeps candles",
    )


def _retention(connection: Connection, policies: Policies, now: datetime) -> Finding:
    kept = horizons(connection)
    found, late = [], False
    for table in TABLES:
        days = policies.retention_days.get(table.name)
        words = f"{table.name} {'for ever' if days is None else f'{days} days'}"
        if table.kind in kept:
            words += f" (from {kept[table.kind]:%Y-%m-%d} on)"
        found.append(words)
    for table, age in policies.retained():
        late = late or bool(due(connection, table, floor(now, DAY) - age))
    return Finding(
        verdict=Verdict.NOTE if late else Verdict.OK,
        subject="retention",
        found=", ".join(found) + ("; older rows are still there" if late else ""),
        advice=_SERVED if late else None,
    )


def _compression(connection: Connection, policies: Policies, now: datetime) -> Finding:
    found, waiting = [], 0
    for table in TABLES:
        days = policies.compress_after_days.get(table.name)
        found.append(f"{table.name} {'never' if days is None else f'after {days} days'}")
    for table, age in policies.compressed():
        waiting += sum(chunk.due for chunk in old_chunks(connection, table, now - age))
    return Finding(
        verdict=Verdict.NOTE if waiting else Verdict.OK,
        subject="compression",
        found=", ".join(found) + (f"; {waiting} chunks are not compressed yet" if waiting else ""),
        advice=_SERVED if waiting else None,
    )
