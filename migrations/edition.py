"""Ask the server which TimescaleDB licence is in force: it decides what a roll-up is made of."""

from alembic import op


def is_community() -> bool:
    """Tell whether continuous aggregates can be created here."""
    licence = op.get_bind().exec_driver_sql("SELECT current_setting('timescaledb.license', true)")
    return bool(licence.scalar() == "timescale")
