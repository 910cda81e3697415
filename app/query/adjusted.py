"""Prices and trades as corporate actions adjust them, and the actions themselves."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from app.errors import QueryTimeout
from app.market.adjustment import Effect, factors_of, times
from app.market.candle import LatestPrice
from app.market.candle_spec import Adjust
from app.market.interval import midnight
from app.query.adjustments import InForce
from app.query.candles import in_force
from app.query.latest import read_latest
from app.query.market import Market, Subject
from app.query.trade_shapes import TradeRows, Trades
from app.query.trades import TradePage, read_trades

T = TypeVar("T")
_ATTEMPTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRange:
    """Which actions: with ex dates in [start, end), and what they adjust for."""

    start: datetime | None
    end: datetime | None
    adjust: Adjust


async def untorn(
    market: Market, subjects: Sequence[Subject], read: Callable[[], Awaitable[T]]
) -> T:
    """Give what several statements read, of a state that no batch has changed between them."""
    ids = list({each.instrument_id for each in subjects})
    for _ in range(_ATTEMPTS):
        facts = await market.book.of(ids)
        found = await read()
        if not await market.book.outdated(None, facts):
            return found
    raise QueryTimeout("the data change faster than they can be read: try again")


async def read_actions(
    market: Market, subjects: Sequence[Subject], wanted: ActionRange
) -> list[list[Effect]]:
    """Give each instrument's actions and what they do, in the order of ex dates."""
    forces = await untorn(market, subjects, lambda: in_force(market, subjects, wanted.adjust))
    return [
        [
            each
            for each in forces[subject.instrument_id].effects
            if (wanted.start is None or midnight(each.action.ex_date) >= wanted.start)
            and (wanted.end is None or midnight(each.action.ex_date) < wanted.end)
        ]
        for subject in subjects
    ]


async def read_adjusted_latest(
    market: Market, subjects: Sequence[Subject], adjust: Adjust
) -> list[LatestPrice | None]:
    """Give the newest price of each instrument; None for those without rows."""

    async def read() -> tuple[dict[int, InForce], dict[int, LatestPrice]]:
        forces = await in_force(market, subjects, adjust)
        return forces, await read_latest(market.reader, [each.instrument_id for each in subjects])

    forces, found = await untorn(market, subjects, read)
    return [
        None
        if each.instrument_id not in found
        else _adjusted_price(found[each.instrument_id], forces.get(each.instrument_id))
        for each in subjects
    ]


async def read_adjusted_trades(
    market: Market, subjects: Sequence[Subject], page: TradePage, adjust: Adjust
) -> list[Trades]:
    """Give each instrument's page of trades."""

    async def read() -> tuple[dict[int, InForce], list[Trades]]:
        forces = await in_force(market, subjects, adjust)
        ids = [each.instrument_id for each in subjects]
        return forces, await read_trades(market, ids, page, TradeRows())

    forces, pages = await untorn(market, subjects, read)
    return [
        _adjusted_trades(found, forces.get(each.instrument_id))
        for each, found in zip(subjects, pages, strict=True)
    ]


def _adjusted_price(latest: LatestPrice, force: InForce | None) -> LatestPrice:
    if force is None or not force.ranges:
        return latest
    price_factor, volume_factor = factors_of(force.ranges, latest.trading_date)
    return replace(
        latest, price=times(latest.price, price_factor), size=times(latest.size, volume_factor)
    )


def _adjusted_trades(found: Trades, force: InForce | None) -> Trades:
    if force is None or not force.ranges:
        return found
    trades = []
    for each in found.trades:
        price_factor, volume_factor = factors_of(force.ranges, each.trading_date)
        price, size = times(each.price, price_factor), times(each.size, volume_factor)
        trades.append(replace(each, price=price, size=size))
    return Trades(trades=trades, has_next=found.has_next)
