"""Gaps are filled after indicators were computed; pandas places the same values."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import talib

from app.market.grid import micros
from app.query.downsampling import Method
from app.query.filling import Fill
from app.query.indicators.calls import talib_call
from app.query.series_rows import Making, Series, series_of
from app.query.window import Window
from tests.query.indicators.history import assert_close, history

MINUTE = timedelta(minutes=1)
START = datetime(2026, 3, 2, tzinfo=UTC)
EMA = talib_call("EMA", {"timeperiod": 3})
OBV = talib_call("OBV", {})
COLUMNS = ("time", "open", "high", "low", "close", "volume", "vwap", "trades")
# Of 300 minutes, the candles that there are: none in minutes 100 to 119.
MINUTES = np.flatnonzero(np.random.default_rng(1).random(300) < 0.6)
MINUTES = MINUTES[(MINUTES < 100) | (MINUTES >= 120)]
BEGIN = 105  # the range begins in the gap


def read() -> dict[str, npt.NDArray[Any]]:
    made: dict[str, npt.NDArray[Any]] = dict(history(2, len(MINUTES)))
    made["trades"] = np.arange(1, len(MINUTES) + 1)
    return {"time": micros(START) + MINUTES * 60_000_000, **made}


def expected(first: int, last: int) -> npt.NDArray[np.int64]:
    return micros(START) + np.arange(first, last, dtype=np.int64) * 60_000_000


def minutes(series: Series) -> list[int]:
    return [int(each) for each in (series.time - micros(START)) // 60_000_000]


def making(**more: Any) -> Making:
    window = Window(start=START + BEGIN * MINUTE)
    return Making(**{"window": window, "columns": COLUMNS, "calls": (EMA, OBV), **more})


def emas() -> "pd.Series[float]":
    """Give the averages of the whole history by minute."""
    return pd.Series(talib.EMA(read()["close"], 3), index=MINUTES)


def test_without_a_fill_there_are_the_candles() -> None:
    series = series_of(read(), expected(0, 0), making())
    own = MINUTES[MINUTES >= BEGIN]
    assert minutes(series) == own.tolist()
    assert_close(
        series.outputs[EMA]["real"], np.asarray(emas().loc[own.tolist()], dtype=np.float64)
    )
    first = len(MINUTES) - len(own)
    close, volume = read()["close"][first:], read()["volume"][first:]
    np.testing.assert_array_equal(series.outputs[OBV]["real"], talib.OBV(close, volume))


def test_nulls_stand_in_gaps_and_nothing_else_changes() -> None:
    series = series_of(read(), expected(BEGIN, 300), making(fill=Fill.NULL))
    assert minutes(series) == list(range(BEGIN, 300))
    placed = emas().reindex(range(BEGIN, 300))
    assert_close(series.outputs[EMA]["real"], np.asarray(placed, dtype=np.float64))
    gaps = placed.isna().to_numpy()
    for name in ("open", "high", "low", "close", "vwap"):
        np.testing.assert_array_equal(np.isnan(series.values[name]), gaps)
    assert not series.values["volume"][gaps].any()
    assert not series.values["trades"][gaps].any()


def test_the_previous_value_stands_in_gaps_also_from_before_the_range() -> None:
    series = series_of(read(), expected(BEGIN, 300), making(fill=Fill.PREVIOUS))
    assert minutes(series) == list(range(BEGIN, 300))
    carried = emas().reindex(range(300)).ffill().loc[BEGIN:]
    assert_close(series.outputs[EMA]["real"], np.asarray(carried, dtype=np.float64))
    closes = pd.Series(read()["close"], index=MINUTES).reindex(range(300)).ffill().loc[BEGIN:]
    np.testing.assert_array_equal(series.values["close"], closes)
    # What counts from the range's first candle has no value before it.
    real = series.outputs[OBV]["real"]
    first = int(MINUTES[MINUTES >= BEGIN][0]) - BEGIN
    assert np.isnan(real[:first]).all()
    assert real[first] == series.values["volume"][first]


@pytest.mark.parametrize("fill", list(Fill))
def test_the_newest_are_counted_after_filling(fill: Fill) -> None:
    series = series_of(read(), expected(0, 300), making(window=Window(last=20), fill=fill))
    own = MINUTES.tolist() if fill is Fill.NONE else list(range(300))
    assert minutes(series) == own[-20:]
    known = emas()
    if fill is not Fill.NONE:
        known = known.reindex(range(300))
    if fill is Fill.PREVIOUS:
        known = known.ffill()
    assert_close(series.outputs[EMA]["real"], np.asarray(known.iloc[-20:], dtype=np.float64))


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("fill", list(Fill))
def test_picked_rows_are_whole_rows(fill: Fill, method: Method) -> None:
    whole = series_of(read(), expected(BEGIN, 300), making(fill=fill))
    few = series_of(read(), expected(BEGIN, 300), making(fill=fill, max_points=24, method=method))
    assert len(few.time) <= 24
    assert few.total == len(whole.time)
    places = np.searchsorted(whole.time, few.time)
    np.testing.assert_array_equal(whole.time[places], few.time)
    for name, column in few.values.items():
        np.testing.assert_array_equal(column, whole.values[name][places])
    np.testing.assert_array_equal(few.outputs[EMA]["real"], whole.outputs[EMA]["real"][places])


def test_nothing_gives_nothing() -> None:
    none = {name: column[:0] for name, column in read().items()}
    series = series_of(none, expected(0, 0), making(fill=Fill.PREVIOUS, max_points=10))
    assert len(series.time) == len(series.values["close"]) == len(series.outputs[EMA]["real"]) == 0


def test_only_what_is_needed_is_read() -> None:
    assert making(columns=("time",), calls=(EMA,)).needed == ("time", "close")
    assert making(columns=("vwap",), calls=()).needed == ("time", "volume", "notional")
    picked = making(columns=("time",), calls=(), max_points=9)
    assert picked.needed == ("time", "high", "low", "close")
