"""Compute calls on columns of candles, in such a way that only the range's own rows come out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import talib

from app.query.indicators.calls import SOURCES, Call, lookback
from app.query.indicators.catalogue import CYCLE, Floats, function
from app.query.indicators.vwap import VWAPS, volume_weighted
from app.query.indicators.warm_up import warm_up

# TA-Lib tells these as places in the array that it was given.
_PLACES = frozenset({"MAXINDEX", "MININDEX", "MINMAXINDEX"})
_OWN = "real"  # the output's name where it is not TA-Lib's


def columns_of(call: Call) -> tuple[str, ...]:
    """Name the columns of candles that a call is computed from."""
    return tuple(
        column for each in call.sources if each != CYCLE for column in SOURCES.get(each, (each,))
    )


def output_names(call: Call) -> tuple[str, ...]:
    """Name a call's outputs, in order."""
    if call.name in VWAPS:
        return (_OWN,)
    return tuple(each.name for each in function(call.name).outputs)


def values_of(call: Call, columns: Mapping[str, npt.NDArray[Any]], begin: int) -> dict[str, Floats]:
    """Give a call's outputs for the rows from `begin` on; NaN where there is no number.

    Rows before `begin` are the warm-up; of them only as many count as the call asks for, so that
    its values do not depend on what else was read. Places of extremes count from `begin`.
    """
    first = max(0, begin - warm_up(call))
    inputs = {name: column[first:] for name, column in columns.items()}
    lead = begin - first
    if call.name in VWAPS:
        return {_OWN: volume_weighted(call, inputs)[lead:]}
    fed = [_source(each, inputs, call) for each in call.sources]
    length, before = len(fed[0]), lookback(call)
    names = output_names(call)
    if length <= before:
        return {name: np.full(length - lead, np.nan) for name in names}
    found = getattr(talib, call.name)(*fed, **call.given)
    outputs = {}
    for name, values in zip(names, found if len(names) > 1 else (found,), strict=True):
        if values.dtype != np.float64:
            values = values.astype(np.float64)
            values[:before] = np.nan
        if call.name in _PLACES:
            values -= lead
        own = values[lead:]
        finite = np.isfinite(own)
        outputs[name] = own if finite.all() else np.where(finite, own, np.nan)
    return outputs


def _source(source: str, columns: Mapping[str, Floats], call: Call) -> Floats:
    """Give an input column."""
    if source == CYCLE:
        return np.asarray(talib.HT_DCPERIOD(_source(call.sources[0], columns, call)))
    parts = SOURCES[source]
    if len(parts) == 1:
        return columns[parts[0]]
    total = columns[parts[0]].copy()
    for each in parts[1:]:
        total += columns[each]
    return total / len(parts)
