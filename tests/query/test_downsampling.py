"""Picked rows make the picture that all rows make; compared with plain implementations."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import BadInput
from app.query.downsampling import Method, check_points, lttb, m4
from tests.query.indicators.history import Floats

Rows = tuple[Any, Floats, Floats, Floats]


@st.composite
def rows(draw: st.DrawFn, gaps: bool = True) -> Rows:
    """Times that lie close together and far apart, prices with equals, some rows without any."""
    count = draw(st.integers(1, 120))
    steps = draw(st.lists(st.sampled_from([1, 60, 3600, 10**6]), min_size=count, max_size=count))
    lows = draw(st.lists(st.integers(1, 30), min_size=count, max_size=count))
    rises = draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
    closes = draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))
    time = np.cumsum(np.array(steps, dtype=np.int64)) * 1_000_000 + 1_700_000_000_000_000
    low = np.array(lows, dtype=np.float64)
    high = low + np.array(rises)
    close = low + (high - low) * np.array(closes)
    if gaps and draw(st.booleans()):
        gone = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
        low[gone] = high[gone] = close[gone] = np.nan
    return time, low, high, close


def pixel(time: int, first: int, last: int, width: int) -> int:
    """Give the column of pixels in which a time is drawn, in whole numbers."""
    return (time - first) * width // (last - first + 1)


def plain_m4(time: Any, low: Floats, high: Floats, close: Floats, points: int) -> list[int]:
    """Choose as the paper says, row by row."""
    if len(time) <= points:
        return list(range(len(time)))
    columns: dict[int, list[int]] = {}
    for row, at in enumerate(time.tolist()):
        place = pixel(at, int(time[0]), int(time[-1]), points // 4)
        columns.setdefault(place, []).append(row)
    chosen = set()
    for own in columns.values():
        priced = [row for row in own if not math.isnan(close[row])]
        if not priced:
            chosen.add(own[0])
            continue
        lowest = min(priced, key=lambda row: (low[row], row))
        highest = min(priced, key=lambda row: (-high[row], row))
        chosen |= {priced[0], priced[-1], lowest, highest}
    return sorted(chosen)


def raster(time: Any, low: Floats, high: Floats, close: Floats, chosen: Any, width: int) -> Any:
    """Draw a candle chart: what is lowest, highest, first and last in each column of pixels."""
    drawn: dict[int, tuple[float, float, float, float]] = {}
    for row in chosen:
        if math.isnan(close[row]):
            continue
        place = pixel(int(time[row]), int(time[0]), int(time[-1]), width)
        bottom, top, first, _ = drawn.get(place, (math.inf, -math.inf, close[row], 0.0))
        drawn[place] = (min(bottom, low[row]), max(top, high[row]), first, close[row])
    return drawn


@settings(deadline=None, max_examples=200)
@given(rows(), st.integers(4, 60))
def test_m4_is_what_the_paper_says(series: Rows, points: int) -> None:
    chosen = m4(*series, points)
    assert chosen.tolist() == plain_m4(*series, points)
    assert len(chosen) <= points


@settings(deadline=None, max_examples=200)
@given(rows(), st.integers(4, 60))
def test_a_candle_chart_of_that_width_is_the_same(series: Rows, points: int) -> None:
    time, low, high, close = series
    everything = range(len(time))
    width = points // 4
    chosen = m4(*series, points)
    assert raster(*series, chosen, width) == raster(time, low, high, close, everything, width)


@settings(deadline=None, max_examples=200)
@given(rows(), st.integers(3, 60))
def test_lttb_picks_the_largest_triangles(series: Rows, points: int) -> None:
    time, _, _, close = series
    chosen = lttb(time, close, points).tolist()
    count = len(time)
    if count <= points:
        assert chosen == list(range(count))
        return
    assert len(chosen) == points
    assert chosen == sorted(set(chosen))
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    if np.isnan(close).any():
        return
    bounds = [1 + number * (count - 2) // (points - 2) for number in range(points - 1)]
    buckets = [list(range(*pair)) for pair in zip(bounds, bounds[1:], strict=False)]
    for place, bucket in enumerate(buckets):
        after = buckets[place + 1] if place + 1 < len(buckets) else [count - 1]
        middle = (
            sum(int(time[row] - time[0]) for row in after) / len(after),
            sum(close[row] for row in after) / len(after),
        )
        previous = chosen[place]

        def area(row: int, previous: int = previous, middle: tuple[float, float] = middle) -> float:
            x0, y0 = int(time[previous] - time[0]), close[previous]
            x1, y1 = int(time[row] - time[0]), close[row]
            return float(abs((x0 - middle[0]) * (y1 - y0) - (x0 - x1) * (middle[1] - y0)) / 2)

        largest = max(map(area, bucket))
        assert chosen[place + 1] in bucket
        assert area(chosen[place + 1]) >= largest - 1e-9 * max(largest, 1)


def test_lttb_prefers_rows_with_a_price() -> None:
    time = np.arange(12, dtype=np.int64)
    close = np.array([np.nan, np.nan, 3, np.nan, 5, 9, np.nan, np.nan, np.nan, np.nan, 2, np.nan])
    chosen = lttb(time, close, 6)
    assert {2, 5, 10} <= set(chosen.tolist())
    assert lttb(time, np.full(12, np.nan), 5).tolist()[::4] == [0, 11]


def test_a_century_of_microseconds_does_not_overflow() -> None:
    time = np.linspace(0, 4e15, 100_000).astype(np.int64)
    price = np.sin(np.arange(100_000) / 500)
    chosen = m4(time, price - 1, price + 1, price, 40_000)
    assert chosen.tolist() == plain_m4(time, price - 1, price + 1, price, 40_000)


@pytest.mark.parametrize(
    ("points", "method", "least"),
    [(3, Method.M4, 4), (0, Method.M4, 4), (2, Method.LTTB, 3), (-1, Method.LTTB, 3),
     (101, Method.M4, 4), (101, Method.LTTB, 3)],
)  # fmt: skip
def test_too_few_or_too_many_points_are_refused(points: int, method: Method, least: int) -> None:
    with pytest.raises(BadInput, match=f"maxPoints is {points}: it must be from {least} to 100"):
        check_points(points, method, 100)
    check_points(least, method, 100)
