"""Bring a database's schema to this version, by alembic over one psycopg connection."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from app.errors import DatabaseUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """Where a database's schema stands; `current` is None where nothing was ever migrated."""

    current: str | None
    head: str

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


def schema_state(url: str) -> SchemaState:
    """Compare the database's revision with the newest one here."""
    return _run(url, None, "")


def _run(url: str, action: object, target: str) -> SchemaState:
    config = Config(attributes={})
    config.set_main_option("script_location", str(Path(str(files("migrations")))))
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), poolclass=pool.NullPool
    )
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            if callable(action):
                action(config, target)
            current = MigrationContext.configure(connection).get_current_revision()
    except DBAPIError as error:
        words = str(error.orig).strip().splitlines()
        raise DatabaseUnavailable(
            f"the schema could not be changed: {words[0] if words else error}"
        ) from error
    head = ScriptDirectory.from_config(config).get_current_head()
    return SchemaState(current=current, head=str(head))
