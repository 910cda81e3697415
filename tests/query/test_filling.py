"""Filled columns equal pandas' reindex and ffill."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from app.errors import BadInput
from app.market.candle import Session
from app.market.candle_spec import CandleSpec
from app.market.interval import Interval
from app.query.filling import Fill, check_fill, filled

PRICES = ("open", "high", "low", "close")
MINUTE = 60_000_000


def columns_of(seed: int, count: int, span: int) -> dict[str, npt.NDArray[Any]]:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.choice(span, size=count, replace=False)).astype(np.int64) * MINUTE
    columns = {name: rng.normal(100, 5, count) for name in (*PRICES, "volume", "notional")}
    return {
        "time": times,
        **columns,
        "trades": rng.integers(1, 99, count),
        "revision": rng.integers(1, 99, count),
    }


def expected_of(seed: int, span: int) -> npt.NDArray[np.int64]:
    rng = np.random.default_rng(seed + 1)
    return np.sort(rng.choice(span, size=span // 2, replace=False)).astype(np.int64) * MINUTE


def pandas_filled(
    columns: dict[str, npt.NDArray[Any]], expected: npt.NDArray[np.int64], fill: Fill
) -> pd.DataFrame:
    frame = pd.DataFrame(columns).set_index("time")
    every = frame.index.union(pd.Index(expected)).unique().sort_values()
    wide = frame.reindex(every)
    new = ~every.isin(frame.index)
    if fill is Fill.PREVIOUS:
        close = wide["close"].ffill()
        for name in PRICES:
            wide.loc[new, name] = close[new]
        wide["revision"] = wide["revision"].ffill()
    else:
        wide.loc[new, "revision"] = 0
    wide.loc[new, ["volume", "notional", "trades"]] = 0
    return wide.dropna(subset=["close"]) if fill is Fill.PREVIOUS else wide


@pytest.mark.parametrize("fill", [Fill.PREVIOUS, Fill.NULL])
@pytest.mark.parametrize("seed", range(10))
def test_columns_are_filled_as_pandas_does(seed: int, fill: Fill) -> None:
    columns, expected = columns_of(seed, 5 + 10 * seed, 200), expected_of(seed, 200)
    found = pd.DataFrame(filled(columns, expected, fill)).set_index("time")
    want = pandas_filled(columns, expected, fill)
    pd.testing.assert_frame_equal(found, want, check_dtype=False, check_names=False)


def test_integers_stay_integers() -> None:
    found = filled(columns_of(1, 10, 100), expected_of(1, 100), Fill.PREVIOUS)
    assert found["trades"].dtype == found["revision"].dtype == np.int64


@pytest.mark.parametrize("fill", list(Fill))
def test_none_or_nothing_expected_changes_nothing(fill: Fill) -> None:
    columns = columns_of(3, 10, 100)
    expected = expected_of(3, 100) if fill is Fill.NONE else np.array([], dtype=np.int64)
    found = filled(columns, expected, fill)
    assert found.keys() == columns.keys()
    assert all(found[name] is columns[name] for name in columns)


def test_without_any_candle_only_null_has_rows() -> None:
    empty = {name: values[:0] for name, values in columns_of(1, 3, 9).items()}
    expected = np.array([MINUTE, 2 * MINUTE])
    assert len(filled(empty, expected, Fill.PREVIOUS)["time"]) == 0
    found = filled(empty, expected, Fill.NULL)
    assert found["time"].tolist() == expected.tolist()
    assert np.isnan(found["close"]).all()
    assert not found["volume"].any()


def test_fill_is_for_regular_hours() -> None:
    spec = CandleSpec(interval=Interval.parse("1m"), session=Session.PRE)
    check_fill(spec, Fill.NONE)
    with pytest.raises(BadInput, match="'PRE'"):
        check_fill(spec, Fill.NULL)
