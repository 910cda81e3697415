"""The sample's own adjusted closes, over GraphQL: reproduced; every difference has its reason."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal, localcontext
from typing import Any

import pytest

from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.actions import SampleDay, sample, store_sample
from tests.serving import Api, in_process

SYMBOLS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
QUERY = """
    query ($adjust: Adjust!) {
      instruments(symbols: ["AAPL", "FB", "GOOG", "IBM", "MSFT"]) {
        symbol
        candles(interval: "1d", from: "2000-01-01", adjust: $adjust) { time close volume }
        corporateActions { exDate kind ratio amount unused }
      }
    }
"""
Days = dict[str, dict[date, Decimal]]


@pytest.fixture(scope="module")
def truth() -> dict[str, list[SampleDay]]:
    return sample()


@pytest.fixture(scope="module")
async def api(native_database: TestDatabase) -> AsyncIterator[Api]:
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_sample(connection)
    async with in_process(native_database.url, cache_mb=0) as opened:
        yield opened


async def closes(api: Api, adjust: str, field: str = "close") -> Days:
    data = await api.data(QUERY, adjust=adjust)
    return {
        each["symbol"]: {
            date.fromisoformat(candle["time"][:10]): Decimal(candle[field])
            for candle in each["candles"]
        }
        for each in data["instruments"]
    }


async def actions(api: Api) -> dict[str, list[dict[str, Any]]]:
    data = await api.data(QUERY, adjust="NONE")
    return {each["symbol"]: each["corporateActions"] for each in data["instruments"]}


def scale(days: list[SampleDay]) -> Decimal:
    """Give what actions after its end make of all the sample's days."""
    return days[-1].close / days[-1].adjusted_close


async def test_total_return_closes_are_the_samples_adjusted_closes(
    api: Api, truth: dict[str, list[SampleDay]]
) -> None:
    found = await closes(api, "TOTAL_RETURN")
    for symbol, days in truth.items():
        assert list(found[symbol]) == [each.day for each in days]
        for each in days:
            expected = each.adjusted_close * scale(days)
            assert abs(found[symbol][each.day] - expected) < Decimal("1e-9"), (symbol, each.day)


async def test_all_differs_by_the_close_that_dividends_are_held_against_and_by_nothing_else(
    api: Api, truth: dict[str, list[SampleDay]]
) -> None:
    found = await closes(api, "ALL")
    paid = await actions(api)
    largest = {}
    for symbol, days in truth.items():
        position = {each.day: place for place, each in enumerate(days)}
        dividends: dict[date, Decimal] = {}
        for action in paid[symbol]:
            if action["kind"] == "DIVIDEND":
                day = date.fromisoformat(action["exDate"])
                dividends[day] = dividends.get(day, Decimal(0)) + Decimal(action["amount"])
        convention, worst = Decimal(1), Decimal(0)
        for each in reversed(days):
            ours = found[symbol][each.day]
            theirs = each.adjusted_close * scale(days)
            assert abs(ours - theirs * convention) < Decimal("1e-9"), (symbol, each.day)
            worst = max(worst, abs(ours / theirs - 1))
            if each.day in dividends:
                amount, before = dividends[each.day], days[position[each.day] - 1].close
                with localcontext() as context:
                    context.prec = 50
                    convention *= (1 - amount / before) / (each.close / (each.close + amount))
        largest[symbol] = round(worst * 10_000, 2)
    # In hundredths of a percent, as docs/adjustments.md lists them.
    assert largest == {
        "AAPL": Decimal("1.67"), "FB": 0, "GOOG": 0, "IBM": Decimal("3.85"),
        "MSFT": Decimal("19.86"),
    }  # fmt: skip


async def test_splits_alone_make_closes_continuous_and_leave_the_crash_alone(
    api: Api, truth: dict[str, list[SampleDay]]
) -> None:
    raw, split = await closes(api, "NONE"), await closes(api, "SPLITS")
    for symbol, ex_date in (
        ("AAPL", date(2000, 6, 21)),
        ("AAPL", date(2005, 2, 28)),
        ("MSFT", date(2003, 2, 18)),
    ):
        before = max(day for day in raw[symbol] if day < ex_date)
        assert Decimal("0.45") < raw[symbol][ex_date] / raw[symbol][before] < Decimal("0.60")
        assert Decimal("0.90") < split[symbol][ex_date] / split[symbol][before] < Decimal("1.12")
    crash, before = date(2000, 9, 29), date(2000, 9, 28)
    total = await closes(api, "ALL")
    for found in (raw, split, total):
        fall = found["AAPL"][crash] / found["AAPL"][before]
        assert round(fall, 3) == Decimal("0.481")
    assert not [each for each in (await actions(api))["AAPL"] if each["exDate"] == "2000-09-29"]


async def test_splits_multiply_volumes_and_dividends_do_not(
    api: Api, truth: dict[str, list[SampleDay]]
) -> None:
    for adjust in ("SPLITS", "ALL", "TOTAL_RETURN"):
        volumes = await closes(api, adjust, "volume")
        for each in truth["AAPL"]:
            times = 4 if each.day < date(2000, 6, 21) else 2 if each.day < date(2005, 2, 28) else 1
            assert volumes["AAPL"][each.day] == each.volume * times
        assert all(volumes["IBM"][each.day] == each.volume for each in truth["IBM"])


async def test_every_action_of_the_sample_is_used(api: Api) -> None:
    found = await actions(api)
    assert {symbol: len(own) for symbol, own in found.items()} == {
        "AAPL": 5, "FB": 0, "GOOG": 0, "IBM": 52, "MSFT": 39,
    }  # fmt: skip
    assert not [each for own in found.values() for each in own if each["unused"]]
