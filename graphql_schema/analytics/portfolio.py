"""The root field `portfolio`."""

from decimal import Decimal
from typing import Annotated

import strawberry

from app.market.candle_spec import Adjust
from app.market.interval import Interval
from app.query.portfolio.checking import asked_portfolio
from app.query.portfolio.read import read_portfolio
from app.query.portfolio.terms import CostMethod
from graphql_schema.analytics.portfolio_inputs import PositionInput, TransactionInput
from graphql_schema.analytics.portfolio_types import Portfolio
from graphql_schema.candle_arguments import Adjusted, From, To, spec_of
from graphql_schema.context import Info

Positions = Annotated[
    list[PositionInput] | None,
    strawberry.argument(description="What is held over the whole range; it needs `from`."),
]
Transactions = Annotated[
    list[TransactionInput] | None,
    strawberry.argument(
        description="What was done, in any order; what is before `from` counts, too, and without"
        " `from` the range begins with the first. At most 5,000."
    ),
]
Cash = Annotated[
    Decimal | None,
    strawberry.argument(
        description="What the account holds in the beginning. With it, or with a DEPOSIT or"
        " WITHDRAWAL, cash is kept: purchases take from it, below 0 if need be. Without, money for"
        " purchases comes from outside, and proceeds and dividends go out."
    ),
]


@strawberry.type(description="Portfolios.")
class PortfolioQuery:
    """The root field of portfolios."""

    @strawberry.field(
        description="Value over time, profit and loss, weights and contributions of positions or"
        " transactions; give one of the two lists. Prices are the closes of the interval's candles,"
        " each in force until the next."
    )
    async def portfolio(
        self,
        info: Info,
        currency: Annotated[
            str,
            strawberry.argument(
                description="All is converted to it by stored FX instruments named as EURUSD,"
                " EUR/USD, EURUSD=X, EUR-USD or EUR_USD, or inversely, or through USD."
            ),
        ],
        positions: Positions = None,
        transactions: Transactions = None,
        interval: Interval = Interval.parse("1d"),  # noqa: B008 - a frozen value
        from_: From = None,
        to: To = None,
        cash: Cash = None,
        method: CostMethod = CostMethod.FIFO,
        adjust: Adjusted = Adjust.SPLITS,
        benchmark: Annotated[
            str | None,
            strawberry.argument(description="A symbol that the statistics are held against."),
        ] = None,
    ) -> Portfolio | None:
        """Read a portfolio."""
        asked = asked_portfolio(
            positions=[each.position() for each in positions or ()],
            transactions=[each.transaction() for each in transactions or ()],
            currency=currency,
            spec=spec_of(interval, None, None, adjust or Adjust.SPLITS),
            start=from_,
            end=to,
            cash=cash,
            method=method,
            benchmark=benchmark,
        )
        limits = info.context.limits
        return Portfolio(
            source=await read_portfolio(info.context.market, asked, limits.max_symbols)
        )
