"""Candles as JSON text, from memory where nothing has touched them; equal reads run once."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence

from app.errors import TickgraphError
from app.market.candle_spec import CandleSpec
from app.query.answers import Brought, Flight
from app.query.candles import Answered, read_candles
from app.query.market import Market, Subject
from app.query.shapes import Shape
from app.query.window import Window

Shaped = Answered[bytes] | TickgraphError


class About:
    """What is asked about each instrument; hashed once, however many they are."""

    def __init__(self, spec: CandleSpec, window: Window, shape: Shape[bytes]) -> None:
        self.spec, self.window, self.shape = spec, window, shape
        self._hash = hash((spec, window, shape))

    def __hash__(self) -> int:
        """Give the hash."""
        return self._hash

    def __eq__(self, other: object) -> bool:
        """Compare what is asked."""
        if not isinstance(other, About):
            return NotImplemented
        mine = (self.spec, self.window, self.shape)
        return mine == (other.spec, other.window, other.shape)


Key = tuple[int, About]


async def cached_candles(
    market: Market,
    subjects: Sequence[Subject],
    spec: CandleSpec,
    window: Window,
    shape: Shape[bytes],
) -> list[Shaped]:
    """Give what read_candles gives, as text; see there.

    What a flight brings that took off before this call may be older than the call: it is confirmed
    as a kept answer is. One that took off later is as good as a read of our own. A failure is
    shared where the whole question was the same; part of a larger one is tried once more.
    """
    cache, about = market.fragments, About(spec, window, shape)
    asked: dict[Key, Subject] = {(each.instrument_id, about): each for each in subjects}
    found: dict[Key, Shaped] = {}
    flights: dict[Key, Flight] = {}
    waiting = list(asked)
    for attempt in itertools.count():
        confirmed = await market.ledger.confirm(frozenset(key[0] for key in waiting))
        landed, flights, mine = flights, {}, []
        for key in waiting:
            answer, flight = None, landed.get(key)
            if flight is not None:
                later = attempt > 1
                own = later or flight.keys == list(asked)
                holds = later or (confirmed and cache.untouched([key[0]], flight.stamp))
                answer = _brought(flight, key, own=own, holds=holds)
            kept = cache.peek(key) if answer is None and confirmed else None
            if kept is not None:
                answer = Answered(value=kept.body, basis=kept.bases[0])
            flight = cache.flight(key)
            if answer is not None:
                found[key] = answer
            elif flight is not None:
                flights[key] = flight
            else:
                mine.append(key)
        if mine:
            found |= await _fly(market, {key: asked[key] for key in mine}, about)
        for flight in flights.values():
            await asyncio.shield(flight.landed)
        waiting = list(flights)
        if not waiting:
            break
    return [found[each.instrument_id, about] for each in subjects]


def _brought(flight: Flight, key: Key, *, own: bool, holds: bool) -> Shaped | None:
    """Give what a flight has brought for a key, if it `holds`; raise its failure as one's `own`."""
    brought = flight.landed.result()
    if isinstance(brought, TickgraphError):
        if own:
            raise brought
        return None
    answer: Shaped | None = brought[key] if brought is not None and holds else None
    return answer


async def _fly(market: Market, asked: Mapping[Key, Subject], about: About) -> dict[Key, Shaped]:
    """Read, for all who wait, and keep."""
    flight = market.fragments.take_off(list(asked))
    brought: Brought = None
    try:
        read = await read_candles(
            market, list(asked.values()), about.spec, about.window, about.shape
        )
        answers = dict(zip(asked, read, strict=True))
        for key, each in answers.items():
            if isinstance(each, Answered):
                market.fragments.keep(key, each.value, (each.basis,), flight.stamp)
        brought = answers
    except TickgraphError as error:
        brought = error
        raise
    finally:
        market.fragments.land(flight, brought)
    return answers
