"""Ask the server which TimescaleDB licence is in force: it decides what a roll-up is made of."""

from alembic import op
from sqlalchemy import text

IS_CONTINUOUS = """
SELECT EXISTS (
    SELECT FROM timescaledb_information.continuous_aggregates
    WHERE view_schema = current_schema() AND view_name = :name
)
"""


def is_community() -> bool:
    """Tell whether continuous aggregates can be created here."""
    licence = op.get_bind().exec_driver_sql("SELECT current_setting('timescaledb.license', true)")
    return bool(licence.scalar() == "timescale")


def drop_rollup(name: str) -> None:
    """Drop a roll-up, whatever it is: the licence may have changed since it was made."""
    continuous = op.get_bind().execute(text(IS_CONTINUOUS), {"name": name}).scalar()
    op.execute(f"DROP {'MATERIALIZED VIEW' if continuous else 'VIEW'} {name}")
