"""Read from the settings what becomes of old rows, and refuse what the database cannot do."""

from app.commands.database import OpenDatabase
from app.rollups.policies import TABLES, Policies, refuse_impossible
from app.settings import Settings


def policies_of(settings: Settings) -> Policies:
    """Give the policies that the settings ask for."""
    return Policies(
        retention_days=_days(settings, "retention_days"),
        compress_after_days=_days(settings, "compress_after_days"),
    )


def require_policies(database: OpenDatabase) -> None:
    """Refuse to start where old rows cannot be treated as the settings say.

    Raises:
        SettingInvalid: the server's edition cannot do it, or candles would go with their rows.
    """
    policies = policies_of(database.settings)
    if not policies.none:
        with database.connection() as connection:
            refuse_impossible(connection, policies)


def _days(settings: Settings, suffix: str) -> dict[str, int]:
    days = {table.name: getattr(settings, f"{table.name}_{suffix}") for table in TABLES}
    return {name: number for name, number in days.items() if number is not None}
