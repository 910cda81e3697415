"""Candle intervals: how long a bucket is, and where buckets begin.

Buckets of seconds to hours are clock time, counted from Monday 2000-01-03 00:00 UTC. Buckets of
days and weeks are whole trading dates counted from the same Monday (so weeks start on Monday);
months and years are calendar months counted from January 2000. These are TimescaleDB's own origins.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from app.errors import BadInterval

ORIGIN = datetime(2000, 1, 3, tzinfo=UTC)
ORIGIN_DATE = ORIGIN.date()

_PATTERN = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d|w|mo|y)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"mo": 1, "y": 12}
_MAX_SECONDS = 7 * 86_400
_MAX_DAYS = 366
_MAX_MONTHS = 120


class Unit(StrEnum):
    """What a bucket is a whole number of."""

    SECOND = "SECOND"
    DAY = "DAY"
    MONTH = "MONTH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A candle's length: `count` seconds, trading dates or months."""

    count: int
    unit: Unit

    @staticmethod
    def parse(text: str) -> "Interval":
        """Read `1m`, `65m`, `2h`, `3d`, `1w`, `1mo`, `1y`.

        Raises:
            BadInterval: it is not of that form, or too long: over 168 hours, 366 days, 120 months.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise BadInterval(
                f"interval {text!r} is not a number and a unit: "
                "s, m (minutes), h, d, w, mo (months) or y, such as 1m, 65m, 1d, 1w, 1mo"
            )
        number, unit = int(match[1]), match[2]
        if unit in _SECONDS:
            return Interval._checked(text, number * _SECONDS[unit], Unit.SECOND, _MAX_SECONDS)
        if unit in _DAYS:
            return Interval._checked(text, number * _DAYS[unit], Unit.DAY, _MAX_DAYS)
        return Interval._checked(text, number * _MONTHS[unit], Unit.MONTH, _MAX_MONTHS)

    @staticmethod
    def _checked(text: str, count: int, unit: Unit, most: int) -> "Interval":
        if count > most:
            raise BadInterval(
                f"interval {text!r} is too long: a candle has at most {most} {unit.lower()}s"
            )
        return Interval(count=count, unit=unit)

    @staticmethod
    def of_minutes(minutes: int) -> "Interval":
        """Give the interval of a vendor bar's native length: a day's is a trading date."""
        if minutes == 1440:
            return Interval(count=1, unit=Unit.DAY)
        return Interval(count=minutes * 60, unit=Unit.SECOND)

    @property
    def is_dated(self) -> bool:
        """Whether buckets are whole trading dates rather than clock time."""
        return self.unit is not Unit.SECOND

    @property
    def width(self) -> timedelta:
        """The longest that one bucket can be."""
        if self.unit is Unit.SECOND:
            return timedelta(seconds=self.count)
        return timedelta(days=self.count if self.unit is Unit.DAY else self.count * 31)

    def floor(self, moment: datetime) -> datetime:
        """Give the start of the bucket that holds an aware time; dated buckets by its UTC date."""
        if self.unit is Unit.SECOND:
            step = timedelta(seconds=self.count)
            return ORIGIN + (moment - ORIGIN) // step * step
        return midnight(self.floor_date(moment.astimezone(UTC).date()))

    def floor_date(self, day: date) -> date:
        """Give the first date of the dated bucket that holds `day`."""
        if self.unit is Unit.DAY:
            return day - timedelta(days=(day - ORIGIN_DATE).days % self.count)
        month = (day.year - 2000) * 12 + day.month - 1
        year, month0 = divmod(month - month % self.count, 12)
        return date(2000 + year, month0 + 1, 1)

    def next(self, start: datetime) -> datetime:
        """Give the start of the bucket after the one that starts at `start`."""
        if self.unit is Unit.SECOND:
            return start + timedelta(seconds=self.count)
        if self.unit is Unit.DAY:
            return start + timedelta(days=self.count)
        year, month0 = divmod(start.year * 12 + start.month - 1 + self.count, 12)
        return start.replace(year=year, month=month0 + 1)

    def ceil(self, moment: datetime) -> datetime:
        """Give the first bucket start at or after an aware time."""
        start = self.floor(moment)
        return start if start == moment else self.next(start)

    def __str__(self) -> str:
        """Write the shortest form that parses back."""
        if self.unit is Unit.SECOND:
            for unit, size in (("h", 3600), ("m", 60)):
                if self.count % size == 0:
                    return f"{self.count // size}{unit}"
            return f"{self.count}s"
        if self.unit is Unit.DAY:
            return f"{self.count // 7}w" if self.count % 7 == 0 else f"{self.count}d"
        return f"{self.count // 12}y" if self.count % 12 == 0 else f"{self.count}mo"


def midnight(day: date) -> datetime:
    """Give 00:00 UTC of a date: the stamp of dated candles and daily bars."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
