"""Bring a database's schema to this version, by alembic over one psycopg connection."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import create_engine, pool
from sqlalchemy.exc import DBAPIError

from app.errors import DatabaseUnavailable

BEFORE_ROLLUPS = "0004"

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
    """Drop the roll-ups and make them anew, as what the server's edition allows; rows stay."""
    downgrade(url, BEFORE_ROLLUPS)
    return migrate(url)


def schema_state(url: str) -> SchemaState:
    """Compare the database's revision with the newest one here."""
    return _run(url, None, "")


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
