"""Read the closes of many instruments at once, and nothing when there is nothing to measure."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.errors import BadRange, NoData, TickgraphError, UnknownSymbol
from app.market.candle_spec import CandleSpec
from app.market.grid import micros
from app.query.cached_candles import Shaped, cached_candles
from app.query.candles import Answered
from app.query.facts import Extent
from app.query.market import Market, Subject
from app.query.packed import Packed
from app.query.statistics.returns import Values
from app.query.window import Window

CLOSES = ("time", "close")


@dataclass(frozen=True, slots=True)
class FewCloses(Packed):
    """Packed closes of a question that takes at most so many of each instrument.

    Its answer is not that of a question that takes more.
    """

    most: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Closes:
    """An instrument's closes, the first `before` of them older than what was asked for."""

    values: Values
    before: int


async def read_closes(
    market: Market,
    subjects: Sequence[Subject],
    spec: CandleSpec,
    window: Window,
    *,
    before: int = 1,
    most: int | None = None,
) -> list[Closes | TickgraphError]:
    """Give each subject's closes in the window and up to `before` older ones.

    One statement, however many they are, from memory where nothing has touched them. `most` takes
    the place of the market's own limit to the closes of one instrument.

    Raises:
        BadRange: the newest 0 were asked for.
    """
    if window.last == 0:
        raise BadRange("`last` is 0: it must be from 1, the number of returns to measure")
    last = None if window.last is None else window.last + before
    shape = Packed(CLOSES, since=window.start)
    if most is not None and most < market.max_points:
        market = replace(market, max_points=most)
        shape = FewCloses(CLOSES, since=window.start, most=most)
    asked = replace(window, last=last, before=before if window.start is not None else 0)
    answers = await cached_candles(market, subjects, spec, asked, shape)
    found = await asyncio.to_thread(_unpacked, answers, shape, window, before)
    empty = [
        subject.instrument_id
        for subject, closes in zip(subjects, found, strict=True)
        if closes is None
    ]
    facts = await market.book.of(list(dict.fromkeys(empty))) if empty else {}
    return [
        _nothing(subject, spec, window, facts[subject.instrument_id].extents.values())
        if closes is None
        else closes
        for subject, closes in zip(subjects, found, strict=True)
    ]


async def subject_of(market: Market, symbol: str, role: str) -> Subject:
    """Find the instrument that a symbol names now or named last; `role` says what it is for.

    Raises:
        UnknownSymbol: there is none.
    """
    (found,) = await subjects_of(market, [symbol], role)
    return found


async def subjects_of(market: Market, symbols: Sequence[str], role: str) -> list[Subject]:
    """Find the instruments that symbols name, in their order.

    Raises:
        UnknownSymbol: some name none; it lists them.
    """
    found = await market.instruments.by_symbols(symbols)
    unknown = list(dict.fromkeys(symbol for symbol in symbols if symbol not in found))
    if unknown:
        named = ", ".join(repr(symbol) for symbol in unknown)
        raise UnknownSymbol(f"{role} {named}: no instrument has this symbol", symbols=unknown)
    return [
        Subject(
            instrument_id=found[symbol].instrument_id,
            symbol=found[symbol].symbol,
            exchange=found[symbol].exchange,
        )
        for symbol in symbols
    ]


def _unpacked(
    answers: Sequence[Shaped], shape: Packed, window: Window, before: int
) -> list[Closes | TickgraphError | None]:
    """Make arrays; None where nothing is in the window."""
    return [
        _closes(answer, shape, window, before) if isinstance(answer, Answered) else answer
        for answer in answers
    ]


def _closes(answer: Answered[bytes], shape: Packed, window: Window, before: int) -> Closes | None:
    columns = shape.unpack(answer.value)
    time, level = columns["time"].astype(np.int64), columns["close"].astype(np.float64)
    if window.last is not None:
        older = max(len(time) - window.last, 0)
    elif window.start is not None:
        older = int(np.searchsorted(time, micros(window.start)))
    else:
        older = 0
    if older == len(time):
        return None
    first = max(older - before, 0)
    return Closes(values=Values(time=time[first:], level=level[first:]), before=older - first)


def _nothing(
    subject: Subject, spec: CandleSpec, window: Window, extents: Iterable[Extent]
) -> TickgraphError:
    bounds = [(extent.first_time, extent.last_time) for extent in extents]
    if not bounds:
        return NoData(f"{subject.symbol!r} has no data yet", symbol=subject.symbol)
    first, last = min(each[0] for each in bounds), max(each[1] for each in bounds)
    asked = "".join(
        f" {word} {moment.isoformat()}"
        for word, moment in (("from", window.start), ("before", window.end))
        if moment is not None
    )
    return NoData(
        f"{subject.symbol!r} has no candles of {spec.interval}{asked}:"
        f" its data are from {first.isoformat()} to {last.isoformat()}",
        symbol=subject.symbol,
    )
