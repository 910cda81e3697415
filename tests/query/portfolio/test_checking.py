"""What cannot be meant is refused before anything is read, with its place and value."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.errors import BadInput, BadRange, RangeTooLarge
from app.market.candle_spec import Adjust, CandleSpec
from app.market.interval import Interval
from app.query.portfolio.checking import MAX_TRANSACTIONS, asked_portfolio
from app.query.portfolio.terms import Asked, CostMethod, Position, Transaction, TransactionKind

DAY, FROM = date(2024, 1, 2), datetime(2024, 1, 1, tzinfo=UTC)
BUY, SELL, DIVIDEND, DEPOSIT, WITHDRAWAL = TransactionKind
POSITION = Position(symbol="A", quantity=Decimal(1))
GOOD: dict[str, Any] = {"day": DAY, "symbol": "A", "quantity": Decimal(1), "price": Decimal(2)}


def asked(**given: Any) -> Asked:
    adjust = given.pop("adjust", Adjust.SPLITS)
    defaults: dict[str, Any] = {
        "positions": [],
        "transactions": [],
        "currency": "USD",
        "spec": CandleSpec(interval=Interval.parse("1d"), adjust=adjust),
        "start": FROM,
        "end": None,
        "cash": None,
        "method": CostMethod.FIFO,
        "benchmark": None,
    }
    return asked_portfolio(**defaults | given)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, BadInput, "0 positions and 0 transactions: give either"),
        (
            {"positions": [POSITION], "transactions": [Transaction(**GOOD)]},
            BadInput,
            "1 positions and 1 transactions: give either",
        ),
        ({"positions": [POSITION], "start": None}, BadRange, "positions need `from`"),
        (
            {"positions": [POSITION], "end": datetime(2023, 1, 1, tzinfo=UTC)},
            BadRange,
            r"`from` 2024-01-01T00:00:00\+00:00 is after `to` 2023-01-01",
        ),
        ({"positions": [POSITION], "currency": "usd"}, BadInput, "currency 'usd' is not a code"),
        ({"positions": [POSITION], "cash": Decimal("1e18")}, BadInput, r"cash 1E\+18 is out of"),
        (
            {"positions": [POSITION, Position(symbol="B", quantity=Decimal(0))]},
            BadInput,
            r"positions\[1\]: the quantity of 'B' is 0",
        ),
        ({"positions": [POSITION, POSITION]}, BadInput, r"positions\[1\] has the symbol 'A' of"),
        (
            {
                "positions": [
                    Position(symbol="A", quantity=Decimal(1), average_cost=Decimal("1e-19"))
                ]
            },
            BadInput,
            r"positions\[0\]: averageCost 1E-19 is out of range",
        ),
        (
            {
                "positions": [Position(symbol="A", quantity=Decimal(1), average_cost=Decimal(7))],
                "adjust": Adjust.ALL,
            },
            BadInput,
            r"positions\[0\]: averageCost 7 of 'A' cannot be compared with prices of adjust 'ALL'",
        ),
        (
            {"transactions": [Transaction(**GOOD)] * (MAX_TRANSACTIONS + 1)},
            RangeTooLarge,
            "5001 transactions: at most 5000",
        ),
    ],
)
def test_portfolio_is_refused(given: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        asked(**given)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"day": None}, "give either `time` or `date`"),
        ({"time": FROM}, "give either `time` or `date`"),
        ({"symbol": None}, "BUY of None has no symbol"),
        ({"price": None}, "BUY of 'A' has no price"),
        ({"quantity": None}, "give `kind`, or a quantity"),
        ({"quantity": None, "kind": SELL}, "SELL of 'A' has no quantity"),
        ({"quantity": Decimal(0)}, "the quantity of 'A' is 0"),
        ({"quantity": Decimal(-1), "kind": BUY}, "the quantity of 'A' is -1"),
        ({"quantity": Decimal("1e18")}, r"quantity 1E\+18 is out of range"),
        ({"quantity": Decimal("1e999999")}, r"quantity 1E\+999999 is out of range"),
        ({"quantity": Decimal("1e-19")}, "quantity 1E-19 is out of range"),
        ({"price": Decimal("-1e18")}, r"price -1E\+18 is out of range"),
        ({"fees": Decimal("-0.01")}, "fees are -0.01"),
        ({"amount": Decimal(5)}, r"BUY has a price, not an amount \(5\)"),
        ({"currency": "dollars"}, "currency 'dollars' is not a code"),
        ({"kind": DIVIDEND}, r"DIVIDEND has an amount, not a quantity \(1\)"),
        (
            {"kind": DIVIDEND, "quantity": None},
            r"DIVIDEND has an amount, not a price \(2\)",
        ),
        (
            {"kind": DIVIDEND, "quantity": None, "price": None},
            "the amount of DIVIDEND is None",
        ),
        (
            {"kind": DIVIDEND, "quantity": None, "price": None, "symbol": None},
            "DIVIDEND needs the symbol that pays it",
        ),
        (
            {"kind": DEPOSIT, "quantity": None, "price": None, "amount": Decimal(1)},
            r"DEPOSIT has no symbol \(it is 'A'\)",
        ),
        (
            {"kind": WITHDRAWAL, "quantity": None, "price": None, "symbol": None,
             "amount": Decimal(-4)},
            "the amount of WITHDRAWAL is -4: it must be above 0",
        ),
        (
            {"kind": DEPOSIT, "quantity": None, "price": None, "symbol": None,
             "amount": Decimal(4), "fees": Decimal(1)},
            r"DEPOSIT has no fees \(1\)",
        ),
    ],
)  # fmt: skip
def test_transaction_is_refused_by_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=rf"^transactions\[1\]: .*{words}"):
        asked(transactions=[Transaction(**GOOD), Transaction(**GOOD | change)])


def test_sign_says_what_kind_says() -> None:
    given = [
        Transaction(**GOOD | {"quantity": Decimal("-3"), "fees": Decimal("0.5")}),
        Transaction(**GOOD | {"quantity": Decimal("3"), "kind": SELL, "fees": Decimal("0.5")}),
    ]
    first, second = asked(transactions=given).terms
    assert (first.kind, first.quantity, first.paid) == (second.kind, second.quantity, second.paid)
    assert first.quantity == -3
    assert first.paid == Decimal("-5.5")
