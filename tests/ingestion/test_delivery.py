import pytest

from app.errors import ImportRefused
from app.ingestion.delivery import bar_minutes
from app.market.interval import Interval


@pytest.mark.parametrize(
    ("interval", "minutes"),
    [
        ("1m", 1),
        ("60s", 1),
        ("7m", 7),
        ("1h", 60),
        ("90m", 90),
        ("23h", 1380),
        ("1439m", 1439),
        ("1d", 1440),
    ],
)
def test_native_intervals_are_whole_minutes_up_to_a_day(interval: str, minutes: int) -> None:
    assert bar_minutes(Interval.parse(interval)) == minutes


@pytest.mark.parametrize("interval", ["1s", "59s", "61s", "24h", "25h", "2d", "1w", "1mo"])
def test_other_intervals_are_no_bars(interval: str) -> None:
    with pytest.raises(ImportRefused, match="whole minutes up to 1d can"):
        bar_minutes(Interval.parse(interval))
