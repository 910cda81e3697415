"""Ask venues' calendars beside the event loop: many years of one take a quarter of a second."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

from app.errors import BadInput, TickgraphError
from app.market.instrument import Exchange
from app.market.schedule import exchange_of
from app.market.trading_hours import (
    Openings,
    TradingSession,
    check_dates,
    openings_of,
    schedule_around,
    sessions_of,
)
from app.storage import instruments
from app.storage.reader import Reader

T = TypeVar("T")

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Dates of a venue within [first, end)."""

    exchange: Exchange
    first: date
    end: date


async def find_exchange(reader: Reader, mic: str) -> Exchange | None:
    """Give a venue that is stored, or that exchange-calendars knows by its MIC."""
    stored = await instruments.exchanges(reader, [mic])
    if mic in stored:
        return stored[mic]
    try:
        return await asyncio.to_thread(exchange_of, mic)
    except BadInput:
        return None


async def read_openings(asked: Sequence[Days]) -> list[Openings | TickgraphError]:
    """Give the times of trading in the decades around some days, or the error of each.

    The days may be far from what the calendar knows: BadRange.
    """

    def made(days: Days) -> Openings:
        return openings_of(schedule_around(days.exchange, days.first, days.end - _DAY))

    return await asyncio.to_thread(_each, made, asked)


async def read_sessions(
    asked: Sequence[Days], max_points: int
) -> list[list[TradingSession] | TickgraphError]:
    """Give the trading dates within some days, in order, or the error of each (check_dates)."""

    def made(days: Days) -> list[TradingSession]:
        check_dates(days.exchange, days.first, days.end, max_points)
        if days.first == days.end:
            return []
        schedule = schedule_around(days.exchange, days.first, days.end - _DAY)
        return sessions_of(schedule, days.first, days.end)

    return await asyncio.to_thread(_each, made, asked)


def _each(made: Callable[[Days], T], asked: Sequence[Days]) -> list[T | TickgraphError]:
    found: list[T | TickgraphError] = []
    for days in asked:
        try:
            found.append(made(days))
        except TickgraphError as error:
            found.append(error)
    return found
