"""Run migrations through psycopg, one transaction each, over the caller's connection or URL."""

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, pool
from sqlalchemy.engine import make_url


def run(connection: Connection) -> None:
    """Upgrade or downgrade over an open connection."""
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Use the caller's connection (`tickgraph migrate`), else `-x url=`."""
    connection = context.config.attributes.get("connection")
    if connection is not None:
        run(connection)
        return
    url = context.get_x_argument(as_dictionary=True).get("url")
    if url is None:
        raise CommandError("name the database: alembic -x url=postgresql://... COMMAND")
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), poolclass=pool.NullPool
    )
    with engine.connect() as opened:
        run(opened)


if context.is_offline_mode():
    raise CommandError("offline mode is not supported: the SQL depends on the server's edition")
main()
