"""Check what a portfolio is asked with, before anything is read; messages name place and value."""

import re
from datetime import datetime
from decimal import Decimal

from app.errors import BadInput, BadRange, RangeTooLarge
from app.market.candle_spec import Adjust, CandleSpec
from app.query.portfolio.money import PLACES, ZERO, exactly, trimmed
from app.query.portfolio.terms import (
    TRANSFERS,
    Asked,
    CostMethod,
    Position,
    Term,
    Transaction,
    TransactionKind,
)
from app.query.window import check_order

MAX_TRANSACTIONS = 5_000
UNITS_ONLY = frozenset({Adjust.NONE, Adjust.SPLITS})  # a price paid can be compared with these
_TRADES = frozenset({TransactionKind.BUY, TransactionKind.SELL})
_LARGEST = Decimal(10) ** 18
_CURRENCY = re.compile(r"[A-Z0-9]{3,10}")


def asked_portfolio(
    *,
    positions: list[Position],
    transactions: list[Transaction],
    currency: str,
    spec: CandleSpec,
    start: datetime | None,
    end: datetime | None,
    cash: Decimal | None,
    method: CostMethod,
    benchmark: str | None,
) -> Asked:
    """Check everything that can be checked before anything is read.

    Raises:
        BadInput: both lists are given, or none, or something in them cannot be used.
        BadRange: positions without `from`, or the range is inside out.
        RangeTooLarge: there are too many transactions.
    """
    if bool(positions) == bool(transactions):
        raise BadInput(
            f"{len(positions)} positions and {len(transactions)} transactions: give either"
            " positions or transactions"
        )
    if positions and start is None:
        raise BadRange("positions need `from`: it is not given")
    check_order(start, end)
    if cash is not None:
        _amount("the account", "cash", cash)
    return Asked(
        positions=checked_positions(positions, spec.adjust),
        terms=checked_terms(transactions, spec.adjust) if transactions else (),
        currency=checked_currency("currency", currency),
        spec=spec,
        start=start,
        end=end,
        cash=cash,
        method=method,
        benchmark=benchmark,
    )


def checked_currency(where: str, currency: str) -> str:
    """Hold a currency's code to its form.

    Raises:
        BadInput: it is none.
    """
    if not _CURRENCY.fullmatch(currency):
        raise BadInput(
            f"{where} {currency!r} is not a code of 3 to 10 capital letters or digits, such as USD"
        )
    return currency


def checked_positions(positions: list[Position], adjust: Adjust) -> tuple[Position, ...]:
    """Check positions.

    Raises:
        BadInput: one has no quantity, a number out of range, or a symbol that another has.
    """
    seen: dict[str, int] = {}
    for place, each in enumerate(positions):
        where = f"positions[{place}]"
        _amount(where, "quantity", each.quantity)
        if not each.quantity:
            raise BadInput(f"{where}: the quantity of {each.symbol!r} is 0: give units, below 0 if"
                           " they are short")  # fmt: skip
        if each.average_cost is not None:
            _amount(where, "averageCost", each.average_cost)
            if adjust not in UNITS_ONLY:
                raise BadInput(
                    f"{where}: averageCost {each.average_cost} of {each.symbol!r} cannot be"
                    f" compared with prices of adjust {str(adjust)!r}: leave it out, or give adjust"
                    " SPLITS or NONE"
                )
        first = seen.setdefault(each.symbol, place)
        if first != place:
            raise BadInput(
                f"{where} has the symbol {each.symbol!r} of positions[{first}]: give it once"
            )
    return tuple(positions)


def checked_terms(transactions: list[Transaction], adjust: Adjust) -> tuple[Term, ...]:
    """Check transactions.

    Raises:
        BadInput: one lacks something, or has what its kind does not.
        RangeTooLarge: they are too many.
    """
    if len(transactions) > MAX_TRANSACTIONS:
        raise RangeTooLarge(
            f"{len(transactions)} transactions: at most {MAX_TRANSACTIONS} can be given at once"
        )
    if adjust not in UNITS_ONLY:
        raise BadInput(
            f"adjust {str(adjust)!r} changes prices for dividends, and transactions have the prices"
            " that were paid: give adjust SPLITS or NONE, and dividends as transactions"
        )
    with exactly():
        return tuple(_term(place, each) for place, each in enumerate(transactions))


