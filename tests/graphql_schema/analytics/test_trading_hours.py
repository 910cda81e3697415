"""Exchange: whether it is open, its sessions, and what it refuses."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_instruments
from tests.serving import Api, in_process


@pytest.fixture(scope="module")
async def api(native_database: TestDatabase) -> AsyncIterator[Api]:
    add_instruments(
        native_database.url,
        [
            {"symbol": "7203", "exchange": "XTKS"},
            {"symbol": "AAPL", "exchange": "XNAS"},
            {"symbol": "BTC", "exchange": "24/7"},
        ],
    )
    async with in_process(native_database.url, max_points=1000) as running:
        yield running


async def ask(api: Api, fields: str, mic: str = "XTKS") -> Any:
    data = await api.data(f'{{ exchange(mic: "{mic}") {{ {fields} }} }}')
    return data["exchange"]


async def error(api: Api, fields: str, mic: str = "XTKS") -> tuple[str, str]:
    answer = await api.ask(f'{{ exchange(mic: "{mic}") {{ {fields} }} }}')
    (found,) = answer["errors"]
    return found["extensions"]["code"], found["message"]


async def test_the_lunch_break_is_closed(api: Api) -> None:
    fields = """
        morning: isOpen(at: "2024-06-03T11:29:59+09:00")
        lunch: isOpen(at: "2024-06-03T11:30:00+09:00")
        afternoon: isOpen(at: "2024-06-03T12:30:00+09:00")
        after: nextOpen(at: "2024-06-03T11:30:00+09:00")
        until: nextClose(at: "2024-06-03T12:30:00+09:00")
    """
    assert await ask(api, fields) == {
        "morning": True,
        "lunch": False,
        "afternoon": True,
        "after": "2024-06-03T03:30:00+00:00",
        "until": "2024-06-03T06:00:00+00:00",
    }


async def test_sessions_tell_breaks_and_half_days(api: Api) -> None:
    fields = "sessions(from: {}, to: {}) {{ date open close breakStart breakEnd earlyClose }}"
    assert await ask(api, fields.format('"2024-06-01"', '"2024-06-04"')) == {
        "sessions": [
            {
                "date": "2024-06-03",
                "open": "2024-06-03T00:00:00+00:00",
                "close": "2024-06-03T06:00:00+00:00",
                "breakStart": "2024-06-03T02:30:00+00:00",
                "breakEnd": "2024-06-03T03:30:00+00:00",
                "earlyClose": False,
            }
        ]
    }
    thanksgiving = await ask(api, fields.format('"2024-11-28"', '"2024-11-30"'), "XNYS")
    assert thanksgiving == {
        "sessions": [
            {
                "date": "2024-11-29",
                "open": "2024-11-29T14:30:00+00:00",
                "close": "2024-11-29T18:00:00+00:00",
                "breakStart": None,
                "breakEnd": None,
                "earlyClose": True,
            }
        ]
    }


async def test_daylight_saving_moves_the_open(api: Api) -> None:
    fields = 'sessions(from: "2024-03-08", to: "2024-03-12") { open }'
    opens = [each["open"] for each in (await ask(api, fields, "XNYS"))["sessions"]]
    assert opens == ["2024-03-08T14:30:00+00:00", "2024-03-11T13:30:00+00:00"]


async def test_a_venue_that_never_closes_is_open_now(api: Api) -> None:
    fields = 'isOpen timezone sessions(from: "2024-12-25", to: "2024-12-26") { open close }'
    assert await ask(api, fields, "24/7") == {
        "isOpen": True,
        "timezone": "UTC",
        "sessions": [{"open": "2024-12-25T00:00:00+00:00", "close": "2024-12-26T00:00:00+00:00"}],
    }


async def test_an_instruments_exchange_has_them_too(api: Api) -> None:
    query = """
    query ($symbols: [String!]!) { instruments(symbols: $symbols) {
        symbol exchange { mic open: isOpen(at: "2024-06-03T02:00:00Z") }
    } }
    """
    for _ in range(3):  # at first, then learnt by the fast path, which cannot answer it
        data = await api.data(query, symbols=["7203", "AAPL"])
        assert data["instruments"] == [
            {"symbol": "7203", "exchange": {"mic": "XTKS", "open": True}},
            {"symbol": "AAPL", "exchange": {"mic": "XNAS", "open": False}},
        ]


async def test_plain_fields_of_an_exchange_stay_fast(api: Api) -> None:
    query = '{ instrument(symbol: "AAPL") { exchange { mic calendar timezone } } }'
    before = api.outcomes["fast"]
    for _ in range(2):
        data = await api.data(query)
        assert data["instrument"]["exchange"] == {
            "mic": "XNAS",
            "calendar": "XNYS",
            "timezone": "America/New_York",
        }
    assert api.outcomes["fast"] > before


async def test_an_unknown_venue_is_null(api: Api) -> None:
    assert await ask(api, "mic", "XXXX") is None


async def test_a_known_venue_without_instruments_is_found(api: Api) -> None:
    assert await ask(api, "mic timezone", "XLON") == {"mic": "XLON", "timezone": "Europe/London"}


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ('sessions(from: "2024-02-01", to: "2024-01-01") { date }', "BAD_RANGE", "2024-02-01"),
        ('sessions(from: "1990-01-01", to: "1990-02-01") { date }', "BAD_RANGE", "1997-01-01"),
        ('sessions(from: "2020-01-01", to: "2024-01-01") { date }', "RANGE_TOO_LARGE", "1000"),
        ('sessions(from: "2024-13-01", to: "2025-01-01") { date }', "BAD_INPUT", "2024-13-01"),
        ('isOpen(at: "1990-06-03T00:00:00Z")', "BAD_RANGE", "known from 1997-01-01"),
        ('isOpen(at: "noon")', "BAD_INPUT", "noon"),
    ],
)
async def test_bad_arguments_are_coded_and_named(
    api: Api, fields: str, code: str, words: str
) -> None:
    found, message = await error(api, fields)
    assert found == code, message
    assert words in message
