"""What a portfolio is asked with: positions, or transactions."""

from datetime import date, datetime
from decimal import Decimal

import strawberry

from app.query.portfolio.terms import CostMethod, Position, Transaction, TransactionKind

strawberry.enum(
    CostMethod,
    description="Which units are sold: the first bought (FIFO), or an average one of all.",
)
strawberry.enum(TransactionKind, description="What a transaction does.")


@strawberry.input(description="Units that are held over the whole range.")
class PositionInput:
    """Fields of app.query.portfolio.terms.Position."""

    symbol: str = strawberry.field(description="The instrument's symbol.")
    quantity: Decimal = strawberry.field(
        description="How many, in today's units (after all splits); below 0 for a short position."
    )
    average_cost: Decimal | None = strawberry.field(
        default=None,
        description="What one has cost, in the instrument's currency. Without it, all positions"
        " cost what they were worth before the range, or in its first bucket with prices of all.",
    )

    def position(self) -> Position:
        """Give what the query takes."""
        return Position(symbol=self.symbol, quantity=self.quantity, average_cost=self.average_cost)


@strawberry.input(
    description="One line of an account. BUY and SELL have symbol, quantity and price; DIVIDEND has"
    " symbol and amount; DEPOSIT and WITHDRAWAL have an amount. All have either a time or a date."
)
class TransactionInput:
    """Fields of app.query.portfolio.terms.Transaction."""

    kind: TransactionKind | None = strawberry.field(
        default=None,
        description="What it does; without it, a quantity above 0 is bought and one below 0 sold.",
    )
    time: datetime | None = strawberry.field(default=None, description="When it happened.")
    day: date | None = strawberry.field(
        name="date",
        default=None,
        description="On which of the exchange's days; in buckets below a day, at its open.",
    )
    symbol: str | None = strawberry.field(default=None, description="The instrument's symbol.")
    quantity: Decimal | None = strawberry.field(
        default=None, description="How many units, as they were then (before later splits)."
    )
    price: Decimal | None = strawberry.field(
        default=None, description="What one cost then, without fees."
    )
    amount: Decimal | None = strawberry.field(
        default=None,
        description="Money of a DIVIDEND (for all units; below 0 where a short position pays it),"
        " DEPOSIT or WITHDRAWAL.",
    )
    fees: Decimal | None = strawberry.field(
        default=None, description="Fees and taxes, 0 or more, in the same currency."
    )
    currency: str | None = strawberry.field(
        default=None,
        description="Of price, amount and fees; without it the instrument's, or, where there is"
        " none, the portfolio's.",
    )

    def transaction(self) -> Transaction:
        """Give what the query takes."""
        return Transaction(
            kind=self.kind,
            time=self.time,
            day=self.day,
            symbol=self.symbol,
            quantity=self.quantity,
            price=self.price,
            amount=self.amount,
            fees=self.fees,
            currency=self.currency,
        )
