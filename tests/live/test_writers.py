"""Compiled subscriptions write what the ordinary execution writes, byte for byte."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from graphql import ExecutionResult, OperationDefinitionNode, execute, parse, validate

from app.live.events import CandleEvent, Event, Mark, PriceEvent, TradeEvent
from app.market.candle import Candle, LatestPrice, Session, Trade
from graphql_schema.live.writers import compiled
from graphql_schema.schema import DocumentLimits, Schema, build_schema

NOON = datetime(2026, 3, 5, 12, 0, 0, 120, tzinfo=UTC)
MARK = Mark(1 << 40, 7, "20260305120000")
CANDLE = Candle(
    time=NOON.replace(microsecond=0),
    open=Decimal("1E+3"),
    high=Decimal("1000.50"),
    low=Decimal("0.00000001"),
    close=Decimal("12"),
    volume=Decimal("1234567890123456789.123456789"),
    vwap=Decimal("10.10"),
    trades=5,
    revision=9,
    final=False,
)
BARE = Candle(
    time=NOON,
    open=Decimal(1),
    high=Decimal(1),
    low=Decimal(1),
    close=Decimal(1),
    volume=Decimal(0),
    vwap=None,
    trades=0,
    revision=1 << 50,
    final=True,
)
ODD = 'Ä"\\%s %\u2028'
CANDLES: list[Event] = [
    CandleEvent(mark=MARK, symbol=symbol, time=NOON, revision=3, candle=candle)
    for symbol in ("A", ODD)
    for candle in (CANDLE, BARE, None)
]
TRADES: list[Event] = [
    TradeEvent(
        mark=MARK,
        symbol=ODD,
        revision=4,
        cancelled=session is Session.POST,
        trade=Trade(
            time=NOON,
            trade_id=(1 << 63) - 1,
            price=Decimal("0.10"),
            size=Decimal("3E+2"),
            session=session,
            trading_date=date(2026, 3, 5),
            order_key="00ff",
        ),
    )
    for session in Session
]
PRICE = LatestPrice(
    time=NOON, price=Decimal("1.50"), size=Decimal(2), trading_date=date(2026, 3, 5)
)
PRICES: list[Event] = [
    PriceEvent(mark=MARK, symbol="A", revision=4, latest=latest) for latest in (PRICE, None)
]
ALL = "time open high low close volume vwap trades revision final"
COMPILED = [
    (f'candles(symbols: ["A"], interval: "1m") {{ symbol candle {{ {ALL} }} }}', CANDLES),
    (
        'x: candles(symbols: $s, interval: "1m") { __typename candle { a: open open __typename }'
        " cursor time revision ...F ...G ... @include(if: $yes) { candle { close } } }",
        CANDLES,
    ),
    ('candles(symbols: $s, interval: "1m") { symbol candle @skip(if: $yes) { open } }', CANDLES),
    (
        "trades(symbols: $s) { symbol revision cursor cancelled"
        " trade { time price size session tradingDate tradeId } }",
        TRADES,
    ),
    ("trades(symbols: $s) { trade { session } trade { price s: session } }", TRADES),
    (
        "latest(symbols: $s) { symbol revision cursor latest { time price size tradingDate } }",
        PRICES,
    ),
]
FRAGMENTS = """
fragment F on CandleEvent { candle { ...C } b: symbol }
fragment G on CandleEvent { b: symbol candle { low } }
fragment C on Candle { high time @skip(if: $yes) close }
"""
GIVEN: dict[str, Any] = {"s": ["A"], "yes": True}


@pytest.fixture(scope="module")
def schema() -> Schema:
    return build_schema(DocumentLimits(max_tokens=1000, max_depth=20, introspection=True))


@pytest.mark.parametrize(("selection", "events"), COMPILED)
def test_the_same_bytes(schema: Schema, selection: str, events: list[Event]) -> None:
    fragments = FRAGMENTS if "...F" in selection else ""
    used = [name for name in ("$s", "$yes") if name in selection + fragments]
    types = {"$s": "$s: [String!]!", "$yes": "$yes: Boolean!"}
    names = f"({', '.join(types[name] for name in used)})" if used else ""
    document = parse(f"subscription {names} {{ {selection} }} {fragments}")
    assert not validate(schema._schema, document)
    given = {name[1:]: GIVEN[name[1:]] for name in used}
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    write = compiled(document, operation, given)
    assert write is not None
    for event in events:
        result = execute(
            schema._schema, document, root_value=event, variable_values=given, context_value=None
        )
        assert isinstance(result, ExecutionResult)
        assert not result.errors
        assert write(event) == orjson.dumps({"data": result.data})


def test_what_cannot_be_compiled_is_left_to_the_ordinary_path() -> None:
    for text in (
        "subscription { candles(symbols: []) @skip(if: true) { symbol } }",
        "subscription { other { symbol } }",
        "subscription { candles(symbols: []) { symbol @own } }",
        "subscription ($yes: Boolean) { trades(symbols: []) { symbol @skip(if: $yes) } }",
    ):
        document = parse(text)
        operation = document.definitions[0]
        assert isinstance(operation, OperationDefinitionNode)
        assert compiled(document, operation, {}) is None
