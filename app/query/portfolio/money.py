"""Exact money: decimals of 18 places, rounded half to even where something must be divided.

No sum, no price times quantity of up to 18 places together, loses a digit, and what is split is
split without a rest: so profits add up to the last digit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)

PLACES = 18
_UNIT = Decimal(1).scaleb(-PLACES)
_RATE_DIGITS = 20
# Quantities, prices and rates below 10^20 with 20 places: their product has at most 120 digits.
_EXACT = Context(
    prec=160, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow]
)
_RATE = Context(prec=_RATE_DIGITS, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation])

ZERO, ONE = Decimal(0), Decimal(1)


@contextmanager
def exactly() -> Iterator[None]:
    """Let Decimal operators keep every digit; money is made and added within this."""
    with localcontext(_EXACT):
        yield


def money(amount: Decimal) -> Decimal:
    """Round an amount to 18 places."""
    return amount.quantize(_UNIT, context=_EXACT)


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Give part / whole of an amount; what is left is `amount` less it."""
    return money(_EXACT.divide(_EXACT.multiply(amount, part), whole))


def rate(number: Decimal) -> Decimal:
    """Round an exchange rate to 20 significant digits."""
    return _RATE.plus(number)


def inverse(number: Decimal) -> Decimal:
    """Give 1 / number to 20 significant digits."""
    return _RATE.divide(ONE, number)


def rounded(number: Decimal, places: int) -> Decimal:
    """Round to so many places and drop zeros at the end."""
    return trimmed(number.quantize(Decimal(1).scaleb(-places), context=_EXACT))


def trimmed(number: Decimal) -> Decimal:
    """Drop zeros at the end."""
    return number.normalize(_EXACT) if number else ZERO
