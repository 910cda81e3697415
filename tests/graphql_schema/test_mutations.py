"""Mutations store, correct and decide; the next read shows it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.storage.instrument_writes import InstrumentRecord, lock_instruments, upsert
from tests.conftest import TestDatabase
from tests.ingestion.imports import fresh_symbol, new_instruments, writing
from tests.serving import Api, in_process

INGEST = """
    mutation ($trades: [TradeInput!]!, $replace: Boolean! = false, $key: String) {
      ingestTrades(trades: $trades, replace: $replace, idempotencyKey: $key) {
        batch received stored duplicate rejected flagged repeated reasons { reason count }
      }
    }
"""
CANDLES = """
    query ($symbol: String!) {
      instrument(symbol: $symbol) {
        candles(interval: "1m", last: 5) { time close volume trades revision }
        latest { price }
      }
    }
"""


@pytest.fixture(scope="module")
async def api(database: TestDatabase) -> AsyncIterator[Api]:
    async with in_process(database.url) as opened:
        yield opened


@pytest.fixture
def symbol(database: TestDatabase) -> str:
    """A known instrument."""
    name = fresh_symbol()
    with writing(database.url) as connection, connection.transaction():
        lock_instruments(connection)
        upsert(connection, InstrumentRecord(symbol=name), new_instruments())
    return name


def trade(symbol: str, second: int, price: object, trade_id: int) -> dict[str, Any]:
    time = f"2026-03-05T12:00:{second:02}Z"
    return {"symbol": symbol, "time": time, "price": price, "size": "2", "tradeId": str(trade_id)}


async def receipt(api: Api, trades: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    data = await api.data(INGEST, trades=trades, **more)
    found: dict[str, Any] = data["ingestTrades"]
    return found


async def test_what_is_stored_shows_in_the_next_read(api: Api, symbol: str) -> None:
    first = await receipt(api, [trade(symbol, 0, "10.10", 1), trade(symbol, 1, 11.5, 2)])
    assert (first["received"], first["stored"], first["rejected"]) == (2, 2, 0)
    asked = await api.data(CANDLES, symbol=symbol)
    (candle,) = asked["instrument"]["candles"]
    assert (candle["close"], candle["trades"]) == ("11.5", 2)
    assert candle["revision"] == first["batch"]
    again = await receipt(api, [trade(symbol, 0, "10.1", 1), trade(symbol, 2, "12", 3)])
    assert (again["stored"], again["duplicate"]) == (1, 1)
    assert (await api.data(CANDLES, symbol=symbol))["instrument"]["latest"]["price"] == "12"


async def test_a_key_makes_a_retry_harmless(api: Api, symbol: str) -> None:
    rows = [trade(symbol, 0, "1", 1)]
    first = await receipt(api, rows, key="once")
    assert (first["repeated"], await receipt(api, rows, key="once")) == (
        False,
        {**first, "repeated": True},
    )
    answer = await api.ask(INGEST, trades=[trade(symbol, 0, "2", 1)], key="once")
    assert answer["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_CONFLICT"
    answers = await asyncio.gather(
        *(receipt(api, [trade(symbol, 5, "5", 5)], key="together") for _ in range(5))
    )
    assert len({each["batch"] for each in answers}) == 1
    assert sorted(each["repeated"] for each in answers) == [False, True, True, True, True]


async def test_refused_records_can_be_seen_released_and_discarded(api: Api, symbol: str) -> None:
    bad = [trade(symbol, 0, "-1", 1), trade("NOBODY.HERE", 1, "1", 2)]
    found = await receipt(api, [trade(symbol, 2, "3", 3), *bad])
    assert found["reasons"] == [
        {"reason": "PRICE_NOT_POSITIVE", "count": 1},
        {"reason": "UNKNOWN_SYMBOL", "count": 1},
    ]
    listed = await api.data(
        """
        query ($batch: Revision!) {
          quarantine(batch: $batch, first: 1) {
            edges { cursor node { id reasons record state position kind source batch } }
            pageInfo { hasNextPage }
          }
        }
        """,
        batch=found["batch"],
    )
    (edge,) = listed["quarantine"]["edges"]
    assert listed["quarantine"]["pageInfo"]["hasNextPage"]
    assert edge["node"]["reasons"] == ["UNKNOWN_SYMBOL"]
    rest = await api.data(
        "query ($b: Revision!, $c: String!) { quarantine(batch: $b, after: $c)"
        " { edges { node { id } } } }",
        b=found["batch"],
        c=edge["cursor"],
    )
    negative = rest["quarantine"]["edges"][0]["node"]["id"]
    released = await api.data(
        """
        mutation ($ids: [ID!]!) {
          releaseQuarantined(ids: $ids, override: [PRICE_NOT_POSITIVE], note: "really") {
            receipts { stored } refused { id reasons }
          }
        }
        """,
        ids=[negative, edge["node"]["id"]],
    )
    assert released["releaseQuarantined"] == {
        "receipts": [{"stored": 1}],
        "refused": [{"id": edge["node"]["id"], "reasons": ["UNKNOWN_SYMBOL"]}],
    }
    gone = await api.data(
        "mutation ($ids: [ID!]!) { discardQuarantined(ids: $ids) }", ids=[edge["node"]["id"]]
    )
    assert gone["discardQuarantined"] == [edge["node"]["id"]]
    trail = await api.data(
        "{ audit(first: 2) { edges { node { action subject actor detail hash } } } }"
    )
    actions = [each["node"]["action"] for each in trail["audit"]["edges"]]
    assert actions == ["DISCARD", "RELEASE"]
    assert all(each["node"]["actor"].startswith("graphql") for each in trail["audit"]["edges"])


async def test_corrections_and_cancellations_show_in_the_next_read(api: Api, symbol: str) -> None:
    await receipt(api, [trade(symbol, 0, "10", 1), trade(symbol, 1, "11", 2)])
    change = """
        mutation ($symbol: String!) {
          correctTrade(symbol: $symbol, time: "2026-03-05T12:00:01Z", tradeId: "2",
                       price: 12.25, size: 5, note: "late print") { batch stored }
        }
    """
    corrected = (await api.data(change, symbol=symbol))["correctTrade"]
    asked = await api.data(CANDLES, symbol=symbol)
    assert asked["instrument"]["candles"][0]["close"] == "12.25"
    assert asked["instrument"]["candles"][0]["revision"] == corrected["batch"]
    await api.data(
        """
        mutation ($symbol: String!) {
          cancelTrade(symbol: $symbol, time: "2026-03-05T12:00:01Z", tradeId: "2") { stored }
        }
        """,
        symbol=symbol,
    )
    asked = await api.data(CANDLES, symbol=symbol)
    assert asked["instrument"]["candles"][0]["close"] == "10"
    assert asked["instrument"]["latest"]["price"] == "10"


async def test_quotes_and_bars_come_in_the_same_way(api: Api, symbol: str) -> None:
    quotes = """
        mutation ($s: String!) {
          ingestQuotes(quotes: [
            {symbol: $s, time: "2026-03-05T12:00:00Z", quoteId: "1", bid: "9", bidSize: 1,
             ask: "10", askSize: 2},
            {symbol: $s, time: "2026-03-05T12:00:01Z", quoteId: "2", bid: "11", ask: "10"}
          ]) { stored rejected reasons { reason } }
        }
    """
    assert (await api.data(quotes, s=symbol))["ingestQuotes"] == {
        "stored": 1, "rejected": 1, "reasons": [{"reason": "CROSSED_QUOTE"}],
    }  # fmt: skip
    bars = """
        mutation ($s: String!, $interval: Interval!) {
          ingestBars(interval: $interval, bars: [
            {symbol: $s, time: "2026-03-05T12:00:00Z", open: 1, high: 3, low: 1, close: 2,
             volume: "100.5", trades: 7}
          ]) { stored }
        }
    """
    assert (await api.data(bars, s=symbol, interval="5m"))["ingestBars"] == {"stored": 1}
    answer = await api.ask(bars, s=symbol, interval="1w")
    assert answer["errors"][0]["extensions"]["code"] == "IMPORT_REFUSED"


@pytest.mark.parametrize(
    ("mutation", "code"),
    [
        ("ingestTrades(trades: []) { batch }", "BAD_INPUT"),
        ('correctTrade(symbol: "NOBODY", time: "2026-03-05", tradeId: "1", price: "1", size: "1")'
         " { batch }", "UNKNOWN_SYMBOL"),
        ('cancelTrade(symbol: "NOBODY", time: "2026-03-05", tradeId: "-1") { batch }', "BAD_INPUT"),
        ('releaseQuarantined(ids: ["x"]) { receipts { batch } }', "BAD_INPUT"),
        ('releaseQuarantined(ids: ["1"], override: [BAD_TIME]) { refused { id } }', "BAD_INPUT"),
        ('discardQuarantined(ids: ["99999999999999999999"])', "BAD_INPUT"),
        ('ingestTrades(trades: [{symbol: "A", time: "2026-03-05", price: "NaN", size: "1",'
         ' tradeId: "1"}]) { batch }', "BAD_INPUT"),
        ('ingestTrades(trades: [{symbol: "A", time: "then", price: "1", size: "1",'
         ' tradeId: "1"}]) { batch }', "BAD_INPUT"),
    ],
)  # fmt: skip
async def test_bad_input_gets_a_code(api: Api, mutation: str, code: str) -> None:
    answer = await api.ask(f"mutation {{ {mutation} }}")
    assert answer["errors"][0]["extensions"]["code"] == code, answer


async def test_numbers_with_more_digits_than_json_keeps_are_refused(api: Api, symbol: str) -> None:
    answer = await api.ask(INGEST, trades=[trade(symbol, 0, 0.12345678901234567, 1)])
    assert "write it as text" in answer["errors"][0]["message"]
    found = await receipt(api, [trade(symbol, 0, "0.123456789012345678", 1)])
    assert found["stored"] == 1
    asked = await api.data(CANDLES, symbol=symbol)
    assert asked["instrument"]["candles"][0]["close"] == "0.123456789012345678"


async def test_rows_that_look_odd_are_flagged(api: Api, symbol: str) -> None:
    calm = [trade(symbol, n, str(100 + n % 3), n) for n in range(40)]
    await receipt(api, calm)
    found = await receipt(api, [trade(symbol, 40, "900", 40)])
    assert found["flagged"] == 1
    asked = await api.data(
        """
        query ($symbol: String!) {
          flags(symbol: $symbol) {
            edges { node { symbol kind interval time rowId rule severity score threshold batch } }
            pageInfo { hasNextPage }
          }
        }
        """,
        symbol=symbol,
    )
    flag = asked["flags"]["edges"][0]["node"]
    assert flag["rule"] in {"PRICE_JUMP", "SPLIT_LIKE"}
    assert (flag["rowId"], flag["interval"], flag["batch"]) == ("40", None, found["batch"])
    assert flag["score"] >= flag["threshold"]
    answer = await api.ask('{ flags(symbol: "NOBODY") { edges { cursor } } }')
    assert answer["errors"][0]["extensions"]["code"] == "UNKNOWN_SYMBOL"
