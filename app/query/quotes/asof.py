"""Join trades with the quotes in force: the side, the effective spread, the price improvement.

Sides are told as Lee and Ready (1991) do: a price above the mid was a buyer's, below it a seller's,
and at the mid the last other price of the same trading date decides: a higher one before means a
seller. Without a mid nothing is told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from app.errors import BadInput
from app.market.candle import Trade
from app.market.quote import EXACT, AsOf, Quote, QuoteMatch, SideRule, TradeSide
from app.query.market import Market
from app.query.plan import DATE_BEFORE
from app.query.quotes.in_force import quotes_before
from app.query.quotes.spans import TICK, read_spans
from app.query.trade_shapes import TradeRows, Trades
from app.query.trades import TradePage, read_trades
from app.storage.reader import Reader

MAX_LAG_MS = 3_600_000
_TWO = Decimal(2)

# other_prices: the last price before each trade, in its trading date, that is not its own.
OTHER_PRICES = """
SELECT s.part, f.price
FROM unnest($3::integer[], $4::timestamptz[], $5::bigint[], $6::date[], $7::numeric[])
     WITH ORDINALITY AS s (instrument_id, time, trade_id, trading_date, price, part)
LEFT JOIN LATERAL (
    SELECT t.price
    FROM trade AS t
    WHERE t.instrument_id = s.instrument_id
      AND t.event_time <= s.time AND (t.event_time, t.trade_id) < (s.time, s.trade_id)
      AND t.event_time >= $1 AND t.event_time < $2
      AND t.trading_date = s.trading_date AND t.price <> s.price AND NOT t.cancelled
    ORDER BY t.event_time DESC, t.trade_id DESC
    LIMIT 1
) AS f ON true
ORDER BY s.part
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeQuote:
    """A trade and the quote in force; what cannot be told is None."""

    trade: Trade
    quote: Quote | None
    mid: Decimal | None
    side: TradeSide | None
    side_rule: SideRule | None
    effective_spread: Decimal | None
    signed_effective_spread: Decimal | None
    effective_spread_bps: float | None
    price_improvement: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeQuotes:
    """One page, and whether there is more behind it."""

    trades: list[TradeQuote]
    has_next: bool


def as_of(lag_ms: int | None, match: QuoteMatch | None) -> AsOf:
    """Check how trades are matched with quotes.

    Raises:
        BadInput: the lag is out of range.
    """
    lag = lag_ms or 0
    if not 0 <= lag <= MAX_LAG_MS:
        raise BadInput(f"`lagMs` is {lag}: it must be from 0 to {MAX_LAG_MS}")
    return AsOf(lag=timedelta(milliseconds=lag), match=match or QuoteMatch.BEFORE)


async def read_trade_quotes(
    market: Market, instrument_ids: Sequence[int], page: TradePage, matching: AsOf
) -> list[TradeQuotes]:
    """Give each instrument's page of trades with their quotes.

    The number of statements does not depend on the number of instruments.
    """
    pages: list[Trades] = await read_trades(market, instrument_ids, page, TradeRows())
    every = [
        (instrument_id, trade)
        for instrument_id, own in zip(instrument_ids, pages, strict=True)
        for trade in own.trades
    ]
    spans = await read_spans(market.reader, instrument_ids) if every else {}
    asked = [(instrument_id, trade.time + matching.shift) for instrument_id, trade in every]
    quotes = await quotes_before(market.reader, asked, spans)
    at_mid = [
        (place, *each)
        for place, (each, quote) in enumerate(zip(every, quotes, strict=True))
        if quote is not None and quote.mid == each[1].price
    ]
    others = await _other_prices(market.reader, at_mid)
    joined = iter(
        [
            join(trade, quote, others.get(place))
            for place, ((_, trade), quote) in enumerate(zip(every, quotes, strict=True))
        ]
    )
    return [
        TradeQuotes(trades=[next(joined) for _ in own.trades], has_next=own.has_next)
        for own in pages
    ]


async def _other_prices(
    reader: Reader, asked: Sequence[tuple[int, int, Trade]]
) -> Mapping[int, Decimal | None]:
    """Give the last other price before each (place, instrument, trade), by place."""
    if not asked:
        return {}
    trades = [trade for _, _, trade in asked]
    times = [trade.time for trade in trades]
    rows = await reader.fetch(
        OTHER_PRICES,
        min(times) - DATE_BEFORE,
        max(times) + TICK,
        [instrument_id for _, instrument_id, _ in asked],
        times,
        [trade.trade_id for trade in trades],
        [trade.trading_date for trade in trades],
        [trade.price for trade in trades],
    )
    return {place: row["price"] for (place, _, _), row in zip(asked, rows, strict=True)}


def join(trade: Trade, quote: Quote | None, other_price: Decimal | None) -> TradeQuote:
    """Tell what a quote says of a trade; `other_price` decides where the price is the mid."""
    mid = None if quote is None else quote.mid
    side, rule, signed, bps, improvement = None, None, None, None, None
    if mid is not None:
        side, rule = _side(trade.price, mid, other_price)
        signed = EXACT.multiply(_TWO, EXACT.subtract(trade.price, mid))
        bps = float(signed.copy_abs() / mid * 10_000) if mid > 0 else None
        if side is TradeSide.BUYER and quote is not None and quote.ask is not None:
            improvement = EXACT.subtract(quote.ask, trade.price)
        elif side is TradeSide.SELLER and quote is not None and quote.bid is not None:
            improvement = EXACT.subtract(trade.price, quote.bid)
    return TradeQuote(
        trade=trade,
        quote=quote,
        mid=mid,
        side=side,
        side_rule=rule,
        effective_spread=None if signed is None else signed.copy_abs(),
        signed_effective_spread=signed,
        effective_spread_bps=bps,
        price_improvement=improvement,
    )


def _side(
    price: Decimal, mid: Decimal, other_price: Decimal | None
) -> tuple[TradeSide | None, SideRule | None]:
    if price != mid:
        return TradeSide.BUYER if price > mid else TradeSide.SELLER, SideRule.QUOTE
    if other_price is None:
        return None, None
    return TradeSide.BUYER if price > other_price else TradeSide.SELLER, SideRule.TICK
