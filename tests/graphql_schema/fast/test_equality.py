"""The fast path gives what the ordinary one gives: equal JSON, equal errors, equal nulls."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.rollups.refresh import refresh
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.graphql_schema.fast.documents import Document
from tests.query.market import busy_trades, minute_bars, store_bars, store_trades, us_day_trades
from tests.query.recompute import RawBar
from tests.serving import Api, in_process

START = datetime(2026, 3, 5, 21, 7, tzinfo=UTC)
DOCUMENTS_A_TEST = 150


@pytest.fixture(scope="module")
async def api(
    database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Api]:
    folder = tmp_path_factory.mktemp("market")
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        store_trades(connection, folder, "BUSY", "24/7", busy_trades(1, START, 3000, 45.0))
        days = [date(2026, 3, 5), date(2026, 3, 6), date(2026, 3, 9)]
        store_trades(connection, folder, "US", "XNAS", us_day_trades(2, days))
        store_bars(connection, folder, "MINUTES", "24/7", "1m", minute_bars(3, START, 2000, 1))
        store_bars(connection, folder, "DAILY", "XNYS", "1d", [_bar(day) for day in days])
        connection.execute(
            "INSERT INTO instrument (symbol, name, exchange, asset_class, currency)"
            " VALUES ('EMPTY', E'No \"data\" \\\\ \\u00e9', 'XNAS', 'ETF', 'USD')"
        )
        refresh(connection)
        # Some late trades that the roll-ups have not followed.
        store_trades(connection, folder, "BUSY", "24/7", busy_trades(9, START, 200, 500.0))
    async with in_process(database.url, cache_mb=0, refresh_interval_s=3600.0) as opened:
        yield opened


def _bar(day: date) -> RawBar:
    price = Decimal(100 + day.day)
    time = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return RawBar(
        time=time, open=price, high=price + 2, low=price - 1, close=price + 1,
        volume=Decimal(12345), trading_date=day,
    )  # fmt: skip


@pytest.mark.parametrize("wrong", [False, True], ids=["right", "wrong"])
@pytest.mark.parametrize("seed", range(4))
async def test_random_documents_have_equal_answers(api: Api, seed: int, *, wrong: bool) -> None:
    rng = random.Random(seed * 2 + wrong)
    before = api.outcomes.copy()
    for _ in range(DOCUMENTS_A_TEST):
        document = Document(rng, wrong)
        text = document.text()
        ordinary = await api.ask(text, **document.variables)  # unknown yet: the ordinary path
        fast = await api.ask(text, **document.variables)
        one, other = _with_places(ordinary), _with_places(fast)
        assert one == other, [text, _first_difference(one, other)]
        assert list(_keys(fast)) == list(_keys(ordinary)), text
    outcomes = api.outcomes - before
    # Enough of them really took the fast path, and enough could not.
    assert outcomes["fast"] > DOCUMENTS_A_TEST * (0.1 if wrong else 0.4)
    assert outcomes["fallback"] > 0


def _with_places(answer: dict[str, Any]) -> dict[str, Any]:
    """Tell the error of a nulled object by the object alone, and errors in one order.

    Where several fields of an object fail, GraphQL tells one error and leaves open which: it is
    that of the field that failed first, by the clock. So is the order of the list.
    """
    errors = []
    for error in answer.get("errors", ()):
        value, place = answer.get("data"), []
        for step in error.get("path", ()):
            if value is None:
                break
            value = value[step]
            place.append(step)
        errors.append(error if place == error.get("path", []) else {"nulled": place})
    return {**answer, "errors": sorted(errors, key=str)}


def _first_difference(ordinary: object, fast: object, path: str = "") -> str | None:
    """Name the place and the values of the first difference."""
    if isinstance(ordinary, dict) and isinstance(fast, dict) and ordinary.keys() == fast.keys():
        pairs = [(f"{path}.{key}", ordinary[key], fast[key]) for key in ordinary]
    elif isinstance(ordinary, list) and isinstance(fast, list) and len(ordinary) == len(fast):
        pairs = [
            (f"{path}[{place}]", *both)
            for place, both in enumerate(zip(ordinary, fast, strict=True))
        ]
    else:
        return None if ordinary == fast else f"{path}: {ordinary!r} against {fast!r}"
    found = (_first_difference(one, other, place) for place, one, other in pairs)
    return next((each for each in found if each is not None), None)


def _keys(value: object) -> list[object]:
    """Flatten keys in order: JSON objects of GraphQL keep the order of the selection."""
    if isinstance(value, dict):
        return [each for key, inner in value.items() for each in (key, *_keys(inner))]
    if isinstance(value, list):
        return [each for inner in value for each in _keys(inner)]
    return []


async def test_a_switch_that_changes_gives_another_plan(api: Api) -> None:
    text = """
        query ($all: Boolean!, $not: Boolean! = false) {
          instrument(symbol: "BUSY") {
            candles(interval: "1h", last: 1) { time close @include(if: $all) open @skip(if: $not) }
          }
        }
    """
    await api.ask(text, all=True)
    for switch, skip, keys in (
        (True, False, ["time", "close", "open"]),
        (False, False, ["time", "open"]),
        (False, True, ["time"]),
        (True, True, ["time", "close"]),
    ):
        data = await api.data(text, **{"all": switch, "not": skip})
        assert list(data["instrument"]["candles"][0]) == keys


async def test_the_fast_path_refuses_nothing_and_words_nothing(api: Api) -> None:
    text = '{ instrument(symbol: "DAILY") { candles(interval: "1h", last: 1) { time } } }'
    before = api.outcomes.copy()
    answers = [await api.ask(text) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["errors"][0]["extensions"]["code"] == "BAD_INTERVAL"
    assert (api.outcomes - before)["fallback"] == 2
