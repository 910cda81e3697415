"""What the server says of itself and of the database under it."""

from dataclasses import dataclass
from datetime import datetime

from app.rollups.catalogue import ROLLUPS, Rollup
from app.storage.database import Edition
from app.storage.reader import Reader

# server_state: versions, licence, which roll-ups are continuous, how far they follow the log.
SERVER_STATE = """
SELECT current_setting('server_version') AS postgres,
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescale,
       current_setting('timescaledb.license') AS licence,
       (SELECT coalesce(array_agg(view_name::text), '{}')
        FROM timescaledb_information.continuous_aggregates
        WHERE view_schema = current_schema()) AS continuous,
       s.refreshed_at,
       (SELECT count(*) FROM batch WHERE batch_id > s.refreshed_batch_id) AS pending
FROM rollup_state AS s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupState:
    """One roll-up and how it is kept."""

    rollup: Rollup
    continuous: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """Versions, edition and freshness; `pending` batches are read from the rows meanwhile."""

    postgres: str
    timescale: str
    edition: Edition
    rollups: list[RollupState]
    refreshed_at: datetime
    pending: int

    @property
    def continuous(self) -> bool:
        """Whether every roll-up is a continuous aggregate."""
        return all(state.continuous for state in self.rollups)


async def server_state(reader: Reader) -> ServerState:
    """Ask the database."""
    (row,) = await reader.fetch(SERVER_STATE)
    return ServerState(
        postgres=row["postgres"].split(" ")[0],
        timescale=row["timescale"],
        edition=Edition.COMMUNITY if row["licence"] == "timescale" else Edition.APACHE,
        rollups=[
            RollupState(rollup=rollup, continuous=rollup.view in row["continuous"])
            for rollup in ROLLUPS
        ],
        refreshed_at=row["refreshed_at"],
        pending=row["pending"],
    )
