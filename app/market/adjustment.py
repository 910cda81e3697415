"""What corporate actions make of earlier prices and volumes. Pure, in Decimal.

A split of r new shares for an old one divides the prices before its ex date by r and multiplies the
volumes. A distribution (a cash dividend, or what a spin-off is worth) lowers the prices before its
ex date: by 1 - amount / close before it, as vendors do (`ALL`), or by P / (P + amount), P being the
close of the ex date, so that returns of adjusted closes are total returns (`TOTAL_RETURN`, CRSP's).
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from enum import StrEnum
from itertools import groupby

from app.market.candle_spec import Adjust

# Digits of a factor: errors stay far below the ten places to which prices are rounded.
_DIGITS = 40
_EXACT = Context(prec=80)
_PLACE = Decimal("1e-10")
_ONE = Decimal(1)


class ActionKind(StrEnum):
    """What a company did, in the order in which it counts on one date."""

    SPLIT = "SPLIT"
    DIVIDEND = "DIVIDEND"
    SPIN_OFF = "SPIN_OFF"


class Unused(StrEnum):
    """Why an action adjusts nothing."""

    NOT_YET = "NOT_YET"
    NO_PRIOR_CLOSE = "NO_PRIOR_CLOSE"
    NOT_BELOW_PRICE = "NOT_BELOW_PRICE"
    OTHER_CURRENCY = "OTHER_CURRENCY"
    NO_VALUE = "NO_VALUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorporateAction:
    """What changes on a date: `new_shares` for `old_shares`, or an amount for one share.

    `number` tells actions of one kind on one date apart; `revision` is the batch that brought it.
    """

    ex_date: date
    kind: ActionKind
    number: int
    new_shares: Decimal | None
    old_shares: Decimal | None
    amount: Decimal | None
    currency: str | None
    source: str
    revision: int

    @property
    def ratio(self) -> Decimal | None:
        """New shares for each old one, to 40 digits; None where there are none."""
        if self.new_shares is None or self.old_shares is None:
            return None
        return Context(prec=_DIGITS).divide(self.new_shares, self.old_shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closes:
    """Closes of an instrument's trading dates, in order, unadjusted."""

    dates: Sequence[date] = ()
    prices: Sequence[Decimal] = ()

    def before(self, day: date) -> Decimal | None:
        """Give the last close before a date."""
        place = bisect_left(self.dates, day)
        return self.prices[place - 1] if place else None

    def since(self, day: date) -> tuple[date, Decimal] | None:
        """Give the first close on a date or after it, and its date."""
        place = bisect_left(self.dates, day)
        return (self.dates[place], self.prices[place]) if place < len(self.dates) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an action multiplies the prices and volumes of all earlier dates by.

    `reference` is the close that a distribution was held against. Where it is `unused`, both
    factors are 1.
    """

    action: CorporateAction
    price_factor: Decimal = _ONE
    volume_factor: Decimal = _ONE
    reference: Decimal | None = None
    unused: Unused | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """Factors of the trading dates in [first_date, end_date); dates without one have 1."""

    first_date: date
    end_date: date
    price_factor: Decimal
    volume_factor: Decimal


def effects(
    actions: Iterable[CorporateAction],
    closes: Closes,
    *,
    last_date: date | None,
    currency: str,
    adjust: Adjust,
) -> tuple[Effect, ...]:
    """Give what each action does, in the order of ex dates.

    `last_date` is the instrument's last trading date with data: actions after it do nothing yet.
    For SPLITS, distributions are left out; for NONE, everything is.
    """
    if adjust is Adjust.NONE:
        return ()
    order = list(ActionKind)
    wanted = sorted(
        (each for each in actions if adjust is not Adjust.SPLITS or each.kind is ActionKind.SPLIT),
        key=lambda each: (each.ex_date, order.index(each.kind), each.number),
    )
    found: list[Effect] = []
    with localcontext(_EXACT):
        for ex_date, group in groupby(wanted, key=lambda each: each.ex_date):
            if last_date is None or ex_date > last_date:
                found += [Effect(action=each, unused=Unused.NOT_YET) for each in group]
            else:
                found += _on_one_date(list(group), closes, currency, adjust)
    return tuple(found)


def _on_one_date(
    group: Sequence[CorporateAction], closes: Closes, currency: str, adjust: Adjust
) -> list[Effect]:
    """Take the actions of a date one after the other; amounts are for a share before all of them.

    The factors of several distributions multiply to that of their sum.
    """
    found: list[Effect] = []
    splits = _ONE
    before = closes.before(group[0].ex_date)
    since = closes.since(group[0].ex_date)
    left, paid = before, Decimal(0)
    reference: Decimal | None
    for each in group:
        if each.kind is ActionKind.SPLIT:
            assert each.new_shares is not None
            assert each.old_shares is not None
            splits *= each.new_shares / each.old_shares
            found.append(
                Effect(
                    action=each,
                    price_factor=_rounded(each.old_shares / each.new_shares),
                    volume_factor=_rounded(each.new_shares / each.old_shares),
                )
            )
            continue
        unused = _unusable(each, left, currency)
        if unused is None and adjust is Adjust.TOTAL_RETURN and since is None:
            unused = Unused.NOT_YET
        if unused is not None:
            found.append(Effect(action=each, reference=before, unused=unused))
            continue
        assert left is not None
        assert each.amount is not None
        if adjust is Adjust.TOTAL_RETURN:
            assert since is not None
            held = since[1] * splits
            reference, factor = since[1], (held + paid) / (held + paid + each.amount)
        else:
            reference, factor = before, (left - each.amount) / left
        left, paid = left - each.amount, paid + each.amount
        found.append(Effect(action=each, price_factor=_rounded(factor), reference=reference))
    return found


def _unusable(action: CorporateAction, left: Decimal | None, currency: str) -> Unused | None:
    """Tell why a distribution cannot be held against the price that is left."""
    if action.amount is None:
        return Unused.NO_VALUE
    if action.currency not in (None, currency):
        return Unused.OTHER_CURRENCY
    if left is None:
        return Unused.NO_PRIOR_CLOSE
    return None if action.amount < left else Unused.NOT_BELOW_PRICE


def adjustments(found: Sequence[Effect]) -> tuple[Adjustment, ...]:
    """Multiply the effects up, from the last date back; adjacent ranges, none with factors of 1."""
    ranges: list[Adjustment] = []
    price = volume = _ONE
    acting = [each for each in found if (each.price_factor, each.volume_factor) != (_ONE, _ONE)]
    dates = sorted({each.action.ex_date for each in acting})
    with localcontext(_EXACT):
        for place in reversed(range(len(dates))):
            for each in acting:
                if each.action.ex_date == dates[place]:
                    price *= each.price_factor
                    volume *= each.volume_factor
            price, volume = _rounded(price), _rounded(volume)
            ranges.append(
                Adjustment(
                    first_date=dates[place - 1] if place else date.min,
                    end_date=dates[place],
                    price_factor=price,
                    volume_factor=volume,
                )
            )
    return tuple(reversed(ranges))


def factors_of(ranges: Sequence[Adjustment], day: date) -> tuple[Decimal, Decimal]:
    """Give the price and volume factor of a trading date."""
    for each in ranges:
        if each.first_date <= day < each.end_date:
            return each.price_factor, each.volume_factor
    return _ONE, _ONE


def times(value: Decimal, factor: Decimal) -> Decimal:
    """Adjust a price or size: rounded half up to ten places, as the database does."""
    if factor == _ONE:
        return value
    product = _EXACT.multiply(value, factor)
    rounded = product.quantize(_PLACE, rounding=ROUND_HALF_UP, context=_EXACT)
    return rounded.normalize(_EXACT)


def _rounded(factor: Decimal) -> Decimal:
    return Context(prec=_DIGITS).plus(factor)
