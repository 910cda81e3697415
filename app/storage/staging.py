"""A transaction's own staging table, filled by COPY before any lock is taken."""

from dataclasses import dataclass

from psycopg import sql

from app.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """A temporary table: its columns, in the order in which CSV rows carry them."""

    table: str
    columns: tuple[tuple[str, str], ...]

    def create(self, connection: Connection) -> None:
        """Make the table; it goes with the transaction."""
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
            for name, kind in self.columns
        )
        connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP").format(
                sql.Identifier(self.table), columns
            )
        )

    def copy(self, connection: Connection, csv: bytes) -> None:
        """Add rows given as CSV without a header; an empty unquoted field is NULL."""
        statement = sql.SQL("COPY {} FROM STDIN (FORMAT csv)").format(sql.Identifier(self.table))
        with connection.cursor().copy(statement) as copy:
            copy.write(csv)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What an insert did: new rows, known rows, and the lines that contradict known rows."""

    stored: int
    duplicate: int
    conflicts: list[int]
