"""The Instrument type: everything that can be asked of one instrument."""

from datetime import datetime
from typing import Self, cast

import strawberry

from app.market import instrument as reference
from app.market.candle_spec import Adjust
from app.market.instrument import AssetClass, CandleSource
from app.market.interval import Interval
from app.query.downsampling import Method
from app.query.filling import Fill
from app.query.market import Subject
from app.query.series import asked_series
from app.query.trades import TradePage, trade_page
from graphql_schema import ids
from graphql_schema.analytics.coverage import Covered
from graphql_schema.analytics.explanation import Origin, WithActions, with_origin
from graphql_schema.analytics.quotes import QuotedInstrument
from graphql_schema.analytics.series import CandleSeries, MaxPoints, PickedBy
from graphql_schema.analytics.statistics import MeasuredInstrument
from graphql_schema.analytics.trade_quotes import TradedAgainstQuotes
from graphql_schema.candle_arguments import (
    Adjusted,
    Filled,
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
from graphql_schema.market_types import (
    Candle,
    Exchange,
    LatestPrice,
    PageInfo,
    Trade,
    TradeConnection,
    TradeEdge,
)
from graphql_schema.paging import page_info
from graphql_schema.scalars import Cursor

_PAGE = 100


@strawberry.interface(description="Anything with a global id.")
class Node:
    """Relay's node."""

    id: strawberry.ID = strawberry.field(description="Opaque; give it to `node`.")


@strawberry.type(description="Something that trades.")
class Instrument(
    Node, Covered, MeasuredInstrument, WithActions, QuotedInstrument, TradedAgainstQuotes
):
    """A row of `instrument` and what is read for it."""

    symbol: str = strawberry.field(description="The symbol that it has now.")
    name: str | None = strawberry.field(description="What people call it.")
    asset_class: AssetClass = strawberry.field(description="What kind of thing it is.")
    currency: str = strawberry.field(
        description="The currency of its prices: ISO 4217, or a coin's ticker."
    )
    candle_source: CandleSource | None = strawberry.field(
        description="What `candles` and `series` are made of; null while there are no data."
    )
    simulated: bool = strawberry.field(description="Its prices are made up, for demonstration.")
    subject: strawberry.Private[Subject]

    @classmethod
    def of(cls, row: reference.Instrument) -> Self:
        """Show an instrument."""
        return cls(
            id=strawberry.ID(ids.encode("Instrument", row.instrument_id)),
            symbol=row.symbol,
            name=row.name,
            asset_class=row.asset_class,
            currency=row.currency,
            candle_source=row.candle_source,
            simulated=row.simulated,
            subject=Subject(
                instrument_id=row.instrument_id, symbol=row.symbol, exchange=row.exchange
            ),
        )

    @strawberry.field(description="Where it trades.")
    async def exchange(self, info: Info) -> Exchange:
        """Load the venue."""
        return cast(Exchange, await info.context.loaders.exchange.load(self.subject.exchange))

    @strawberry.field(
        description="Candles, oldest first: those that start within [from, to), or the newest"
        " `last`. Buckets without trading are left out, unless `fill` says otherwise."
    )
    async def candles(
        self,
        info: Info,
        interval: Interval,
        from_: From = None,
        to: To = None,
        last: Last = None,
        session: OfSession = SessionFilter.ALL,
        timezone: Timezone = None,
        adjust: Adjusted = Adjust.NONE,
        fill: Filled = Fill.NONE,
    ) -> list[Candle]:
        """Load candles."""
        spec = spec_of(interval, session, timezone, adjust)
        window = asked_window(info, from_, to, last)
        loader = info.context.loaders.filled(spec, window, fill or Fill.NONE)
        origin = Origin(subject=self.subject, spec=spec, window=window)
        return cast(list[Candle], with_origin(info, await loader.load(self.subject), origin))

    @strawberry.field(
        description="The same candles column by column, as JSON numbers, with indicators on them:"
        " compact where people draw."
    )
    def series(
        self,
        info: Info,
        interval: Interval,
        from_: From = None,
        to: To = None,
        last: Last = None,
        session: OfSession = SessionFilter.ALL,
        timezone: Timezone = None,
        adjust: Adjusted = Adjust.NONE,
        fill: Filled = Fill.NONE,
        max_points: MaxPoints = None,
        method: PickedBy = Method.M4,
    ) -> CandleSeries:
        """Say which candles; the series' own fields load them, all at once."""
        most = info.context.limits.max_points
        asked = asked_series(
            spec_of(interval, session, timezone, adjust),
            asked_window(info, from_, to, last),
            fill=fill,
            max_points=max_points,
            method=method,
            limit=most,
        )
        loader = info.context.loaders.series(asked)
        return CandleSeries(subject=self.subject, loader=loader, most=most)

    @strawberry.field(
        description="Trades within [from, to), oldest first; cancelled ones left out."
    )
    async def trades(
        self,
        info: Info,
        from_: From = None,
        to: To = None,
        first: int | None = 100,
        after: str | None = None,
        adjust: Adjusted = Adjust.NONE,
    ) -> TradeConnection:
        """Load a page of trades."""
        page = trades_asked(from_, to, first, after, info.context.limits.max_points)
        loaders = info.context.loaders
        if adjust in (None, Adjust.NONE):
            found = await loaders.trades(page).load(self.subject.instrument_id)
        else:
            found = await loaders.adjusted_trades(page, adjust).load(self.subject)
        edges = [
            TradeEdge(
                cursor=Cursor(ids.encode(ids.TRADE, trade.order_key)), node=cast(Trade, trade)
            )
            for trade in found.trades
        ]
        return TradeConnection(edges=edges, page_info=page_info(edges, found.has_next, after))

    @strawberry.field(description="The newest price; null while there are no data.")
    async def latest(self, info: Info, adjust: Adjusted = Adjust.NONE) -> LatestPrice | None:
        """Load the newest price."""
        loaders = info.context.loaders
        if adjust in (None, Adjust.NONE):
            return cast(LatestPrice | None, await loaders.latest.load(self.subject.instrument_id))
        adjusted = loaders.adjusted_latest(adjust)
        return cast(LatestPrice | None, await adjusted.load(self.subject))


@strawberry.type(description="An instrument and its place in the list.")
class InstrumentEdge:
    """Relay edge of instruments."""

    cursor: Cursor = strawberry.field(description="Give it as `after` to go on behind this one.")
    node: Instrument = strawberry.field(description="The instrument.")


@strawberry.type(description="A page of instruments, best matches first.")
class InstrumentConnection:
    """Relay connection of instruments."""

    edges: list[InstrumentEdge] = strawberry.field(description="The instruments of this page.")
    page_info: PageInfo = strawberry.field(description="Whether and where there is more.")


def trades_asked(
    start: datetime | None,
    end: datetime | None,
    first: int | None,
    after: str | None,
    max_points: int,
) -> TradePage:
    """Read the arguments of a trade list; `after` is a cursor as clients have it."""
    key = ids.decode_cursor(ids.TRADE, after)
    return trade_page(start, end, _PAGE if first is None else first, key, max_points)
