"""The root of every subscription."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import cast

import strawberry

from app.errors import BadInput, RangeTooLarge, UnknownSymbol
from app.live.events import Mark
from app.live.questions import CandleQuestion, PriceQuestion, TradeQuestion
from app.market.interval import Interval
from app.query.market import Subject
from graphql_schema.context import Info
from graphql_schema.market_types import Candle, LatestPrice, Trade
from graphql_schema.scalars import Cursor, Revision


@strawberry.type(description="A bucket as it is now: of two events the higher revision counts.")
class CandleEvent:
    """Filled straight from app.live.events.CandleEvent."""

    symbol: str = strawberry.field(description="The instrument's symbol.")
    time: datetime = strawberry.field(description="The bucket's start.")
    revision: Revision = strawberry.field(description="Only grows: the batch that made it so.")
    cursor: Cursor = strawberry.field(description="Give it as `after` to go on behind this event.")
    candle: Candle | None = strawberry.field(
        description="The candle; null where the bucket's last trade was cancelled."
    )


@strawberry.type(description="A trade that is new, corrected or cancelled.")
class TradeEvent:
    """Filled straight from app.live.events.TradeEvent."""

    symbol: str = strawberry.field(description="The instrument's symbol.")
    revision: Revision = strawberry.field(description="Only grows: the batch that made it so.")
    cursor: Cursor = strawberry.field(description="Give it as `after` to go on behind this event.")
    trade: Trade = strawberry.field(description="The trade as it is now.")
    cancelled: bool = strawberry.field(description="It does not count any more.")


@strawberry.type(description="An instrument's newest price.")
class LatestEvent:
    """Filled straight from app.live.events.PriceEvent."""

    symbol: str = strawberry.field(description="The instrument's symbol.")
    revision: Revision = strawberry.field(description="Only grows: the batch that made it so.")
    cursor: Cursor = strawberry.field(description="Give it as `after` to go on behind this event.")
    latest: LatestPrice | None = strawberry.field(
        description="The price; null where every trade was cancelled."
    )


@strawberry.type(description="Everything that can be followed.")
class Subscription:
    """The fields at the root.

    Without `after` the first events are the present state; with it, what has changed since.
    """

    @strawberry.subscription(
        description="Candles as they change: the open one, and older ones that late or corrected"
        " data change. Without `after` the open candle comes first, with it what changed since."
    )
    async def candles(
        self, info: Info, symbols: list[str], interval: Interval, after: str | None = None
    ) -> AsyncGenerator[CandleEvent, None]:
        """Follow candles."""
        subjects = await _subjects(info, symbols)
        question = CandleQuestion(subjects=subjects, interval=interval)
        async for event in info.context.live.events(question, _mark(after)):
            yield cast(CandleEvent, event)

    @strawberry.subscription(
        description="Every trade, also corrections and cancellations. Without `after` the last"
        " trade comes first; with it, all that came or changed since."
    )
    async def trades(
        self, info: Info, symbols: list[str], after: str | None = None
    ) -> AsyncGenerator[TradeEvent, None]:
        """Follow trades."""
        question = TradeQuestion(subjects=await _subjects(info, symbols))
        async for event in info.context.live.events(question, _mark(after)):
            yield cast(TradeEvent, event)

    @strawberry.subscription(
        description="Newest prices as they change; without `after` the present ones come first."
    )
    async def latest(
        self, info: Info, symbols: list[str], after: str | None = None
    ) -> AsyncGenerator[LatestEvent, None]:
        """Follow newest prices."""
        question = PriceQuestion(subjects=await _subjects(info, symbols))
        async for event in info.context.live.events(question, _mark(after)):
            yield cast(LatestEvent, event)


async def _subjects(info: Info, symbols: Sequence[str]) -> tuple[Subject, ...]:
    """Find the instruments, each once.

    Raises:
        BadInput: there is no symbol.
        RangeTooLarge: there are too many.
        UnknownSymbol: one names nothing.
    """
    most = info.context.limits.max_symbols
    if not symbols:
        raise BadInput("`symbols` is empty: name at least one")
    if len(symbols) > most:
        raise RangeTooLarge(f"{len(symbols)} symbols: at most {most} can be asked for at once")
    found = await info.context.loaders.instrument_by_symbol.load_many(symbols)
    by_id = {}
    for symbol, row in zip(symbols, found, strict=True):
        if row is None:
            raise UnknownSymbol(f"no instrument has the symbol {symbol!r}")
        by_id[row.instrument_id] = Subject(
            instrument_id=row.instrument_id, symbol=row.symbol, exchange=row.exchange
        )
    return tuple(by_id[key] for key in sorted(by_id))


def _mark(after: str | None) -> Mark | None:
    return None if after is None else Mark.of_cursor(after)
