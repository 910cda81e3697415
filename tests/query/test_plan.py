"""The plan covers exactly the time asked for, from the coarsest fresh level."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadInterval
from app.market.candle_spec import CandleSpec
from app.market.instrument import CandleSource
from app.market.interval import ORIGIN, Interval
from app.query.plan import Level, Recipe, recipe, segments

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LEVELS = (
    Level(view="d", width=DAY),
    Level(view="h", width=HOUR),
    Level(view="m", width=MINUTE),
    Level(view=None, width=MINUTE),
)
START = datetime(2026, 1, 1, tzinfo=UTC)
moments = st.integers(0, 6 * 86_400).map(lambda s: START + timedelta(seconds=s))
stale = st.lists(st.tuples(moments, moments).map(lambda pair: (min(pair), max(pair))), max_size=5)


def recipe_of(source: CandleSource | None, natives: list[int], interval: str) -> Recipe | None:
    spec = CandleSpec(interval=Interval.parse(interval))
    return recipe("X", source, natives, lambda _: START, spec, spec.interval)


@given(stale=stale, days=st.integers(0, 6), offset=st.integers(0, 3))
def test_segments_cover_the_range_once_and_stale_time_is_read_from_rows(
    stale: list[tuple[datetime, datetime]], days: int, offset: int
) -> None:
    start = START + offset * DAY
    end = start + days * DAY
    found = sorted(segments(LEVELS, start, end, stale), key=lambda each: each.start)
    position = start
    for each in found:
        assert each.start == position
        assert each.start < each.end
        assert (each.start - ORIGIN) % each.level.width == timedelta()
        assert (each.end - ORIGIN) % each.level.width == timedelta()
        position = each.end
        if each.level.view is not None:
            assert not any(first < each.end and last >= each.start for first, last in stale)
    assert position == end


@given(stale=stale)
def test_a_day_without_stale_time_is_read_from_days(
    stale: list[tuple[datetime, datetime]],
) -> None:
    found = segments(LEVELS, START, START + 6 * DAY, stale)
    for number in range(6):
        day = START + number * DAY
        touched = any(first < day + DAY and last >= day for first, last in stale)
        levels = {each.level.view for each in found if each.start < day + DAY and each.end > day}
        assert ("d" in levels) == (not touched)


@pytest.mark.parametrize(
    ("interval", "views"),
    [
        ("1s", [None]),
        ("90s", [None]),
        ("1m", ["trade_candle_1m", None]),
        ("65m", ["trade_candle_1m", None]),
        ("1h", ["trade_candle_1h", "trade_candle_1m", None]),
        ("24h", ["trade_candle_1d", "trade_candle_1h", "trade_candle_1m", None]),
        ("1d", ["trade_candle_1d", "trade_candle_1h", "trade_candle_1m", None]),
        ("1mo", ["trade_candle_1d", "trade_candle_1h", "trade_candle_1m", None]),
    ],
)
def test_an_interval_is_read_from_every_level_that_divides_it(
    interval: str, views: list[str | None]
) -> None:
    made = recipe_of(CandleSource.TRADES, [0], interval)
    assert made is not None
    assert [level.view for level in made.levels] == views


@pytest.mark.parametrize(
    ("natives", "interval", "chosen"),
    [
        ([1, 1440], "1d", 1440),
        ([1, 1440], "1h", 1),
        ([1, 5], "5m", 5),
        ([1, 5], "7m", 1),
        ([7], "14m", 7),
        ([60], "1w", 60),
    ],
)
def test_the_coarsest_bars_that_divide_the_interval_are_taken(
    natives: list[int], interval: str, chosen: int
) -> None:
    made = recipe_of(CandleSource.BARS, natives, interval)
    assert made is not None
    assert made.bar_minutes == chosen


@pytest.mark.parametrize(
    ("natives", "interval"),
    [([1440], "1h"), ([7], "10m"), ([7], "1d"), ([5], "30s"), ([60], "90m")],
)
def test_bars_that_cannot_give_an_interval_are_named(natives: list[int], interval: str) -> None:
    with pytest.raises(BadInterval, match="'X' has bars of") as caught:
        recipe_of(CandleSource.BARS, natives, interval)
    assert interval in caught.value.message


def test_an_instrument_without_rows_has_no_recipe() -> None:
    assert recipe_of(None, [], "1m") is None
    assert recipe_of(CandleSource.BARS, [0], "1m") is None
