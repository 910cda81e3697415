"""What a portfolio is asked about: positions or transactions."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from app.market.candle_spec import CandleSpec


class CostMethod(StrEnum):
    """Which units are sold first."""

    FIFO = "FIFO"
    AVERAGE = "AVERAGE"


class TransactionKind(StrEnum):
    """What a transaction does."""

    BUY = "BUY"
    SELL = "SELL"
    DIVIDEND = "DIVIDEND"
    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"


TRANSFERS = frozenset({TransactionKind.DEPOSIT, TransactionKind.WITHDRAWAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Units held over the whole range; `average_cost` is of one, in the instrument's currency."""

    symbol: str
    quantity: Decimal
    average_cost: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One line of a statement of account, as it is given."""

    kind: TransactionKind | None = None
    time: datetime | None = None
    day: date | None = None
    symbol: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    amount: Decimal | None = None
    fees: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A transaction that makes sense: signed `quantity`, and what was `paid` for it.

    `paid` is in `currency` (None: the instrument's, or the portfolio's for a transfer), fees
    included, and negative where money came out. A dividend has paid a negative amount.
    """

    place: int
    kind: TransactionKind
    time: datetime | None
    day: date | None
    symbol: str | None
    quantity: Decimal
    price: Decimal | None
    paid: Decimal
    fees: Decimal
    currency: str | None

    @property
    def where(self) -> str:
        """Name it in a message."""
        return f"transactions[{self.place}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A portfolio; exactly one of positions and terms holds something.

    `cash` is what the account holds in the beginning; None without deposits or withdrawals: there
    is no account, money for purchases comes from outside and goes out again.
    """

    positions: tuple[Position, ...]
    terms: tuple[Term, ...]
    currency: str
    spec: CandleSpec
    start: datetime | None
    end: datetime | None
    cash: Decimal | None
    method: CostMethod
    benchmark: str | None

    @property
    def has_account(self) -> bool:
        """Whether cash is kept."""
        return self.cash is not None or any(term.kind in TRANSFERS for term in self.terms)

    @property
    def symbols(self) -> list[str]:
        """Every symbol that is named, once, in order; the benchmark last."""
        named = [each.symbol for each in self.positions]
        named += [term.symbol for term in self.terms if term.symbol is not None]
        return list(dict.fromkeys([*named, *([self.benchmark] if self.benchmark else [])]))
