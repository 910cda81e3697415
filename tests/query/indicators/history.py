"""Made-up candles long enough for anything to settle on, and TA-Lib called directly on them."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from app.query.indicators.catalogue import TALIB

Floats = npt.NDArray[np.float64]


def history(seed: int, count: int) -> dict[str, Floats]:
    """Give open, high, low, close, volume and notional of a random walk."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    opened = np.append(close[:1], close[:-1]) * np.exp(rng.normal(0, 0.002, count))
    above, below = np.abs(rng.normal(0, 0.003, (2, count)))
    volume = np.round(rng.lognormal(8, 1, count))
    return {
        "open": opened,
        "high": np.maximum(opened, close) * np.exp(above),
        "low": np.minimum(opened, close) * np.exp(-below),
        "close": close,
        "volume": volume,
        "notional": volume * (opened + close) / 2,
    }


def directly(
    name: str, parameters: Mapping[str, float], candles: Mapping[str, Floats]
) -> list[Floats]:
    """Give a function's outputs on all candles, as TA-Lib's abstract interface feeds it.

    What TA-Lib writes where a whole number has no value yet, 0, becomes NaN; MAVP's periods are the
    dominant cycle.
    """
    function = TALIB.abstract.Function(name)
    fed = {**candles, "periods": TALIB.HT_DCPERIOD(candles["close"])}
    found = function(fed, **parameters)
    outputs = list(found) if isinstance(found, list | tuple) else [found]
    whole = TALIB.abstract.Function(name)
    whole.set_function_args(**parameters)
    numbers = []
    for output in outputs:
        values = output.astype(np.float64)
        if output.dtype != np.float64:
            values[: whole.lookback] = np.nan
        numbers.append(np.where(np.isfinite(values), values, np.nan))
    return numbers


def assert_close(ours: Floats, theirs: Floats, tolerance: float = 1e-9) -> None:
    """Compare numbers within a tolerance of the largest; gaps must be the same."""
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    if np.isnan(theirs).all():
        return
    scale = float(np.nanmax(np.abs(theirs)))
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale)
