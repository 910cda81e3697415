"""Fill the buckets in which trading was expected and none came: with the price before, or nothing.

Pure; app.query.expected gives the buckets, and never one behind the instrument's newest data.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from app.errors import BadInput
from app.market.candle import Candle
from app.market.candle_spec import CandleSpec
from app.market.expected_buckets import check_expectable
from app.market.grid import Micros, moment_of

Columns = Mapping[str, npt.NDArray[Any]]

_PRICES = frozenset({"open", "high", "low", "close"})
_CARRIED = frozenset({"revision"})


class Fill(StrEnum):
    """What stands in buckets in which trading was expected and none came."""

    NONE = "NONE"
    PREVIOUS = "PREVIOUS"
    NULL = "NULL"


def check_fill(spec: CandleSpec, fill: Fill) -> None:
    """Refuse a fill where nothing is known to be expected.

    Raises:
        BadInput: it is asked of the time before the open or after the close.
    """
    if fill is not Fill.NONE:
        check_expectable(spec, f"`fill` {fill.value!r}")


def check_row_fill(spec: CandleSpec, fill: Fill) -> None:
    """Refuse what row-shaped candles cannot say.

    Raises:
        BadInput: prices would be null, or `check_fill` refuses.
    """
    if fill is Fill.NULL:
        raise BadInput(
            "`fill` 'NULL' is for `series`: the prices of `candles` are never null; give 'NONE' or"
            " 'PREVIOUS', or ask for `series`"
        )
    check_fill(spec, fill)


def filled(columns: Columns, expected: Micros, fill: Fill) -> dict[str, npt.NDArray[Any]]:
    """Give columns of equal length, oldest first, with a row for each expected time as well.

    `columns` have `time` (microseconds), and `close` for PREVIOUS: a new row's prices are the close
    before it, its revision is of that candle, all else is 0. A row without any before is left out,
    so give a candle from before the range, and cut it off afterwards. For NULL prices are NaN.
    """
    if fill is Fill.NONE or not len(expected):
        return dict(columns)
    times = columns["time"]
    behind = np.searchsorted(times, expected, side="right")
    missing = behind == 0
    if len(times):
        missing |= times[behind - 1] != expected
    every = np.insert(times, behind[missing], expected[missing])
    before = np.searchsorted(times, every, side="right") - 1
    if fill is Fill.PREVIOUS:
        every, before = every[before >= 0], before[before >= 0]
    place = np.maximum(before, 0)
    new = times[place] != every if len(times) else np.ones(len(every), dtype=np.bool_)
    found: dict[str, npt.NDArray[Any]] = {"time": every}
    for name, values in columns.items():
        if name == "time":
            continue
        own = values[place] if len(values) else np.zeros(len(every), dtype=values.dtype)
        if name in _PRICES:
            carried = columns["close"][place] if fill is Fill.PREVIOUS else np.nan
            own = np.where(new, carried, own)
        elif fill is Fill.NULL or name not in _CARRIED:
            own = np.where(new, np.zeros(1, dtype=values.dtype), own)
        found[name] = own
    return found


def filled_candles(
    candles: Sequence[Candle], expected: Iterable[int], final_before: datetime
) -> list[Candle]:
    """Give the candles, oldest first, and one at the price before for each other expected time.

    Its revision is that of the candle whose close it carries.
    """
    have = {candle.time for candle in candles}
    wanted = [moment for at in expected if (moment := moment_of(at)) not in have]
    found: list[Candle] = []
    coming = iter([*wanted, None])
    gap = next(coming)
    for candle in candles:
        while gap is not None and gap < candle.time:
            found += _carried(found, gap, final_before)
            gap = next(coming)
        found.append(candle)
    while gap is not None:
        found += _carried(found, gap, final_before)
        gap = next(coming)
    return found


def _carried(found: Sequence[Candle], time: datetime, final_before: datetime) -> list[Candle]:
    """Give the candle of a bucket without trading, where there is a price before it."""
    if not found:
        return []
    before = found[-1]
    return [
        Candle(
            time=time,
            open=before.close,
            high=before.close,
            low=before.close,
            close=before.close,
            volume=Decimal(0),
            vwap=None,
            trades=0,
            revision=before.revision,
            final=time < final_before,
        )
    ]
