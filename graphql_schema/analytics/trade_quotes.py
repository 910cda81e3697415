"""Trades joined with the quote in force, and what trading cost."""

from functools import partial
from typing import Annotated, cast

import strawberry

from app.market.quote import QuoteMatch
from app.query.market import Subject
from app.query.quotes.asof import MAX_LAG_MS, as_of, read_trade_quotes
from app.query.quotes.effective_spread import MAX_AFTER_S, read_effective_spread, realized_after
from app.query.quotes.spreads import statistics_range
from app.query.trades import trade_page
from graphql_schema import ids
from graphql_schema.analytics.quotes import Since, Until
from graphql_schema.analytics.trade_quote_types import (
    EffectiveSpreadStatistics,
    TradeQuote,
    TradeQuoteConnection,
    TradeQuoteEdge,
)
from graphql_schema.candle_arguments import From, To
from graphql_schema.context import Info
from graphql_schema.paging import page_info
from graphql_schema.scalars import Cursor

_PAGE = 100

Lag = Annotated[
    int | None,
    strawberry.argument(
        description="How many milliseconds older than the trade its quote must be: where trades are"
        f" reported late; from 0 to {MAX_LAG_MS}."
    ),
]
Match = Annotated[
    QuoteMatch | None,
    strawberry.argument(description="Whether a quote of the trade's very time (less the lag) is"
                        " its quote."),
]  # fmt: skip


@strawberry.type
class TradedAgainstQuotes:
    """Fields of an instrument."""

    subject: strawberry.Private[Subject]

    @strawberry.field(
        description="Trades within [from, to), oldest first, cancelled ones left out, each with the"
        " newest quote before it."
    )
    async def trades_with_quotes(
        self,
        info: Info,
        from_: From = None,
        to: To = None,
        first: int | None = _PAGE,
        after: str | None = None,
        lag_ms: Lag = 0,
        match: Match = QuoteMatch.BEFORE,
    ) -> TradeQuoteConnection:
        """Load a page of trades with their quotes."""
        key = ids.decode_cursor(ids.TRADE_QUOTE, after)
        count = _PAGE if first is None else first
        page = trade_page(from_, to, count, key, info.context.limits.max_points)
        matching = as_of(lag_ms, match)
        loader = info.context.loaders.reading(
            ("trades with quotes", page, matching),
            partial(read_trade_quotes, page=page, matching=matching),
        )
        found = await loader.load(self.subject.instrument_id)
        edges = [
            TradeQuoteEdge(
                cursor=Cursor(ids.encode(ids.TRADE_QUOTE, each.trade.order_key)),
                node=cast(TradeQuote, each),
            )
            for each in found.trades
        ]
        return TradeQuoteConnection(edges=edges, page_info=page_info(edges, found.has_next, after))

    @strawberry.field(
        description="What trading cost over [from, to): trades against the quote in force and the"
        " mid some time later."
    )
    async def effective_spread(
        self,
        info: Info,
        from_: Since,
        to: Until,
        lag_ms: Lag = 0,
        match: Match = QuoteMatch.BEFORE,
        realized_after_seconds: Annotated[
            int | None,
            strawberry.argument(
                description="How long after a trade the realized spread looks at the mid: from 1 to"
                f" {MAX_AFTER_S}."
            ),
        ] = 300,
    ) -> EffectiveSpreadStatistics:
        """Load statistics."""
        start, end = statistics_range(from_, to)
        matching, after = as_of(lag_ms, match), realized_after(realized_after_seconds)
        loader = info.context.loaders.reading(
            ("effective spread", start, end, matching, after),
            partial(read_effective_spread, start=start, end=end, matching=matching, after=after),
        )
        return cast(EffectiveSpreadStatistics, await loader.load(self.subject))
