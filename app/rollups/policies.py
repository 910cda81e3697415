"""How long the rows of each table are kept, and after how long they are compressed.

Tickgraph applies this by itself (app.rollups.retention, app.rollups.compression), on every server
alike: a retention policy of the database's own does not know whether the roll-ups have followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from app.errors import SettingInvalid
from app.rollups.catalogue import ROLLUPS, Rollup
from app.rollups.refresh import are_continuous
from app.storage.batches import BatchKind
from app.storage.database import Connection, Edition, server_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A hypertable of source rows; `segment_by` and `order_by` say how its chunks are compressed.

    Both together are its key, so that a row that is sent again is found in few compressed rows.
    """

    name: str
    kind: BatchKind
    time: str
    segment_by: str
    order_by: str

    @property
    def rollups(self) -> tuple[Rollup, ...]:
        """The roll-ups made of its rows."""
        return tuple(rollup for rollup in ROLLUPS if rollup.source == self.kind.value)


TABLES = (
    Table(
        name="trade",
        kind=BatchKind.TRADES,
        time="event_time",
        segment_by="instrument_id",
        order_by="event_time, trade_id",
    ),
    Table(
        name="bar",
        kind=BatchKind.BARS,
        time="bar_start",
        segment_by="instrument_id, interval_minutes",
        order_by="bar_start",
    ),
    Table(
        name="quote",
        kind=BatchKind.QUOTES,
        time="event_time",
        segment_by="instrument_id",
        order_by="event_time, quote_id",
    ),
)

# foreign_policies: jobs of the server on our tables and roll-ups that drop or refresh.
FOREIGN = """
SELECT coalesce(a.view_name, j.hypertable_name), j.proc_name
FROM timescaledb_information.jobs AS j
LEFT JOIN timescaledb_information.continuous_aggregates AS a
       ON a.materialization_hypertable_schema = j.hypertable_schema
      AND a.materialization_hypertable_name = j.hypertable_name
WHERE j.proc_name IN ('policy_retention', 'policy_refresh_continuous_aggregate') AND j.scheduled
  AND (coalesce(a.view_name, j.hypertable_name) = ANY (%s))
  AND coalesce(a.view_schema, j.hypertable_schema) = current_schema()
ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPolicy:
    """A job that somebody has given the server; `procedure` is TimescaleDB's."""

    subject: str
    procedure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """Days by table name; a table that is not named is kept for ever, or never compressed."""

    retention_days: Mapping[str, int] = field(default_factory=dict)
    compress_after_days: Mapping[str, int] = field(default_factory=dict)

    @property
    def none(self) -> bool:
        """Whether there is nothing to do."""
        return not self.retention_days and not self.compress_after_days

    def retained(self) -> list[tuple[Table, timedelta]]:
        """Give the tables that lose rows, and after how long."""
        return _ages(self.retention_days)

    def compressed(self) -> list[tuple[Table, timedelta]]:
        """Give the tables whose rows are compressed, and after how long."""
        return _ages(self.compress_after_days)


def foreign_policies(connection: Connection) -> list[ForeignPolicy]:
    """Give the server's own jobs that could drop rows or refresh roll-ups behind our back."""
    names = [table.name for table in TABLES] + [rollup.view for rollup in ROLLUPS]
    found = connection.execute(FOREIGN, (names,)).fetchall()
    return [ForeignPolicy(subject=subject, procedure=procedure) for subject, procedure in found]


def refuse_impossible(connection: Connection, policies: Policies) -> None:
    """Stop before anything is dropped that could not be kept as candles.

    Raises:
        SettingInvalid: the server's edition cannot do what the settings ask, or a job of the
            server would refresh what they drop.
    """
    for table, _ in policies.retained():
        if table.rollups and not are_continuous(connection):
            raise SettingInvalid(
                f"TICKGRAPH_{table.name.upper()}_RETENTION_DAYS cannot be used here: the roll-ups"
                f" are plain views over the {table.name}s, so their candles would go with them"
            )
    edition = server_facts(connection).edition
    for table, _ in policies.compressed():
        if edition is Edition.APACHE:
            raise SettingInvalid(
                f"TICKGRAPH_{table.name.upper()}_COMPRESS_AFTER_DAYS cannot be used here:"
                " TimescaleDB's Apache edition has no compression"
            )
    foreign = foreign_policies(connection) if policies.retention_days else []
    if foreign:
        raise SettingInvalid(
            f"retention cannot be used here: the server itself runs {foreign[0].procedure} on"
            f" {foreign[0].subject!r}, which could delete the candles of dropped rows; remove that"
            " policy"
        )


def _ages(days: Mapping[str, int]) -> list[tuple[Table, timedelta]]:
    return [(each, timedelta(days=days[each.name])) for each in TABLES if each.name in days]
