"""Candles as JSON text, from memory where nothing has touched them; equal reads run once."""

import asyncio
from collections.abc import Sequence

from app.errors import TickgraphError
from app.market.interval import Interval
from app.query.candles import Answered, read_candles
from app.query.market import Market, Subject
from app.query.shapes import JsonColumns, JsonRows
from app.query.window import Window

Shaped = Answered[bytes] | TickgraphError


async def cached_candles(
    market: Market,
    subjects: Sequence[Subject],
    interval: Interval,
    window: Window,
    shape: JsonRows | JsonColumns,
) -> list[Shaped]:
    """Give what read_candles gives, as text; see there."""
    cache = market.fragments
    keys = [(subject.instrument_id, interval, window, shape) for subject in subjects]
    found: dict[int, Shaped] = {}
    waiting = list(range(len(subjects)))
    confirmed = await market.ledger.confirm(frozenset(each.instrument_id for each in subjects))
    while waiting:
        mine, others = [], []
        for place in waiting:
            answer = cache.peek(keys[place]) if confirmed else None
            if answer is not None:
                found[place] = Answered(value=answer.body, basis=answer.bases[0])
            elif cache.flight(keys[place]) is not None:
                others.append(place)
            else:
                cache.take_off(keys[place])
                mine.append(place)
        if mine:
            stamp = cache.stamp()
            try:
                read = await read_candles(
                    market, [subjects[place] for place in mine], interval, window, shape
                )
                for place, each in zip(mine, read, strict=True):
                    found[place] = each
                    if isinstance(each, Answered):
                        cache.keep(keys[place], each.value, (each.basis,), stamp)
            finally:
                for place in mine:
                    cache.land(keys[place])
        flights = [cache.flight(keys[place]) for place in others]
        await asyncio.gather(*(asyncio.shield(flight) for flight in flights if flight is not None))
        waiting = others
        # What others made may be older than this call: it must be confirmed like any answer.
        if waiting:
            confirmed = await market.ledger.confirm(
                frozenset(subjects[place].instrument_id for place in waiting)
            )
    return [found[place] for place in range(len(subjects))]
