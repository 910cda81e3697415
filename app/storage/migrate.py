"""Bring a database's schema to this version, by alembic over one psycopg connection."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import create_engine, pool
from sqlalchemy.exc import DBAPIError

from app.errors import DatabaseUnavailable

ROLLUPS = ("0005", "0006")

# unfollow: nothing of the log is in the new roll-ups.
UNFOLLOW = ("UPDATE rollup_state SET refreshed_batch_id = 0", "DELETE FROM rollup_progress")

# lock: one process migrates at a time; the connection's end gives it back.
LOCK = "SELECT pg_advisory_lock(%s)"
_LOCK_KEY = 0x7469636B6D696772  # "tickmigr"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """Where a database's schema stands; `current` is None where nothing was ever migrated.

    It is not `known` where another version of Tickgraph made it.
    """

    current: str | None
    head: str
    known: bool = True

    @property
    def up_to_date(self) -> bool:
        """Whether every migration has run."""
        return self.current == self.head


def migrate(url: str, target: str = "head") -> SchemaState:
    """Upgrade to `head` or a revision; a downgrade needs `downgrade`."""
    return _run(url, command.upgrade, target)


def downgrade(url: str, target: str) -> SchemaState:
    """Go back to a revision, or `base`."""
    return _run(url, command.downgrade, target)


def rebuild_rollups(url: str) -> SchemaState:
    """Drop the roll-ups and make them anew, as what the server's edition allows.

    Only they change, in one transaction; the whole log is to be followed again.
    """
    return _run(url, _rebuild, "")


def schema_state(url: str) -> SchemaState:
    """Compare the database's revision with the newest one here."""
    return _run(url, None, "")


def _rebuild(config: Config, _: str) -> None:
    script = ScriptDirectory.from_config(config)
    revisions = [script.get_revision(each).module for each in ROLLUPS]
    connection: SqlConnection = config.attributes["connection"]
    with connection.begin(), Operations.context(MigrationContext.configure(connection)):
        for revision in reversed(revisions):
            revision.downgrade()
        for revision in revisions:
            revision.upgrade()
        for statement in UNFOLLOW:
            connection.exec_driver_sql(statement)


def _run(url: str, action: object, target: str) -> SchemaState:
    config = Config(attributes={})
    config.set_main_option("script_location", str(Path(str(files("migrations")))))
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=pool.NullPool
    )
    script = ScriptDirectory.from_config(config)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            if callable(action):
                connection.exec_driver_sql(LOCK, (_LOCK_KEY,))
                connection.commit()
                action(config, target)
            current = MigrationContext.configure(connection).get_current_revision()
    except DBAPIError as error:
        words = str(error.orig).strip().splitlines()
        raise DatabaseUnavailable(
            f"the schema could not be changed: {words[0] if words else error}"
        ) from error
    except CommandError as error:
        raise DatabaseUnavailable(f"the schema could not be changed: {error}") from error
    known = current is None or current in {each.revision for each in script.walk_revisions()}
    return SchemaState(current=current, head=str(script.get_current_head()), known=known)
