"""Closes as bytes that hold both floats, to draw with, and every digit, to compute with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from app.market.grid import Micros, micros
from app.query.shapes import Found
from app.storage.reader import Row

Floats = npt.NDArray[np.float64]

_PG_EPOCH_US = 946_684_800_000_000  # 2000-01-01, PostgreSQL's own epoch
_WIDTH = 8


@dataclass(frozen=True, slots=True)
class Closes:
    """The count, then times, closes as floats, and closes as text, each oldest first.

    `since`, a window's start, tells candles before it from those asked for. `most` candles of an
    instrument are taken: the answer is not that of a question that takes more.
    """

    most: int
    since: datetime | None = field(default=None, compare=False)

    def sql(self, candles: str) -> str:
        """Ask for one row: the count, the oldest time and the bytes."""
        return f"""
    SELECT count(*) AS count, min(c.time) AS oldest,
           int8send(count(*))
           || string_agg(timestamptz_send(c.time), ''::bytea ORDER BY c.time)
           || string_agg(float8send(c.close::double precision), ''::bytea ORDER BY c.time)
           || convert_to(string_agg(c.close::text, ',' ORDER BY c.time), 'UTF8') AS packed
    FROM ({candles}) AS c
"""  # noqa: S608 - built from constants of this package

    def read(self, rows: Sequence[Row]) -> Found[bytes]:
        """Take the bytes."""
        if not rows or not rows[0]["count"]:
            return Found(count=0, oldest=None, value=b"")
        (row,) = rows
        before = 0
        if self.since is not None:
            before = int(np.searchsorted(prices_of(row["packed"]).times, micros(self.since)))
        return Found(
            count=row["count"], oldest=row["oldest"], value=row["packed"], before=before
        )  # fmt: skip


@dataclass(slots=True, kw_only=True, eq=False)
class Prices:
    """One instrument's closes by bucket, oldest first; a price holds until the next one."""

    times: Micros
    closes: Floats
    text: bytes
    _exact: list[bytes] | None = None

    def known(self, buckets: Micros) -> npt.NDArray[np.int64]:
        """Give the place of the price in force in each bucket; -1 before the first."""
        places: npt.NDArray[np.int64] = np.searchsorted(self.times, buckets, side="right") - 1
        return places

    def at(self, buckets: Micros) -> Floats:
        """Give the price in force in each bucket; NaN before the first."""
        if not len(self.times):
            return np.full(len(buckets), np.nan)
        places = self.known(buckets)
        return np.where(places >= 0, self.closes[places], np.nan)

    def exact(self, bucket: int) -> Decimal | None:
        """Give the price in force in a bucket to the last digit; None before the first."""
        place = int(np.searchsorted(self.times, bucket, side="right")) - 1
        if place < 0:
            return None
        if self._exact is None:
            self._exact = self.text.split(b",")
        return Decimal(self._exact[place].decode())


def prices_of(packed: bytes) -> Prices:
    """Read what Closes has packed."""
    count = int.from_bytes(packed[:_WIDTH], "big")
    end = _WIDTH * (count + 1)
    times = np.frombuffer(packed, dtype=">i8", count=count, offset=min(_WIDTH, len(packed)))
    closes = np.frombuffer(packed, dtype=">f8", count=count, offset=min(end, len(packed)))
    return Prices(
        times=times.astype(np.int64) + _PG_EPOCH_US,
        closes=closes.astype(np.float64),
        text=packed[end + _WIDTH * count :],
    )
