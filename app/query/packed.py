"""Candles as packed columns: what numeric code takes, without a Python object for each number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from app.market.grid import micros
from app.query.shapes import Found
from app.storage.reader import Row

Column = npt.NDArray[np.float64] | npt.NDArray[np.int64]

_PG_EPOCH_US = 946_684_800_000_000  # 2000-01-01, PostgreSQL's own epoch
_WIDTH = 8

# How each column is written, eight bytes a candle, big-endian.
_BYTES = {
    "time": "timestamptz_send(c.time)",
    "open": "float8send(c.open::double precision)",
    "high": "float8send(c.high::double precision)",
    "low": "float8send(c.low::double precision)",
    "close": "float8send(c.close::double precision)",
    "volume": "float8send(c.volume::double precision)",
    "notional": "float8send(coalesce(c.notional, 'NaN')::double precision)",
    "trades": "int8send(c.trades)",
    "revision": "int8send(c.revision)",
}
_INTEGERS = frozenset({"time", "trades", "revision"})


@dataclass(frozen=True, slots=True)
class Packed:
    """Columns one behind the other, as bytes, the time first.

    `since`, a window's start, tells warm-up candles from those asked for. `unpack` gives arrays:
    time in microseconds since 1970 UTC, prices as floats, NaN where a notional is not known.
    """

    columns: tuple[str, ...]
    since: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Hold the time first."""
        assert self.columns[0] == "time", "the time comes first"

    def sql(self, candles: str) -> str:
        """Ask for one row: the count and the bytes of each column."""
        listed = "string_agg({}, ''::bytea ORDER BY c.time)"
        every = " || ".join(listed.format(_BYTES[column]) for column in self.columns)
        return f"""
    SELECT count(*) AS count, min(c.time) AS oldest, {every} AS packed
    FROM ({candles}) AS c
"""  # noqa: S608 - built from constants of this module

    def read(self, rows: Sequence[Row]) -> Found[bytes]:
        """Take the bytes."""
        if not rows or not rows[0]["count"]:
            return Found(count=0, oldest=None, value=b"")
        (row,) = rows
        count, packed, before = row["count"], row["packed"], 0
        if self.since is not None:
            times = np.frombuffer(packed, dtype=">i8", count=count)
            before = int(np.searchsorted(times, micros(self.since) - _PG_EPOCH_US))
        return Found(count=count, oldest=row["oldest"], value=packed, before=before)

    def unpack(self, packed: bytes) -> Mapping[str, Column]:
        """Give the columns as arrays of equal length, oldest first."""
        count = len(packed) // _WIDTH // len(self.columns)
        found: dict[str, Column] = {}
        for place, column in enumerate(self.columns):
            kind = ">i8" if column in _INTEGERS else ">f8"
            raw = np.frombuffer(packed, dtype=kind, count=count, offset=place * count * _WIDTH)
            native: Column = raw.astype(raw.dtype.newbyteorder("="))
            found[column] = native + _PG_EPOCH_US if column == "time" else native
        return found
