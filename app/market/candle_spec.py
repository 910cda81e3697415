"""Which candles: how long, of which session, in which calendar, adjusted for what."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from app.errors import BadInput
from app.market.candle import Session
from app.market.interval import Interval


class Adjust(StrEnum):
    """What prices and volumes are adjusted for, as if it had always been so."""

    NONE = "NONE"
    SPLITS = "SPLITS"
    ALL = "ALL"
    TOTAL_RETURN = "TOTAL_RETURN"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleSpec:
    """Candles of one kind; `session` None: of the whole day, `timezone` None: the exchange's dates.

    With a time zone, buckets of a day or more are that zone's calendar days, and shorter ones count
    from its midnight. Without one, shorter ones of a session count from the session's open.
    """

    interval: Interval
    session: Session | None = None
    timezone: str | None = None
    adjust: Adjust = Adjust.NONE

    def __post_init__(self) -> None:
        """Refuse what no calendar knows.

        Raises:
            BadInput: there is no such time zone.
        """
        if self.timezone is not None and self.timezone not in _zones():
            raise BadInput(
                f"timezone {self.timezone!r} is not in the IANA database: give one such as"
                " 'Europe/Berlin', 'America/New_York' or 'UTC'"
            )

    @property
    def is_dated(self) -> bool:
        """Whether buckets are whole trading dates."""
        return self.timezone is None and self.interval.is_dated

    @property
    def is_plain(self) -> bool:
        """Whether the interval alone says where buckets begin, at any venue."""
        return self.timezone is None and (self.session is None or self.interval.is_dated)

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone whose calendar counts."""
        return None if self.timezone is None else ZoneInfo(self.timezone)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
