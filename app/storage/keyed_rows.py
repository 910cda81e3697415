"""Rows that are told apart by an id within their instant: numbered where a source gives none."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.storage.database import Connection, one_row
from app.storage.staging import Staging, Stored

# number: a row's id is its place among those of its instant, after `base`.
NUMBER = """
CREATE TEMPORARY TABLE {numbered} ON COMMIT DROP AS
SELECT {columns}
FROM {staged}
"""
PLACE = """
{base} + row_number() OVER (PARTITION BY instrument_id, event_time ORDER BY line) AS {row_id}
"""

# after_stored: the last number of an instant's stored rows, -1 where there is none.
AFTER_STORED = """
(SELECT coalesce(max(t.{row_id}), -1)
 FROM {table} AS t
 WHERE t.instrument_id = {staged}.instrument_id AND t.event_time = {staged}.event_time
   AND t.event_time >= %(first)s AND t.event_time <= %(last)s)
"""
BOUNDS = "SELECT min(event_time), max(event_time) FROM {staged}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRows:
    """A table whose rows have an id, and where they are staged."""

    table: str
    row_id: str
    staging: Staging

    def ready(self, connection: Connection, *, has_ids: bool, after_stored: bool = False) -> str:
        """Make the staged rows ready to be stored; gives the table that they are read from.

        A sort of the rows where they need numbers, from 0 or `after_stored` ones; done before the
        commit lock is taken.
        """
        staged = self.staging.table
        if has_ids:
            return staged
        names = {"table": self.table, "row_id": self.row_id, "staged": staged}
        base, values = "-1", {}
        if after_stored:
            first, last = one_row(connection, BOUNDS.format(**names).encode())
            base, values = AFTER_STORED.format(**names), {"first": first, "last": last}
        place = PLACE.format(base=base, row_id=self.row_id)
        columns = [place if name == self.row_id else name for name, _ in self.staging.columns]
        numbered = f"numbered_{self.table}"
        statement = NUMBER.format(numbered=numbered, columns=", ".join(columns), staged=staged)
        connection.execute(statement.encode(), values)
        return numbered


def outcome(
    connection: Connection,
    *,
    staged: int,
    stored: int,
    contradictions: str,
    values: Mapping[str, object],
) -> Stored:
    """Tell known rows from contradicting ones among those that were staged and not stored.

    `contradictions` gives the lines whose row is stored, now, with other content.
    """
    conflicts: list[int] = []
    if stored < staged:
        found = connection.execute(contradictions.encode(), values)
        conflicts = [line for (line,) in found]
    return Stored(stored=stored, duplicate=staged - stored - len(conflicts), conflicts=conflicts)
