"""What subscribers are told, and where in the stream of changes it stands.

An event's place is a `Mark`: the batch that made it so, then the instrument, then the bucket or
trade. Marks of a stream only grow, so that a mark says exactly what a subscriber has seen. The
present state is told by instrument: a mark of it says how far that went.
"""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from app.errors import BadCursor
from app.market.candle import Candle, LatestPrice, Trade

# The inner part of a mark of the present state: behind all that its instrument's batch brought.
PRESENT = "~"
_CURSOR = re.compile(r"([0-9]{1,18}):([0-9]{1,10}):(~|[0-9a-f]{0,32})")


class Mark(NamedTuple):
    """A place in a stream; `inner` orders events of one batch and instrument."""

    batch_id: int
    instrument_id: int
    inner: str

    @property
    def cursor(self) -> str:
        """Write it for clients: opaque."""
        text = f"{self.batch_id}:{self.instrument_id}:{self.inner}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @staticmethod
    def of_cursor(cursor: str) -> "Mark":
        """Read what `cursor` wrote.

        Raises:
            BadCursor: no event had it.
        """
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            match = _CURSOR.fullmatch(text.decode())
        except ValueError:
            match = None
        if match is None:
            raise BadCursor(f"{cursor!r} is no cursor of an event")
        return Mark(int(match[1]), int(match[2]), match[3])


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleEvent:
    """A bucket as it is now; `candle` is None where its last trade was cancelled."""

    mark: Mark
    symbol: str
    time: datetime
    revision: int
    candle: Candle | None

    @property
    def cursor(self) -> str:
        """Where to go on behind it."""
        return self.mark.cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeEvent:
    """A trade that is new, or corrected, or `cancelled`."""

    mark: Mark
    symbol: str
    revision: int
    trade: Trade
    cancelled: bool

    @property
    def cursor(self) -> str:
        """Where to go on behind it."""
        return self.mark.cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceEvent:
    """An instrument's newest price; None where every trade was cancelled."""

    mark: Mark
    symbol: str
    revision: int
    latest: LatestPrice | None

    @property
    def cursor(self) -> str:
        """Where to go on behind it."""
        return self.mark.cursor


Event = CandleEvent | TradeEvent | PriceEvent
