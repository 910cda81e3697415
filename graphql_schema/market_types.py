"""Candles, trades, prices and venues as GraphQL shows them."""

from datetime import date, datetime
from decimal import Decimal

import strawberry

from app.market.candle import Session
from app.market.instrument import AssetClass
from app.storage.audit import Action
from app.storage.batches import BatchKind
from app.storage.quarantine import State
from app.validation.anomalies import Severity
from app.validation.reasons import Reason
from graphql_schema.analytics.explanation import CandleExplanation, explain
from graphql_schema.analytics.trading_hours import TradingHours
from graphql_schema.scalars import Cursor, Revision

# The market's own enums are the schema's: registered here, used as they are.
strawberry.enum(AssetClass, description="What kind of thing is priced.")
strawberry.enum(BatchKind, name="RecordKind", description="What records are of.")
strawberry.enum(Reason, name="RefusalReason", description="Why a record is refused.")
strawberry.enum(State, name="QuarantineState", description="What has become of a refused record.")
strawberry.enum(Action, name="AuditAction", description="What was done.")
strawberry.enum(Severity, description="How much an odd row should worry.")
strawberry.enum(Session, description="The part of the exchange's day in which a trade happened.")


@strawberry.type(description="Where a page of a list begins and ends.")
class PageInfo:
    """Relay's page information; lists here go forward only."""

    has_next_page: bool = strawberry.field(description="There is more behind this page.")
    has_previous_page: bool = strawberry.field(description="The page began behind a cursor.")
    start_cursor: Cursor | None = strawberry.field(
        description="The first one's cursor; null on an empty page."
    )
    end_cursor: Cursor | None = strawberry.field(
        description="The last one's cursor: the next page's `after`."
    )


@strawberry.type(description="A venue and its trading calendar.")
class Exchange(TradingHours):
    """A row of `exchange`."""

    mic: str = strawberry.field(
        description="ISO 10383 market identifier code, or `24/7` for a venue that never closes."
    )
    calendar: str = strawberry.field(description="The calendar's code in exchange-calendars.")
    timezone: str = strawberry.field(description="IANA time zone.")


@strawberry.type(description="One bucket of trading.")
class Candle:
    """A candle; filled straight from app.market.candle.Candle, attribute by attribute."""

    time: datetime = strawberry.field(
        description="The bucket's start; for a day or longer, its first date at 00:00 UTC."
    )
    open: Decimal = strawberry.field(description="The first price.")
    high: Decimal = strawberry.field(description="The highest price.")
    low: Decimal = strawberry.field(description="The lowest price.")
    close: Decimal = strawberry.field(description="The last price.")
    volume: Decimal = strawberry.field(description="The sum of sizes.")
    vwap: Decimal | None = strawberry.field(
        description="Volume-weighted average price; null where a bar source does not give it."
    )
    trades: int = strawberry.field(
        description="How many trades; 0 where a bar source does not count them."
    )
    revision: Revision = strawberry.field(description="Grows whenever anything under it changes.")
    final: bool = strawberry.field(
        description="The instrument's data have passed its end by the configured lateness."
    )
    explain: CandleExplanation | None = strawberry.field(
        resolver=explain,
        description="How it came about; null for a gap that was filled, and in subscriptions.",
    )


@strawberry.type(description="One trade as the venue reported it.")
class Trade:
    """Filled straight from app.market.candle.Trade."""

    time: datetime = strawberry.field(description="The venue's time, to the microsecond.")
    price: Decimal = strawberry.field(description="The price of one unit.")
    size: Decimal = strawberry.field(description="How many units.")
    session: Session = strawberry.field(description="The part of the exchange's day.")
    trading_date: date = strawberry.field(description="The exchange's day that it counts to.")
    trade_id: str = strawberry.field(
        resolver=lambda root: str(root.trade_id),
        description="The venue's id, or the place among the trades of that instant.",
    )


@strawberry.type(description="A trade and its place in the list.")
class TradeEdge:
    """Relay edge of trades."""

    cursor: Cursor = strawberry.field(description="Give it as `after` to go on behind this one.")
    node: Trade = strawberry.field(description="The trade.")


@strawberry.type(description="A page of trades, oldest first.")
class TradeConnection:
    """Relay connection of trades."""

    edges: list[TradeEdge] = strawberry.field(description="The trades of this page.")
    page_info: PageInfo = strawberry.field(description="Whether and where there is more.")


@strawberry.type(description="The newest price known: the last trade, or the last bar's close.")
class LatestPrice:
    """Filled straight from app.market.candle.LatestPrice."""

    time: datetime = strawberry.field(description="The trade's time, or the bar's start.")
    price: Decimal = strawberry.field(description="The trade's price, or the bar's close.")
    size: Decimal = strawberry.field(description="The trade's size, or the bar's volume.")
    trading_date: date = strawberry.field(description="The exchange's day that it counts to.")
