"""What the data cannot answer is refused by name; what they can is read in few statements."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from app.errors import BadInput, BadInterval, BadRange, NoData, RangeTooLarge, UnknownSymbol
from app.query.market import Market
from app.query.portfolio import read
from app.query.portfolio.terms import Position, Transaction, TransactionKind
from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_former_symbol
from tests.query.portfolio.market import CLOSES, FIRST, TRADED, at, portfolio, store
from tests.query.reading import market_of, reading

START = at(date(2024, 2, 1))


@pytest.fixture(scope="module")
def statements() -> list[str]:
    return []


@pytest.fixture(scope="module")
async def market(native_database: TestDatabase, statements: list[str]) -> AsyncIterator[Market]:
    store(native_database.url)
    add_former_symbol(native_database.url, "OLD", "AAA", until="2024-01-10")
    async with reading(native_database.url, statements) as opened:
        yield opened


def hold(*symbols: str) -> list[Position]:
    return [Position(symbol=symbol, quantity=Decimal(1)) for symbol in symbols]


def buy(symbol: str, day: date, price: str = "5", **more: Any) -> Transaction:
    return Transaction(
        kind=TransactionKind.BUY, day=day, symbol=symbol, quantity=Decimal(1), price=Decimal(price),
        **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (
            {"positions": hold("AAA", "NO", "NEITHER"), "start": START},
            UnknownSymbol,
            "no instrument has the symbol 'NO', 'NEITHER'",
        ),
        (
            {"positions": hold("AAA", "OLD"), "start": START},
            BadInput,
            r"positions\[1\]: 'OLD' is 'AAA', which comes before",
        ),
        (
            {"positions": hold("AAA"), "start": START, "benchmark": "NO"},
            UnknownSymbol,
            "no instrument has the symbol 'NO'",
        ),
        (
            {"positions": hold("AAA", "YEN"), "start": START},
            UnknownSymbol,
            "JPY cannot be converted to USD: .* 'JPYUSD', 'JPY/USD', .*'USDJPY'",
        ),
        (
            {"transactions": [buy("AAA", date(2024, 2, 1), currency="CHF")]},
            UnknownSymbol,
            "CHF cannot be converted to USD",
        ),
        (
            {"positions": hold("AAA", "EMPTY"), "start": START},
            NoData,
            "no price of 'EMPTY' is known up to 2024-04-29",
        ),
        (
            {"positions": hold("AAA", "LATE"), "start": START, "end": at(date(2024, 2, 9))},
            NoData,
            "no price of 'LATE' is known up to 2024-02-08",
        ),
        (
            {"transactions": [buy("LATE", date(2024, 2, 1))], "end": at(date(2024, 2, 9))},
            NoData,
            "no price of 'LATE' is known up to 2024-02-01",
        ),
        (
            {"transactions": [buy("EEE", date(2023, 12, 1)), buy("AAA", date(2024, 2, 1))]},
            NoData,
            r"transactions\[0\]: no rate of EUR to USD is known at 2023-12-01.*'EURUSD' begin",
        ),
        (
            {"positions": hold("AAA"), "start": at(date(2030, 1, 1))},
            NoData,
            "there is no candle of 1d of 'AAA' and no transaction in the range from 2030-01-01",
        ),
        (
            {"transactions": [buy("AAA", date(2024, 2, 1))], "end": at(date(2024, 2, 1))},
            BadRange,
            "no transaction is before `to` 2024-02-01",
        ),
        (
            {"transactions": [buy("AAA", date(2024, 2, 1), price="-5")]},
            BadInput,
            r"transactions\[0\]: the price of 'AAA' is -5: it must be 0 or more",
        ),
        (
            {"positions": hold("AAA"), "start": START, "interval": "1h"},
            BadInterval,
            "'AAA'",
        ),
    ],
)
async def test_refusal_names_what_is_wrong(
    market: Market, given: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await portfolio(market, **given)


async def test_more_buckets_than_allowed_are_refused(market: Market) -> None:
    small = await market_of(market.reader, max_points=80)
    whole: dict[str, Any] = {"start": at(FIRST), "end": at(date(2024, 3, 20))}
    assert len(CLOSES["AAA"]) < 80
    assert len((await portfolio(small, positions=hold("COIN"), **whole)).columns.time) == 79
    # Each has fewer than 80 candles, together they have more days.
    transactions = [buy("COIN", FIRST), buy("AAA", date(2024, 3, 25)), buy("AAA", date(2024, 4, 9))]
    with pytest.raises(RangeTooLarge, match="more than 80"):
        await portfolio(small, transactions=transactions)


async def test_more_closes_than_can_be_held_are_refused(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"positions": hold("AAA", "COIN"), "start": at(FIRST)}
    assert len(CLOSES["COIN"]) == 120
    monkeypatch.setattr(read, "MAX_VALUES", 2 * 120)
    await portfolio(market, **given)
    monkeypatch.setattr(read, "MAX_VALUES", 2 * 120 - 1)
    with pytest.raises(RangeTooLarge, match="'COIN' has more than 119 candles"):
        await portfolio(market, **given)


async def test_a_trade_where_nothing_else_happened_has_a_bucket(market: Market) -> None:
    given = [
        buy("AAA", date(2024, 2, 1), "100"),
        Transaction(
            kind=TransactionKind.SELL,
            time=datetime(2024, 2, 4, 15, tzinfo=UTC),  # Sunday: counts to Monday
            symbol="AAA",
            quantity=Decimal(1),
            price=Decimal(110),
        ),
        Transaction(kind=TransactionKind.DEPOSIT, day=date(2024, 2, 3), amount=Decimal(10)),
    ]
    found = await portfolio(market, transactions=given, end=at(date(2024, 2, 6)))
    # AAA has no bar on the 2nd, so the deposit's Saturday is the second day.
    assert date(2024, 2, 2) not in CLOSES["AAA"]
    close = float(CLOSES["AAA"][date(2024, 2, 1)])
    np.testing.assert_allclose(found.columns.value, [close - 100, close - 90, 20])
    np.testing.assert_allclose(found.columns.flow, [0, 10, 0])


async def test_cash_alone_is_a_portfolio(market: Market) -> None:
    deposit = TransactionKind.DEPOSIT
    given = [
        Transaction(kind=deposit, day=date(2024, 2, 1), amount=Decimal(10)),
        Transaction(kind=deposit, day=date(2024, 2, 5), amount=Decimal(5), currency="EUR"),
    ]
    found = await portfolio(market, transactions=given)
    euros = 5 * CLOSES["EURUSD"][date(2024, 2, 5)]
    np.testing.assert_allclose(found.columns.value, [10, 10 + float(euros)])
    assert found.totals.cash == found.totals.invested == 10 + euros
    assert found.totals.total_return == pytest.approx(0, abs=1e-15)
    assert found.totals.cash_weight == 1
    assert found.holdings == ()


async def test_a_future_may_cost_less_than_nothing(market: Market) -> None:
    given = [buy("OIL", date(2024, 2, 1), price="-5")]
    found = await portfolio(market, transactions=given)
    (row,) = found.holdings
    assert (str(row.cost), str(row.value), str(row.unrealised_profit)) == ("-5", "-3.5", "1.5")


async def test_statements_do_not_grow_with_what_is_held(
    market: Market, statements: list[str]
) -> None:
    cold: list[int] = []
    warm: list[int] = []
    for symbols in (["AAA", "EEE"], [*TRADED, "LATE"]):
        fresh = await market_of(market.reader, cache_bytes=0)
        for counts in (cold, [], warm):
            statements.clear()
            await portfolio(fresh, positions=hold(*symbols), currency="EUR", start=START)
            counts.append(len([sql for sql in statements if "look_at_log" not in sql]))
    assert cold[0] == cold[1]
    assert warm == [2, 2]  # the names of pairs that do not exist, and the candles


async def test_nothing_is_read_again_while_nothing_has_changed(
    market: Market, statements: list[str]
) -> None:
    for _ in range(2):
        statements.clear()
        await portfolio(market, positions=hold("AAA", "BBB"), start=START)
    assert [sql for sql in statements if "look_at_log" not in sql] == []
