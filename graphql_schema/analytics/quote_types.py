"""Quotes, their columns and statistics as GraphQL shows them; filled attribute by attribute."""

from datetime import date, datetime
from decimal import Decimal

import strawberry

from app.market.candle import Session
from graphql_schema.market_types import PageInfo
from graphql_schema.scalars import Cursor, EpochMillis


@strawberry.type(
    description="The best bid and ask of a moment, in force until the instrument's next quote."
)
class Quote:
    """Columns of app.market.quote.Quote."""

    time: datetime = strawberry.field(description="The venue's time, to the microsecond.")
    bid: Decimal | None = strawberry.field(description="The best price to sell at; null: nobody.")
    ask: Decimal | None = strawberry.field(description="The best price to buy at; null: nobody.")
    bid_size: Decimal | None = strawberry.field(
        description="How many units at the bid; null where not told."
    )
    ask_size: Decimal | None = strawberry.field(
        description="How many units at the ask; null where not told."
    )
    mid: Decimal | None = strawberry.field(
        description="Halfway between bid and ask; null where one is missing."
    )
    spread: Decimal | None = strawberry.field(
        description="The ask less the bid, below zero where they are crossed; null where one is"
        " missing."
    )
    session: Session = strawberry.field(description="The part of the exchange's day.")
    trading_date: date = strawberry.field(description="The exchange's day that it counts to.")
    quote_id: str = strawberry.field(
        resolver=lambda root: str(root.quote_id),
        description="The venue's id, or the place among the quotes of that instant.",
    )


@strawberry.type(description="A quote and its place in the list.")
class QuoteEdge:
    """Relay edge of quotes."""

    cursor: Cursor = strawberry.field(description="Give it as `after` to go on behind this one.")
    node: Quote = strawberry.field(description="The quote.")


@strawberry.type(description="A page of quotes, oldest first.")
class QuoteConnection:
    """Relay connection of quotes."""

    edges: list[QuoteEdge] = strawberry.field(description="The quotes of this page.")
    page_info: PageInfo = strawberry.field(description="Whether and where there is more.")


@strawberry.type(
    description="Quotes in buckets, column by column: equal-length lists, oldest first; null where"
    " a side was missing all the while."
)
class QuoteSeries:
    """Columns of app.query.quotes.series.QuoteColumns."""

    time: list[EpochMillis] = strawberry.field(description="Bucket starts.")
    bid: list[float | None] = strawberry.field(
        description="The bid of the bucket's last quote; null where it had none."
    )
    ask: list[float | None] = strawberry.field(
        description="The ask of the bucket's last quote; null where it had none."
    )
    open: list[float | None] = strawberry.field(description="The first mid that came.")
    high: list[float | None] = strawberry.field(description="The highest mid that came.")
    low: list[float | None] = strawberry.field(description="The lowest mid that came.")
    close: list[float | None] = strawberry.field(description="The last mid that came.")
    mean_spread: list[float | None] = strawberry.field(
        description="The mean of the spreads of the quotes that came."
    )
    time_weighted_spread: list[float | None] = strawberry.field(
        description="The spread by how long each quote was in force in the bucket, the one in force"
        " when it began among them.",
    )
    relative_spread_bps: list[float | None] = strawberry.field(
        description="The spread as basis points of the mid, weighted by time likewise."
    )
    count: list[int] = strawberry.field(description="How many quotes came.")


@strawberry.type(
    description="What a spread was like: in the instrument's currency, null where there is none."
)
class SpreadStatistics:
    """Columns of app.query.quotes.spreads.SpreadStatistics."""

    quotes: int = strawberry.field(description="How many quotes came in the range.")
    mean_spread: float | None = strawberry.field(description="The mean over those quotes.")
    median_spread: float | None = strawberry.field(description="The median over those quotes.")
    min_spread: float | None = strawberry.field(description="The lowest of those quotes.")
    max_spread: float | None = strawberry.field(description="The highest of those quotes.")
    time_weighted_spread: float | None = strawberry.field(
        description="The spread by how long each quote was in force in the range, the one in force"
        " when it began among them."
    )
    relative_spread_bps: float | None = strawberry.field(
        description="The spread as basis points of the mid, weighted by time likewise."
    )
    quoted_seconds: float = strawberry.field(
        description="How long any quote was in force: from the first one on, until now at most."
    )
    both_sides_share: float | None = strawberry.field(
        description="The part of that time in which there were both bid and ask, from 0 to 1."
    )
    locked_share: float | None = strawberry.field(
        description="The part of the time with both sides in which they were equal."
    )
    crossed_share: float | None = strawberry.field(
        description="The part of the time with both sides in which the bid was above the ask."
    )
