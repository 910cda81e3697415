"""Where the rows of each kind begin: retention has dropped what came before.

Below the horizon the roll-ups are the only truth: they are not refreshed there, and no row is
stored there. The horizon moves under the commit lock (app.rollups.retention), and a batch that
stores a row below it fails (migration 0014): what a writer was told may be out of date, but what it
commits is not.
"""

from datetime import datetime

from app.errors import TickgraphError
from app.storage.batches import BatchKind
from app.storage.database import Connection

DAY_MINUTES = 1440

# horizons: only kinds of which something was dropped.
HORIZONS = "SELECT kind, kept_from FROM retention ORDER BY kind"

# move: it never goes back, whatever a clock says.
MOVE = """
INSERT INTO retention AS r (kind, kept_from)
VALUES (%s, %s)
ON CONFLICT (kind) DO UPDATE
SET kept_from = greatest(r.kept_from, excluded.kept_from), moved_at = clock_timestamp()
"""


class CandlesWouldBeLost(TickgraphError):
    """Retention has dropped rows whose candles only the roll-ups still have."""

    code = "CANDLES_WOULD_BE_LOST"


def horizons(connection: Connection) -> dict[BatchKind, datetime]:
    """Give the start of what is kept, at 00:00 UTC, of each kind that has lost rows."""
    return {BatchKind(kind): kept for kind, kept in connection.execute(HORIZONS)}


def hold_horizons(connection: Connection) -> None:
    """Keep the horizons where they are until the transaction ends; before its first read."""
    connection.execute("LOCK TABLE retention IN SHARE MODE")


def kept_from(
    connection: Connection, kind: BatchKind, *, interval_minutes: int = 0
) -> datetime | None:
    """Give the time before which new rows are too old; None where all are taken.

    `interval_minutes` is that of bars. Those that no roll-up holds are never dropped.
    """
    if kind is BatchKind.BARS and not is_rolled_up(interval_minutes):
        return None
    return horizons(connection).get(kind)


def is_rolled_up(interval_minutes: int) -> bool:
    """Tell whether a roll-up holds the candles of bars of this interval."""
    return 0 < interval_minutes < DAY_MINUTES and DAY_MINUTES % interval_minutes == 0


def move_horizon(connection: Connection, kind: BatchKind, kept: datetime) -> None:
    """Say that rows before `kept` are gone; in the transaction that drops them."""
    connection.execute(MOVE, (kind, kept))


def refuse_lost_candles(connection: Connection) -> None:
    """Stop before the roll-ups are made anew from rows that are not there any more.

    Raises:
        CandlesWouldBeLost: retention has dropped trades or bars.
    """
    lost = {kind: kept for kind, kept in horizons(connection).items() if kind != BatchKind.QUOTES}
    if lost:
        words = ", ".join(f"{kind.lower()} before {kept:%Y-%m-%d}" for kind, kept in lost.items())
        raise CandlesWouldBeLost(
            f"the roll-ups cannot be made anew: retention has dropped {words}, and only the"
            " roll-ups still have their candles"
        )
