"""Trades with their quotes as GraphQL shows them; filled attribute by attribute."""

from decimal import Decimal

import strawberry

from app.market.quote import QuoteMatch, SideRule, TradeSide
from graphql_schema.analytics.quote_types import Quote
from graphql_schema.market_types import PageInfo, Trade
from graphql_schema.scalars import Cursor

strawberry.enum(
    QuoteMatch,
    description="Whether a quote that has the trade's own time is in force for it: BEFORE says no,"
    " since the trade may have made it; AT_OR_BEFORE says yes.",
)
strawberry.enum(TradeSide, description="Who made a trade happen.")
strawberry.enum(
    SideRule,
    description="What told the side: QUOTE, a price beside the mid; TICK, at the mid, the last"
    " other price of the same trading date.",
)


@strawberry.type(description="A trade and the quote that was in force for it.")
class TradeQuote:
    """Columns of app.query.quotes.asof.TradeQuote."""

    trade: Trade = strawberry.field(description="The trade.")
    quote: Quote | None = strawberry.field(
        description="The newest quote before it; null where there is none."
    )
    mid: Decimal | None = strawberry.field(
        description="The quote's mid; null where it has only one side, as is all that follows."
    )
    side: TradeSide | None = strawberry.field(
        description="BUYER above the mid, SELLER below it; at the mid, BUYER after a lower price;"
        " null where no other price was before."
    )
    side_rule: SideRule | None = strawberry.field(description="What told the side.")
    effective_spread: Decimal | None = strawberry.field(
        description="Twice the distance of the price from the mid."
    )
    signed_effective_spread: Decimal | None = strawberry.field(
        description="Twice the price less the mid: above zero above the mid."
    )
    effective_spread_bps: float | None = strawberry.field(
        description="The effective spread as basis points of the mid; null where that is not above"
        " zero."
    )
    price_improvement: Decimal | None = strawberry.field(
        description="How much better than the quote: the ask less a buyer's price, a seller's price"
        " less the bid; below zero outside of the quote."
    )


@strawberry.type(description="A trade with its quote, and its place in the list.")
class TradeQuoteEdge:
    """Relay edge of trades with quotes."""

    cursor: Cursor = strawberry.field(description="Give it as `after` to go on behind this one.")
    node: TradeQuote = strawberry.field(description="The trade and the quote.")


@strawberry.type(description="A page of trades with their quotes, oldest first.")
class TradeQuoteConnection:
    """Relay connection of trades with quotes."""

    edges: list[TradeQuoteEdge] = strawberry.field(description="The trades of this page.")
    page_info: PageInfo = strawberry.field(description="Whether and where there is more.")


@strawberry.type(
    description="What trading cost, in the instrument's currency: over the trades whose quote has"
    " a mid. Null where there are none."
)
class EffectiveSpreadStatistics:
    """Columns of app.query.quotes.effective_spread.EffectiveSpreadStatistics."""

    trades: int = strawberry.field(description="How many trades there are, cancelled ones not.")
    matched: int = strawberry.field(description="How many of them have a quote with a mid.")
    mean: float | None = strawberry.field(description="The mean effective spread of those.")
    volume_weighted: float | None = strawberry.field(description="The same, weighted by size.")
    mean_bps: float | None = strawberry.field(
        description="The mean in basis points of each trade's mid, where that is above zero."
    )
    volume_weighted_bps: float | None = strawberry.field(description="The same, weighted by size.")
    buyer_trades: int = strawberry.field(description="How many of them were a buyer's.")
    seller_trades: int = strawberry.field(description="How many of them were a seller's.")
    realized_trades: int = strawberry.field(
        description="How many of them have a side and a mid later that is known: the quotes reach"
        " that far."
    )
    realized_mean: float | None = strawberry.field(
        description="The mean realized spread of those: twice the price less the later mid, with"
        " its sign turned for sellers."
    )
    realized_volume_weighted: float | None = strawberry.field(
        description="The same, weighted by size."
    )
    price_impact_mean: float | None = strawberry.field(
        description="The mean of twice the later mid less the mid, with its sign turned for"
        " sellers: with the realized spread it makes the effective one."
    )
