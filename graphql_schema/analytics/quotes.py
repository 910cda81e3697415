"""Quotes of an instrument: the rows, the one in force, and what they say bucket by bucket."""

from datetime import datetime
from functools import partial
from typing import Annotated, cast

import strawberry

from app.market.candle_spec import Adjust
from app.market.interval import Interval
from app.query.market import Subject
from app.query.quotes.in_force import read_in_force, read_latest_quotes
from app.query.quotes.pages import quote_key, quote_page, read_quotes
from app.query.quotes.series import read_quote_series
from app.query.quotes.spreads import read_spread_statistics, statistics_range
from graphql_schema import ids
from graphql_schema.analytics.quote_types import (
    Quote,
    QuoteConnection,
    QuoteEdge,
    QuoteSeries,
    SpreadStatistics,
)
from graphql_schema.candle_arguments import (
    From,
    Last,
    OfSession,
    SessionFilter,
    Timezone,
    To,
    asked_window,
    spec_of,
)
from graphql_schema.context import Info
from graphql_schema.paging import page_info
from graphql_schema.scalars import Cursor

_PAGE = 100

Since = Annotated[datetime, strawberry.argument(name="from", description="First time, inclusive.")]
Until = Annotated[datetime, strawberry.argument(description="Last time, exclusive.")]


@strawberry.type
class QuotedInstrument:
    """Fields of an instrument."""

    subject: strawberry.Private[Subject]

    @strawberry.field(description="Quotes within [from, to), oldest first.")
    async def quotes(
        self,
        info: Info,
        from_: From = None,
        to: To = None,
        first: int | None = _PAGE,
        after: str | None = None,
    ) -> QuoteConnection:
        """Load a page of quotes."""
        key = ids.decode_cursor(ids.QUOTE, after)
        count = _PAGE if first is None else first
        page = quote_page(from_, to, count, key, info.context.limits.max_points)
        loader = info.context.loaders.reading(("quotes", page), partial(read_quotes, page=page))
        found = await loader.load(self.subject.instrument_id)
        edges = [
            QuoteEdge(
                cursor=Cursor(ids.encode(ids.QUOTE, quote_key(quote))), node=cast(Quote, quote)
            )
            for quote in found.quotes
        ]
        return QuoteConnection(edges=edges, page_info=page_info(edges, found.has_next, after))

    @strawberry.field(
        description="The quote in force at a time: the newest at or before it, however old; null"
        " before the first. Of several with one time, the one with the highest id."
    )
    async def quote_at(
        self,
        info: Info,
        at: Annotated[datetime, strawberry.argument(description="When.")],
    ) -> Quote | None:
        """Load the quote in force."""
        loader = info.context.loaders.reading("quotes in force", read_in_force)
        return cast(Quote | None, await loader.load((self.subject.instrument_id, at)))

    @strawberry.field(description="The newest quote; null while there are none.")
    async def latest_quote(self, info: Info) -> Quote | None:
        """Load the newest quote."""
        loader = info.context.loaders.reading("latest quotes", read_latest_quotes)
        return cast(Quote | None, await loader.load(self.subject.instrument_id))

    @strawberry.field(
        description="Quotes column by column, as JSON numbers, for the buckets that start within"
        " [from, to), or the newest `last`. Buckets in which no quote came are left out."
    )
    async def quote_series(
        self,
        info: Info,
        interval: Interval,
        from_: From = None,
        to: To = None,
        last: Last = None,
        session: OfSession = SessionFilter.ALL,
        timezone: Timezone = None,
    ) -> QuoteSeries:
        """Load columns."""
        spec = spec_of(interval, session, timezone, Adjust.NONE)
        window = asked_window(info, from_, to, last)
        loader = info.context.loaders.reading(
            ("quote series", spec, window),
            partial(read_quote_series, spec=spec, window=window),
        )
        return cast(QuoteSeries, await loader.load(self.subject))

    @strawberry.field(
        description="The spread over [from, to): by quote that came in it, and by the time that"
        " quotes were in force in it."
    )
    async def spread_statistics(self, info: Info, from_: Since, to: Until) -> SpreadStatistics:
        """Load statistics."""
        start, end = statistics_range(from_, to)
        loader = info.context.loaders.reading(
            ("spread statistics", start, end),
            partial(read_spread_statistics, start=start, end=end),
        )
        return cast(SpreadStatistics, await loader.load(self.subject))
