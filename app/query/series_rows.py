"""From one instrument's candles to the rows of its series: indicators, filled gaps, picked rows.

Indicators are computed on the candles that there are, then placed at their times: a filled bucket
has none (NULL), or that of the candle before it (PREVIOUS). Rows are picked last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.market.grid import Micros, micros
from app.query.downsampling import Method, lttb, m4
from app.query.filling import Fill, filled
from app.query.indicators.calls import Call
from app.query.indicators.catalogue import Floats
from app.query.indicators.computation import columns_of, values_of
from app.query.indicators.warm_up import CUMULATIVE, warm_up
from app.query.window import Window

Columns = Mapping[str, npt.NDArray[Any]]

# What each column of a series is made of; the time is always there.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "time": (),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
    "vwap": ("notional", "volume"),
    "trades": ("trades",),
}
_ORDER = ("time", "open", "high", "low", "close", "volume", "notional", "trades")
_FILLED_BY = ("close",)
_PICKED_BY = ("low", "high", "close")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Columns of equal length, oldest first: time in us since 1970, NaN where there is no number.

    `values` has the columns of COLUMNS that were wanted, but for the time, `outputs` those of each
    call. There were `total` rows before some were picked.
    """

    total: int
    time: Micros
    values: Mapping[str, npt.NDArray[Any]]
    outputs: Mapping[Call, Mapping[str, Floats]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """What a series is made of and how."""

    window: Window
    columns: Sequence[str]
    calls: Sequence[Call]
    fill: Fill = Fill.NONE
    max_points: int | None = None
    method: Method = Method.M4

    @property
    def before(self) -> int:
        """The number of candles that are needed from before the range."""
        carried = 1 if self.fill is Fill.PREVIOUS else 0
        return max(map(warm_up, self.calls), default=0) + carried

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns of candles that are needed, the time first."""
        needed = {"time"}.union(
            *(COLUMNS[each] for each in self.columns),
            *map(columns_of, self.calls),
            _FILLED_BY if self.fill is Fill.PREVIOUS else (),
            _PICKED_BY if self.max_points is not None else (),
        )
        return tuple(each for each in _ORDER if each in needed)


def series_of(read: Columns, expected: Micros, making: Making) -> Series:
    """Make a series of candles, oldest first, those from before the range at their head.

    `expected` are the buckets to be filled, ignored without a fill.
    """
    rows = _rows(read, expected, making)
    time = rows["time"]
    begin = int(np.searchsorted(read["time"], time[0])) if len(time) else len(read["time"])
    outputs = {call: _outputs(call, read, begin, time, making.fill) for call in making.calls}
    values = {each: _column(each, rows) for each in making.columns if each != "time"}
    if making.max_points is None or len(time) <= making.max_points:
        return Series(total=len(time), time=time, values=values, outputs=outputs)
    if making.method is Method.M4:
        places = m4(time, rows["low"], rows["high"], rows["close"], making.max_points)
    else:
        places = lttb(time, rows["close"], making.max_points)
    return Series(
        total=len(time),
        time=time[places],
        values={name: column[places] for name, column in values.items()},
        outputs={
            call: {name: column[places] for name, column in each.items()}
            for call, each in outputs.items()
        },
    )


def _rows(read: Columns, expected: Micros, making: Making) -> Columns:
    """Give the range's rows, with the filled ones."""
    window, rows = making.window, read
    if making.fill is not Fill.NONE:
        rows = filled(read, expected, making.fill)
    first = 0
    if window.last is not None:
        first = max(0, len(rows["time"]) - window.last)
    elif window.start is not None:
        first = int(np.searchsorted(rows["time"], micros(window.start)))
    return {name: column[first:] for name, column in rows.items()}


def _column(name: str, rows: Columns) -> npt.NDArray[Any]:
    if name != "vwap":
        return rows[name]
    volume = rows["volume"]
    averages = np.full(len(volume), np.nan)
    np.divide(rows["notional"], volume, out=averages, where=volume > 0)
    return averages


def _outputs(
    call: Call, read: Columns, begin: int, time: Micros, fill: Fill
) -> Mapping[str, Floats]:
    """Give a call's outputs at each row's time; `begin` is the range's first candle."""
    if fill is Fill.NONE:
        return values_of(call, read, begin)
    # The candle before the range gives its values to what is filled until the range's first one.
    carried = int(fill is Fill.PREVIOUS and begin > 0 and call.name not in CUMULATIVE)
    found = values_of(call, read, begin - carried)
    own = read["time"][begin - carried :]
    place = np.searchsorted(own, time, side="right") - 1
    there = place >= 0
    if fill is Fill.NULL and len(own):
        there &= own[place] == time
    return {
        name: np.where(there, values[place], np.nan) if len(own) else np.full(len(time), np.nan)
        for name, values in found.items()
    }
