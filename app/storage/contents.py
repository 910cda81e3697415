"""What a database holds already: asked before more is put in."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from app.storage.database import Connection, one_row

# foreign: real instruments other than these, or all of them where no batch came from the source.
FOREIGN = """
SELECT count(*)
FROM instrument
WHERE NOT simulated
  AND (NOT symbol = ANY (%s) OR NOT EXISTS (SELECT FROM batch WHERE source = %s))
"""

# newest_simulated: the last trade of a simulated instrument, and its price.
NEWEST_SIMULATED = """
SELECT l.last_time, l.price
FROM instrument AS i
JOIN latest AS l USING (instrument_id)
WHERE i.symbol = %s AND i.simulated AND l.interval_minutes = 0
"""

# with_daily_bars: how many of these symbols have daily bars.
WITH_DAILY_BARS = """
SELECT count(*)
FROM instrument AS i
JOIN latest AS l USING (instrument_id)
WHERE i.symbol = ANY (%s) AND l.interval_minutes = 1440
"""

# has_actions: whether one of these symbols has a corporate action.
HAS_ACTIONS = """
SELECT EXISTS (
    SELECT FROM corporate_action JOIN instrument AS i USING (instrument_id)
    WHERE i.symbol = ANY (%s)
)
"""


def foreign_instruments(connection: Connection, symbols: Sequence[str], source: str) -> int:
    """Count the real instruments that are not these symbols of this source."""
    return int(one_row(connection, FOREIGN, (list(symbols), source))[0])


def newest_simulated(connection: Connection, symbol: str) -> tuple[datetime, Decimal] | None:
    """Give time and price of a simulated instrument's last trade; None where it has none."""
    row = connection.execute(NEWEST_SIMULATED, (symbol,)).fetchone()
    return None if row is None else (row[0], row[1])


def has_actions(connection: Connection, symbols: Sequence[str]) -> bool:
    """Tell whether one of the symbols has a corporate action."""
    return bool(one_row(connection, HAS_ACTIONS, (list(symbols),))[0])


def with_daily_bars(connection: Connection, symbols: Sequence[str]) -> int:
    """Count the symbols that have daily bars."""
    return int(one_row(connection, WITH_DAILY_BARS, (list(symbols),))[0])
