"""Tell the audit trail what a server runs with."""

from dataclasses import fields

from app.commands.database import OpenDatabase
from app.commands.operator import operator
from app.settings import Settings
from app.storage.audit_settings import record_configuration

_OWN = {"host", "port"}  # of one process; servers of one database differ in these


def tell_configuration(database: OpenDatabase) -> None:
    """Record the settings where they are others than before."""
    settings = database.settings
    told = {
        each.name: str(getattr(settings, each.name))
        for each in fields(Settings)
        if each.name not in _OWN
    }
    with database.connection() as connection:
        record_configuration(connection, actor=operator(), settings=told)
