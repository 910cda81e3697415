"""What the server says of itself."""

from datetime import datetime
from importlib.metadata import version
from typing import Self

import strawberry

from app.market.instrument import CandleSource
from app.market.interval import Interval, Unit
from app.query.server import ServerState
from app.rollups.catalogue import DAY
from app.storage.database import Edition

strawberry.enum(Edition, description="The TimescaleDB licence in force.")


@strawberry.type(description="The database under the server.")
class DatabaseInfo:
    """Versions and edition."""

    postgres: str = strawberry.field(description="PostgreSQL's version.")
    timescale: str = strawberry.field(description="TimescaleDB's version.")
    edition: Edition = strawberry.field(
        description="The licence in force: it decides how roll-ups are kept."
    )
    embedded: bool = strawberry.field(description="The database that Tickgraph brings along.")


@strawberry.type(description="A view of ready candles.")
class RollupInfo:
    """One entry of the catalogue."""

    name: str = strawberry.field(description="The view's name in the database.")
    source: CandleSource = strawberry.field(description="What it is made of.")
    interval: Interval = strawberry.field(description="The length of its candles.")
    continuous: bool = strawberry.field(
        description="A continuous aggregate; otherwise a plain view, with the same answers, slower."
    )


@strawberry.type(description="What answers here.")
class ServerInfo:
    """The server's state."""

    version: str = strawberry.field(description="Tickgraph's version.")
    database: DatabaseInfo = strawberry.field(description="The database under the server.")
    rollups: list[RollupInfo] = strawberry.field(description="The views of ready candles.")
    refreshed_at: datetime = strawberry.field(
        description="When the roll-ups last followed the commit log."
    )
    pending_batches: int = strawberry.field(
        description="Batches that the roll-ups have not followed yet; read from the rows meanwhile."
    )

    @classmethod
    def of(cls, state: ServerState, *, embedded: bool) -> Self:
        """Show the state."""
        return cls(
            version=version("tickgraph"),
            database=DatabaseInfo(
                postgres=state.postgres,
                timescale=state.timescale,
                edition=state.edition,
                embedded=embedded,
            ),
            rollups=[
                RollupInfo(
                    name=each.rollup.view,
                    source=each.rollup.source,
                    interval=Interval(count=1, unit=Unit.DAY)
                    if each.rollup.width == DAY
                    else Interval(count=int(each.rollup.width.total_seconds()), unit=Unit.SECOND),
                    continuous=each.continuous,
                )
                for each in state.rollups
            ],
            refreshed_at=state.refreshed_at,
            pending_batches=state.pending,
        )