def _term(place: int, given: Transaction) -> Term:
    where = f"transactions[{place}]"
    kind = _kind(where, given)
    if (given.time is None) == (given.day is None):
        raise BadInput(f"{where}: give either `time` or `date`")
    for name, number in (("quantity", given.quantity), ("price", given.price),
                         ("amount", given.amount), ("fees", given.fees)):  # fmt: skip
        if number is not None:
            _amount(where, name, number)
    fees = given.fees or ZERO
    if fees < 0:
        raise BadInput(f"{where}: fees are {fees}: they must be 0 or more")
    if fees and kind in TRANSFERS:
        raise BadInput(f"{where}: {kind} has no fees ({fees}): give the amount without them")
    if given.currency is not None:
        checked_currency(f"{where}: currency", given.currency)
    quantity, paid = _traded(where, kind, given) if kind in _TRADES else (ZERO, ZERO)
    if kind not in _TRADES:
        paid = _transferred(where, kind, given)
    return Term(
        place=place,
        kind=kind,
        time=given.time,
        day=given.day,
        symbol=given.symbol,
        quantity=quantity,
        price=given.price,
        paid=paid + fees,
        fees=fees,
        currency=given.currency,
    )


def _kind(where: str, given: Transaction) -> TransactionKind:
    if given.kind is not None:
        return given.kind
    if given.quantity is None:
        raise BadInput(f"{where}: give `kind`, or a quantity whose sign says BUY or SELL")
    return TransactionKind.BUY if given.quantity > 0 else TransactionKind.SELL


def _traded(where: str, kind: TransactionKind, given: Transaction) -> tuple[Decimal, Decimal]:
    """Give the signed quantity and what it cost without fees."""
    for name, value in (("symbol", given.symbol), ("quantity", given.quantity),
                        ("price", given.price)):  # fmt: skip
        if value is None:
            raise BadInput(f"{where}: {kind} of {given.symbol!r} has no {name}")
    if given.amount is not None:
        raise BadInput(f"{where}: {kind} has a price, not an amount ({given.amount})")
    assert given.quantity is not None
    assert given.price is not None
    if not given.quantity or (given.kind is not None and given.quantity < 0):
        raise BadInput(
            f"{where}: the quantity of {given.symbol!r} is {given.quantity}: it must be above 0"
            " (or, without `kind`, below 0 for SELL)"
        )
    signed = abs(given.quantity) if kind is TransactionKind.BUY else -abs(given.quantity)
    return signed, signed * given.price


def _transferred(where: str, kind: TransactionKind, given: Transaction) -> Decimal:
    """Give what is paid in, negative where it is paid out."""
    for name, value in (("quantity", given.quantity), ("price", given.price)):
        if value is not None:
            raise BadInput(f"{where}: {kind} has an amount, not a {name} ({value})")
    if (given.symbol is None) == (kind is TransactionKind.DIVIDEND):
        wants = "needs the symbol that pays it" if given.symbol is None else "has no symbol"
        raise BadInput(f"{where}: {kind} {wants} (it is {given.symbol!r})")
    amount = given.amount
    if amount is None or not amount or (amount < 0 and kind is not TransactionKind.DIVIDEND):
        raise BadInput(f"{where}: the amount of {kind} is {amount}: it must be above 0")
    return amount if kind is TransactionKind.DEPOSIT else -amount


def _amount(where: str, name: str, number: Decimal) -> None:
    exponent = trimmed(number).as_tuple().exponent if abs(number) < _LARGEST else None
    if not isinstance(exponent, int) or exponent < -PLACES:
        raise BadInput(
            f"{where}: {name} {number} is out of range: below 10^18 with at most {PLACES} places"
        )
