"""Give a command its database: the server named by the settings, or the embedded one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.embedded.supervisor import embedded_database
from app.settings import Settings
from app.storage.database import (
    Connection,
    DatabaseUnusable,
    connect,
    refuse_unusable,
    server_facts,
)
from app.storage.horizons import refuse_lost_candles
from app.storage.migrate import SchemaState, migrate, rebuild_rollups, schema_state


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDatabase:
    """A database that answers; `embedded` is the one that Tickgraph brings along."""

    url: str
    embedded: bool
    settings: Settings

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Open a connection for writing."""
        with connect(
            self.url,
            timeout_s=self.settings.pool_timeout_s,
            statement_timeout_s=self.settings.write_timeout_s,
        ) as connection:
            yield connection

    def bring_up_to_date(self) -> SchemaState:
        """Run the migrations that are missing.

        Raises:
            DatabaseUnusable: the server cannot carry the schema.
        """
        with self.connection() as connection:
            refuse_unusable(server_facts(connection))
        refuse_unknown(schema_state(self.url))
        return migrate(self.url)

    def rebuild_rollups(self) -> SchemaState:
        """Make the roll-ups anew, after the migrations that are missing.

        Raises:
            CandlesWouldBeLost: retention has dropped rows that only the roll-ups still have.
        """
        self.bring_up_to_date()
        with self.connection() as connection:
            refuse_lost_candles(connection)
        return rebuild_rollups(self.url)

    def require_schema(self) -> None:
        """See to the schema: an embedded database is migrated, a server must have been.

        Raises:
            DatabaseUnusable: the server's schema is not this version's.
        """
        if self.embedded:
            self.bring_up_to_date()
            return
        with self.connection() as connection:
            refuse_unusable(server_facts(connection))
        state = schema_state(self.url)
        refuse_unknown(state)
        if not state.up_to_date:
            raise DatabaseUnusable(
                f"the database's schema is at {state.current or 'nothing'}, this version needs"
                f" {state.head}",
                advice="run `tickgraph migrate`",
            )


def refuse_unknown(state: SchemaState) -> None:
    """Leave alone what another version made.

    Raises:
        DatabaseUnusable: the schema is not of this version or one before it.
    """
    if not state.known:
        raise DatabaseUnusable(
            f"the database's schema is at {state.current}, which this version does not know"
            f" (its newest is {state.head})",
            advice="upgrade Tickgraph",
        )


@contextmanager
def open_database(settings: Settings, on_progress: Callable[[str], None]) -> Iterator[OpenDatabase]:
    """Open the server of TICKGRAPH_DATABASE_URL, or start or join the embedded database."""
    if settings.database_url is not None:
        yield OpenDatabase(url=settings.database_url, embedded=False, settings=settings)
        return
    with embedded_database(settings.data_dir, on_progress=on_progress) as url:
        yield OpenDatabase(url=url, embedded=True, settings=settings)
