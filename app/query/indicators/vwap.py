"""Volume-weighted average prices over several candles, from notionals.

A candle's notional is the sum of price times size. Where a vendor's bars do not tell it, the middle
of high, low and close times the volume stands for it, as is usual.
"""

from collections.abc import Mapping

import numpy as np

from app.errors import BadInput
from app.query.indicators.calls import Call
from app.query.indicators.catalogue import Floats

_COLUMNS = ("notional", "high", "low", "close", "volume")
ROLLING, ANCHORED = "ROLLING_VWAP", "ANCHORED_VWAP"
VWAPS = frozenset({ROLLING, ANCHORED})

_MOST = 100_000


def rolling_vwap(period: int) -> Call:
    """Ask for the average price of the last `period` candles' volume.

    Raises:
        BadInput: the period is out of range.
    """
    if not 1 <= period <= _MOST:
        raise BadInput(f"rollingVwap period is {period!r}: it must be from 1 to {_MOST}")
    return Call(ROLLING, (("timeperiod", period),), _COLUMNS)


def anchored_vwap() -> Call:
    """Ask for the average price of all volume since the range's first candle."""
    return Call(ANCHORED, (), _COLUMNS)


def volume_weighted(call: Call, columns: Mapping[str, Floats]) -> Floats:
    """Compute; NaN before there are enough candles, and where none of them had volume."""
    volume = columns["volume"]
    middle = (columns["high"] + columns["low"] + columns["close"]) / 3
    notional = np.where(np.isnan(columns["notional"]), middle * volume, columns["notional"])
    if call.name == ANCHORED:
        return _ratio(np.cumsum(notional), np.cumsum(volume))
    period = int(call.given["timeperiod"])
    if len(volume) < period:
        return np.full(len(volume), np.nan)
    averages = _ratio(_sums(notional, period), _sums(volume, period))
    return np.concatenate([np.full(period - 1, np.nan), averages])


def _sums(values: Floats, period: int) -> Floats:
    """Sum windows one by one: differences of running sums would lose digits to what is past."""
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, period).sum(axis=1))


def _ratio(notional: Floats, volume: Floats) -> Floats:
    averages = np.full(len(volume), np.nan)
    np.divide(notional, volume, out=averages, where=volume > 0)
    return averages
