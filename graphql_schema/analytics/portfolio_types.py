"""A portfolio as GraphQL shows it: exact rows, and columns to draw."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self, cast

import strawberry

from app.query.portfolio import found
from app.query.portfolio.measuring import measure
from app.query.statistics.terms import ReturnKind, Terms, checked_periods
from graphql_schema.analytics.statistics import PeriodsPerYear, RiskFree
from graphql_schema.analytics.statistics_types import Statistics
from graphql_schema.instrument import Instrument
from graphql_schema.ready_list import ready_integers, ready_numbers
from graphql_schema.scalars import EpochMillis

Confidence = Annotated[
    float, strawberry.argument(description="Of the values at risk: above 0, below 1.")
]


@strawberry.type(
    description="A portfolio bucket by bucket, as it is at the end of each: equal-length columns of"
    " JSON numbers, oldest first. Money is in the portfolio's currency."
)
class PortfolioSeries:
    """Columns; null in buckets where something is held whose price or rate is not known yet."""

    source: strawberry.Private[found.Portfolio]

    @strawberry.field(description="Bucket starts.")
    def time(self) -> list[EpochMillis]:
        """Give milliseconds."""
        return ready_integers(self.source.columns.time // 1000)

    @strawberry.field(description="What everything is worth, cash included.")
    def value(self) -> list[float | None]:
        """Give the column."""
        return ready_numbers(self.source.columns.value)

    @strawberry.field(description="Cash in the account; 0 without one.")
    def cash(self) -> list[float | None]:
        """Give the column."""
        return ready_numbers(self.source.columns.cash)

    @strawberry.field(description="What has been paid for what is held.")
    def cost(self) -> list[float | None]:
        """Give the column."""
        return ready_numbers(self.source.columns.cost)

    @strawberry.field(description="What has come from outside so far, less what has gone out.")
    def invested(self) -> list[float | None]:
        """Give the column."""
        return ready_numbers(self.source.columns.invested)

    @strawberry.field(description="What came from outside in the bucket, less what went out.")
    def cash_flow(self) -> list[float | None]:
        """Give the column."""
        return ready_numbers(self.source.columns.flow)

    @strawberry.field(description="Profit of closed trades so far.")
    def realised_profit(self) -> list[float | None]:
        """Give the column."""
        return ready_numbers(self.source.columns.realised)

    @strawberry.field(description="Value less cost of what is held.")
    def unrealised_profit(self) -> list[float | None]:
        """Give the column."""
        return ready_numbers(self.source.columns.unrealised)

    @strawberry.field(description="Dividends so far.")
    def income(self) -> list[float | None]:
        """Give the column."""
        return ready_numbers(self.source.columns.income)

    @strawberry.field(
        name="return",
        description="Time-weighted return since the range began (0.1: 10 %); null also from where"
        " profit was made on no capital.",
    )
    def return_(self) -> list[float | None]:
        """Give the column."""
        return ready_numbers(self.source.returns)


@strawberry.type(description="One instrument at the end; money is in the portfolio's currency.")
class PortfolioPosition:
    """Fields of app.query.portfolio.found.Holding."""

    symbol: str = strawberry.field(description="The symbol that it has now.")
    instrument: Instrument = strawberry.field(description="The instrument.")
    quantity: Decimal = strawberry.field(
        description="Units held, in today's (after all splits); 0 where all were sold."
    )
    average_cost: Decimal | None = strawberry.field(
        description="What a unit has cost, to ten places; null where nothing is held."
    )
    price: Decimal | None = strawberry.field(
        description="The last price, in the instrument's currency; null where none is known and"
        " nothing is held."
    )
    rate: Decimal | None = strawberry.field(
        description="What turns the price into the portfolio's currency; null as the price."
    )
    value: Decimal = strawberry.field(description="Quantity x price x rate.")
    cost: Decimal = strawberry.field(description="What has been paid for the units held.")
    weight: float | None = strawberry.field(
        description="Its part of the portfolio's value; null where that is 0."
    )
    realised_profit: Decimal = strawberry.field(
        description="What units sold brought, less what they cost, fees included."
    )
    unrealised_profit: Decimal = strawberry.field(description="Value less cost.")
    income: Decimal = strawberry.field(description="Dividends, less their fees.")
    fees: Decimal = strawberry.field(description="Fees; profits are after them.")
    contribution: float | None = strawberry.field(
        description="What it added to the time-weighted return: all positions' add up to that. Null"
        " where there is none."
    )

    @classmethod
    def of(cls, row: found.Holding) -> Self:
        """Show a holding."""
        return cls(
            symbol=row.instrument.symbol,
            instrument=Instrument.of(row.instrument),
            quantity=row.quantity,
            average_cost=row.average_cost,
            price=row.price,
            rate=row.rate,
            value=row.value,
            cost=row.cost,
            weight=row.weight,
            realised_profit=row.realised_profit,
            unrealised_profit=row.unrealised_profit,
            income=row.income,
            fees=row.fees,
            contribution=row.contribution,
        )


@strawberry.type(
    description="The portfolio at the end, in its currency: value - invested = realisedProfit"
    " + unrealisedProfit + income, to the last digit."
)
class PortfolioTotals:
    """Filled straight from app.query.portfolio.found.Totals."""

    value: Decimal = strawberry.field(description="What everything is worth, cash included.")
    cash: Decimal = strawberry.field(description="Cash in the account; 0 without one.")
    cost: Decimal = strawberry.field(description="What has been paid for what is held.")
    invested: Decimal = strawberry.field(
        description="What has come from outside, less what has gone out."
    )
    profit: Decimal = strawberry.field(description="Value less invested.")
    realised_profit: Decimal = strawberry.field(description="Of closed trades, fees included.")
    unrealised_profit: Decimal = strawberry.field(description="Of what is held.")
    income: Decimal = strawberry.field(description="Dividends, less their fees.")
    fees: Decimal = strawberry.field(description="Fees; profits are after them.")
    cash_weight: float | None = strawberry.field(
        description="The cash's part of the value; null where that is 0."
    )
    total_return: float | None = strawberry.field(
        description="Time-weighted return of the range; null where profit was made on no capital."
    )
    money_weighted_return: float | None = strawberry.field(
        description="Yearly, as a spreadsheet's XIRR of the range; null where there is no such"
        " rate, or several."
    )


@strawberry.type(description="Positions or transactions valued over time.")
class Portfolio:
    """An app.query.portfolio.found.Portfolio."""

    source: strawberry.Private[found.Portfolio]

    @strawberry.field(description="The currency of all money.")
    def currency(self) -> str:
        """Tell the currency."""
        return self.source.currency

    @strawberry.field(name="from", description="The start of the first bucket.")
    def since(self) -> datetime:
        """Tell the time."""
        return self.source.since

    @strawberry.field(name="to", description="The start of the last bucket.")
    def until(self) -> datetime:
        """Tell the time."""
        return self.source.until

    @strawberry.field(description="Bucket by bucket.")
    def series(self) -> PortfolioSeries:
        """Give the columns."""
        return PortfolioSeries(source=self.source)

    @strawberry.field(
        description="Each instrument at the end, those that were sold included, in the order given."
    )
    def positions(self) -> list[PortfolioPosition]:
        """Give the rows."""
        return [PortfolioPosition.of(row) for row in self.source.holdings]

    @strawberry.field(description="All together at the end.")
    def totals(self) -> PortfolioTotals:
        """Give the sums."""
        return cast(PortfolioTotals, self.source.totals)

    @strawberry.field(
        description="Statistics of the time-weighted returns from bucket to bucket, also against"
        " the `benchmark`, whose closes are converted to the portfolio's currency."
    )
    async def statistics(
        self,
        returns: ReturnKind = ReturnKind.SIMPLE,
        risk_free: RiskFree = 0.0,
        periods_per_year: PeriodsPerYear = None,
        confidence: Confidence = 0.95,
    ) -> Statistics | None:
        """Measure."""
        terms = Terms(returns=returns, risk_free=risk_free, confidence=confidence)
        measured = await measure(self.source, terms, checked_periods(periods_per_year))
        return cast(Statistics, measured)
