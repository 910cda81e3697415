"""Examine a database: what was found, and what to do about each problem."""

from collections.abc import Iterator

from app.commands.database import OpenDatabase, refuse_unknown
from app.commands.findings import Finding, Verdict
from app.commands.policies import policies_of
from app.commands.policy_findings import policy_findings
from app.errors import TickgraphError
from app.rollups.catalogue import ROLLUPS
from app.rollups.refresh import are_continuous, freshness
from app.storage.database import (
    Connection,
    DatabaseUnusable,
    Edition,
    ServerFacts,
    refuse_unusable,
    server_facts,
    server_setting,
)
from app.storage.migrate import schema_state

_WANTED_CONNECTIONS = 20


def examine(database: OpenDatabase) -> Iterator[Finding]:
    """Give findings from the ground up; the first that makes the rest pointless is the last."""
    try:
        with database.connection() as connection:
            facts = server_facts(connection)
            where = "embedded" if database.embedded else "server"
            found = f"{where}, PostgreSQL {facts.postgres}"
            yield Finding(verdict=Verdict.OK, subject="database", found=found)
            refuse_unusable(facts)
            yield from _extension(facts)
            yield from _server_settings(connection, embedded=database.embedded)
            state = schema_state(database.url)
            refuse_unknown(state)
            if not state.up_to_date:
                yield Finding(
                    verdict=Verdict.PROBLEM,
                    subject="schema",
                    found=f"at {state.current or 'nothing'}, this version needs {state.head}",
                    advice="run `tickgraph migrate`",
                )
                return
            yield Finding(
                verdict=Verdict.OK, subject="schema", found=f"at {state.head}, the newest"
            )
            yield from _rollups(connection, facts)
            yield from policy_findings(connection, policies_of(database.settings))
    except TickgraphError as error:
        yield unopened(error)


def unopened(error: TickgraphError) -> Finding:
    """Give the finding that ends an examination."""
    found, advice = error.message, None
    if isinstance(error, DatabaseUnusable):
        found, advice = error.found, error.advice
    return Finding(verdict=Verdict.PROBLEM, subject="database", found=found, advice=advice)


def _extension(facts: ServerFacts) -> Iterator[Finding]:
    if facts.timescale is None:
        yield Finding(
            verdict=Verdict.NOTE,
            subject="TimescaleDB",
            found=f"{facts.timescale_available} available, not created in this database",
            advice="`tickgraph migrate` creates it",
        )
        return
    yield Finding(
        verdict=Verdict.OK, subject="TimescaleDB", found=f"{facts.timescale}, loaded and created"
    )
    if facts.edition is Edition.APACHE:
        yield Finding(
            verdict=Verdict.NOTE,
            subject="edition",
            found="Apache 2: roll-ups are plain views, with the same answers, slower",
            advice="the Community edition brings continuous aggregates, compression and policies",
        )
    else:
        yield Finding(verdict=Verdict.OK, subject="edition", found="Community")


def _server_settings(connection: Connection, *, embedded: bool) -> Iterator[Finding]:
    timezone = server_setting(connection, "log_timezone")
    yield Finding(verdict=Verdict.OK, subject="time zone", found=f"sessions UTC, log {timezone}")
    if embedded:
        yield Finding(
            verdict=Verdict.NOTE,
            subject="durability",
            found="survives a killed process, not a power loss",
            advice="for production name a server in TICKGRAPH_DATABASE_URL",
        )
        return
    connections = int(server_setting(connection, "max_connections"))
    enough = connections >= _WANTED_CONNECTIONS
    yield Finding(
        verdict=Verdict.OK if enough else Verdict.PROBLEM,
        subject="max_connections",
        found=str(connections),
        advice=None if enough else f"raise it to {_WANTED_CONNECTIONS} or more",
    )
    for name, advice in (
        ("fsync", "off loses committed data in a power loss: turn it on"),
        ("full_page_writes", "off can corrupt the database in a power loss: turn it on"),
    ):
        on = server_setting(connection, name) == "on"
        yield Finding(
            verdict=Verdict.OK if on else Verdict.PROBLEM,
            subject=name,
            found="on" if on else "off",
            advice=None if on else advice,
        )


def _rollups(connection: Connection, facts: ServerFacts) -> Iterator[Finding]:
    continuous = are_continuous(connection)
    kept = "continuous aggregates" if continuous else "plain views"
    if facts.edition is Edition.COMMUNITY and not continuous:
        yield Finding(
            verdict=Verdict.PROBLEM,
            subject="roll-ups",
            found="plain views, made when the server ran the Apache edition",
            advice="run `tickgraph migrate --rebuild-rollups`",
        )
    else:
        yield Finding(verdict=Verdict.OK, subject="roll-ups", found=f"{len(ROLLUPS)} {kept}")
    state = freshness(connection)
    pending = state.pending if continuous else 0
    yield Finding(
        verdict=Verdict.NOTE if pending else Verdict.OK,
        subject="freshness",
        found=f"{state.batches} batches, {pending} not in the roll-ups yet;"
        f" last refresh {state.refreshed_at:%Y-%m-%d %H:%M:%S} UTC",
        advice="a running server follows by itself; or run `tickgraph refresh`"
        if pending
        else None,
    )
