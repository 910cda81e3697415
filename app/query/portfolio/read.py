"""Read what a portfolio takes, in a fixed number of statements, and sum it up."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from app.errors import (
    BadInput,
    BadRange,
    QueryTimeout,
    RangeTooLarge,
    TickgraphError,
    UnknownSymbol,
)
from app.market.adjustment import Adjustment
from app.market.candle_spec import CandleSpec
from app.market.grid import micros, moment_of
from app.market.instrument import Instrument
from app.query.cached_candles import cached_candles
from app.query.candles import in_force
from app.query.market import Market, Subject
from app.query.portfolio.books import Known
from app.query.portfolio.closes import Closes, Prices, prices_of
from app.query.portfolio.currencies import Route, candidates, route
from app.query.portfolio.found import Portfolio
from app.query.portfolio.placement import Placed, placed
from app.query.portfolio.summing import portfolio_of
from app.query.portfolio.terms import Asked
from app.query.window import Window

MAX_VALUES = 2_000_000  # closes of all instruments together: 23 bytes each

# Corporate actions that come in between the factors and the prices: another attempt.
_ATTEMPTS = 10


async def read_portfolio(market: Market, asked: Asked, max_symbols: int) -> Portfolio:
    """Give a portfolio's value over time, its holdings and what it has earned.

    The number of statements does not depend on what is held: one for the instruments, one for
    those that convert currencies, and those of one read of candles; one more for what has no
    candle in the range.

    Raises:
        UnknownSymbol: a symbol is not known, or a currency cannot be converted.
        NoData: there is nothing in the range, or a price or rate is not known where it is needed.
        BadInput: a position is given twice, or a price is below 0 where none can be.
        BadRange: all transactions are behind the range.
        RangeTooLarge: there are too many symbols, or too many buckets.
    """
    instruments = await _instruments(market, asked, max_symbols)
    routes = await _routes(market, asked, instruments)
    places = await asyncio.to_thread(placed, asked.terms, instruments, asked.spec.interval)
    if asked.end is not None:
        places = [each for each in places if each.bucket < micros(asked.end)]
    if not places and not asked.positions:
        raise BadRange(f"no transaction is before `to` {asked.end and asked.end.isoformat()}")
    held = _held(asked, instruments, places)
    start = _read_from(asked, places, routes)
    every = {each.instrument_id: each for each in instruments.values()}
    for own in routes.values():
        every |= {leg.instrument.instrument_id: leg.instrument for leg in own.legs}
    for _ in range(_ATTEMPTS):
        ranges = await _ranges(market, asked, every.values())
        prices = await _prices(market, list(every.values()), asked, start)
        if await _ranges(market, asked, every.values()) == ranges:
            break
    else:
        raise QueryTimeout("the data change faster than they can be read: try again")
    known = Known(
        asked=asked,
        instruments=instruments,
        held=held,
        routes=routes,
        prices=prices,
        ranges=ranges,
        placed=places,
        max_points=market.max_points,
    )
    return await asyncio.to_thread(portfolio_of, known)


async def _instruments(market: Market, asked: Asked, max_symbols: int) -> dict[str, Instrument]:
    symbols = asked.symbols
    if len(symbols) > max_symbols:
        raise RangeTooLarge(
            f"{len(symbols)} symbols: at most {max_symbols} can be asked for at once"
        )
    found = await market.instruments.by_symbols(symbols)
    unknown = [each for each in symbols if each not in found]
    if unknown:
        named = ", ".join(map(repr, unknown[:10]))
        raise UnknownSymbol(f"no instrument has the symbol {named}")
    return found


def _held(
    asked: Asked, instruments: Mapping[str, Instrument], places: Sequence[Placed]
) -> tuple[Instrument, ...]:
    by_id: dict[int, Instrument] = {}
    for number, position in enumerate(asked.positions):
        own = instruments[position.symbol]
        if own.instrument_id in by_id:
            raise BadInput(
                f"positions[{number}]: {position.symbol!r} is {own.symbol!r}, which comes before:"
                " give it once"
            )
        by_id[own.instrument_id] = own
    traded = [each.instrument for each in places if each.instrument is not None]
    return tuple((by_id | {each.instrument_id: each for each in traded}).values())


async def _routes(
    market: Market, asked: Asked, instruments: Mapping[str, Instrument]
) -> dict[str, Route]:
    """Find the way from each currency that is used to the portfolio's."""
    currencies = {each.currency for each in instruments.values()} | {asked.currency}
    currencies |= {term.currency for term in asked.terms if term.currency is not None}
    wanted = candidates(sorted(currencies), asked.currency)
    found = await market.instruments.by_symbols(wanted) if wanted else {}
    return {each: route(each, asked.currency, found) for each in currencies}


def _read_from(asked: Asked, places: Sequence[Placed], routes: Mapping[str, Route]) -> datetime:
    """Give the first bucket whose prices matter: that of the range, or of a rate before it."""
    start = asked.start or moment_of(places[0].bucket)
    for each in places:
        own = asked.currency if each.instrument is None else each.instrument.currency
        if routes[each.term.currency or own].legs:
            return min(start, moment_of(each.bucket))
    return start


async def _ranges(
    market: Market, asked: Asked, instruments: Iterable[Instrument]
) -> Mapping[int, Sequence[Adjustment]]:
    """Give the adjustments of the instruments that have any."""
    forces = await in_force(market, [_subject(each) for each in instruments], asked.spec.adjust)
    return {instrument_id: each.ranges for instrument_id, each in forces.items() if each.ranges}


async def _prices(
    market: Market, instruments: Sequence[Instrument], asked: Asked, start: datetime
) -> dict[int, Prices]:
    """Read closes from the last one before `start`; of what ended earlier, its last one."""
    most = min(market.max_points, MAX_VALUES // max(len(instruments), 1))
    bounded = replace(market, max_points=most)
    window = Window(start=start, end=asked.end, before=1)
    read = await _closes(bounded, instruments, asked.spec, window)
    ended = [each for each in instruments if not len(read[each.instrument_id].times)]
    if ended:
        read |= await _closes(bounded, ended, asked.spec, Window(last=1, end=start))
    return read


async def _closes(
    market: Market, instruments: Sequence[Instrument], spec: CandleSpec, window: Window
) -> dict[int, Prices]:
    answers = await cached_candles(
        market,
        [_subject(each) for each in instruments],
        spec,
        window,
        Closes(most=market.max_points, since=window.start),
    )
    found = {}
    for each, answer in zip(instruments, answers, strict=True):
        if isinstance(answer, TickgraphError):
            raise answer
        found[each.instrument_id] = prices_of(answer.value)
    return found


def _subject(instrument: Instrument) -> Subject:
    return Subject(
        instrument_id=instrument.instrument_id,
        symbol=instrument.symbol,
        exchange=instrument.exchange,
    )
