"""Keep the books: what each transaction does to holdings, money and profit, all in Decimal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from app.market.adjustment import Adjustment, factors_of
from app.query.portfolio.lots import Lots
from app.query.portfolio.money import ZERO, rounded
from app.query.portfolio.terms import CostMethod, TransactionKind

OPENING = -(2**62)  # the bucket of what is held before the first one

_ADJUSTED_PLACES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One act in the portfolio's currency.

    `quantity` is in today's units. `paid` is what was paid for it, fees included, or put into the
    account; a dividend has paid less than 0. `funded`: the money came from outside the account.
    """

    bucket: int
    kind: TransactionKind
    instrument_id: int | None
    quantity: Decimal
    paid: Decimal
    fees: Decimal
    funded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What an entry has changed: `held` is the quantity after it, the rest are differences.

    At every place of a journal, the sums hold: cost + cash - flow = realised + income.
    """

    bucket: int
    instrument_id: int | None
    held: Decimal
    cost: Decimal
    cash: Decimal
    flow: Decimal
    realised: Decimal
    income: Decimal
    fees: Decimal


def journal(entries: Iterable[Entry], method: CostMethod) -> list[Step]:
    """Run through entries in their order; call within `exactly`."""
    lots: dict[int, Lots] = {}
    return [_step(entry, lots, method) for entry in entries]


def _step(entry: Entry, lots: dict[int, Lots], method: CostMethod) -> Step:
    held = cost = realised = income = ZERO
    if entry.instrument_id is not None:
        own = lots.setdefault(entry.instrument_id, Lots(method))
        if entry.kind is TransactionKind.DIVIDEND:
            income = -entry.paid
        else:
            before = own.cost
            realised = own.trade(entry.quantity, entry.paid)
            cost = own.cost - before
        held = own.quantity
        cash, flow = (ZERO, entry.paid) if entry.funded else (-entry.paid, ZERO)
    else:
        cash = flow = entry.paid
    return Step(
        bucket=entry.bucket,
        instrument_id=entry.instrument_id,
        held=held,
        cost=cost,
        cash=cash,
        flow=flow,
        realised=realised,
        income=income,
        fees=entry.fees,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What the steps of a portfolio, or of one instrument, add up to."""

    held: Decimal
    cost: Decimal
    cash: Decimal
    flow: Decimal
    realised: Decimal
    income: Decimal
    fees: Decimal


def sums(steps: Sequence[Step]) -> Sums:
    """Add up; call within `exactly`."""
    return Sums(
        held=steps[-1].held if steps else ZERO,
        cost=sum((step.cost for step in steps), ZERO),
        cash=sum((step.cash for step in steps), ZERO),
        flow=sum((step.flow for step in steps), ZERO),
        realised=sum((step.realised for step in steps), ZERO),
        income=sum((step.income for step in steps), ZERO),
        fees=sum((step.fees for step in steps), ZERO),
    )


def by_instrument(steps: Iterable[Step]) -> Mapping[int, list[Step]]:
    """Give each instrument's steps, in the order in which instruments first come."""
    found: dict[int, list[Step]] = {}
    for step in steps:
        if step.instrument_id is not None:
            found.setdefault(step.instrument_id, []).append(step)
    return found


def in_todays_units(
    quantity: Decimal, trading_date: date, adjustments: Sequence[Adjustment]
) -> Decimal:
    """Multiply units of a date by the splits after it, as volumes are; 12 places, where there are.

    A factor such as 1/3 has only as many digits as it has: of 300 units, 100 must come out.
    """
    _, factor = factors_of(adjustments, trading_date)
    return quantity if factor == 1 else rounded(quantity * factor, _ADJUSTED_PLACES)
