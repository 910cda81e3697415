"""Which buckets of an instrument are expected to have trading, as far as its data go."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from app.errors import QueryTimeout, TickgraphError
from app.market.candle_spec import CandleSpec
from app.market.expected_buckets import expected_starts
from app.market.grid import Buckets, Micros
from app.market.interval import midnight
from app.market.schedule import exchange_of, known_dates
from app.market.trading_hours import check_known, schedule_around
from app.query.asks import Ask, ask_of
from app.query.facts import Facts
from app.query.market import Market, Subject
from app.query.window import Window

T = TypeVar("T")

_INSTANT = timedelta(microseconds=1)
_ATTEMPTS = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expectation:
    """The expected bucket starts of an instrument, oldest first, from its first data to its newest.

    Buckets before `final_before` are final.
    """

    starts: Micros
    final_before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a venue's time: buckets that start within [start, end), or the newest `last`."""

    mic: str
    start: datetime
    end: datetime
    last: int | None = None


async def read_beside(
    market: Market,
    subjects: Sequence[Subject],
    spec: CandleSpec,
    window: Window,
    read: Callable[[], Awaitable[T]],
) -> tuple[T, list[Expectation | TickgraphError | None]]:
    """Give what `read` gives of these subjects' candles, and what is expected of each.

    Both are of one state: where data came in between that moved what is expected, both are made
    again. See `expectations`.
    """
    ids = [each.instrument_id for each in subjects]
    facts = await market.book.of(ids)
    for _ in range(_ATTEMPTS):
        expected = await expectations(market, subjects, facts, spec, window)
        answers = await read()
        now = await market.book.of(ids)
        if all(now[each].extents == facts[each].extents for each in ids):
            return answers, expected
        facts = now
    raise QueryTimeout("the data change faster than they can be read: try again")


async def expectations(
    market: Market,
    subjects: Sequence[Subject],
    facts: Mapping[int, Facts],
    spec: CandleSpec,
    window: Window,
) -> list[Expectation | TickgraphError | None]:
    """Give what is expected of each subject in the window, or its own error.

    None where the window lies beside its data. Nothing is expected before the bucket of its first
    data nor behind that of its newest. No statement is run.
    """
    buckets = await market.calendars.buckets(spans_of(subjects, facts), spec)
    found: list[Expectation | TickgraphError | None] = [None] * len(subjects)
    asks: dict[int, Ask] = {}
    for place, subject in enumerate(subjects):
        own = buckets[subject.exchange]
        if isinstance(own, TickgraphError):
            found[place] = own
            continue
        try:
            ask = _bounded(place, subject, facts[subject.instrument_id], spec, own, window, market)
        except TickgraphError as error:
            found[place] = error
            continue
        if ask is not None:
            asks[place] = ask
    stretches = {
        place: Stretch(mic=ask.subject.exchange, start=ask.start, end=ask.end, last=window.last)
        for place, ask in asks.items()
    }
    starts = await expected_in(
        {stretches[place]: ask.buckets for place, ask in asks.items()}, spec, market.max_points
    )
    for place, ask in asks.items():
        own_starts = starts[stretches[place]]
        if isinstance(own_starts, TickgraphError):
            found[place] = own_starts
        else:
            found[place] = Expectation(starts=own_starts, final_before=ask.final_before)
    return found


async def expected_in(
    stretches: Mapping[Stretch, Buckets], spec: CandleSpec, limit: int
) -> dict[Stretch, Micros | TickgraphError]:
    """Give the expected bucket starts of each stretch, made beside the event loop."""
    if not stretches:
        return {}
    return await asyncio.to_thread(
        lambda: {each: _made(each, spec, own, limit) for each, own in stretches.items()}
    )


def _made(
    stretch: Stretch, spec: CandleSpec, buckets: Buckets, limit: int
) -> Micros | TickgraphError:
    try:
        exchange = exchange_of(stretch.mic)
        start, end = stretch.start, stretch.end
        first = midnight(known_dates(exchange)[0])
        # The newest so many may all be known, though the first data are older.
        known = max(start, first) if stretch.last is not None and first < end else start
        starts = expected_starts(
            schedule_around(exchange, known.date(), max(end - _INSTANT, known).date()),
            spec, buckets, known, end, last=stretch.last, limit=limit,
        )  # fmt: skip
        if known > start and len(starts) < (stretch.last or 0):
            check_known(exchange, start.date())
    except TickgraphError as error:
        return error
    return starts


def _bounded(
    place: int,
    subject: Subject,
    facts: Facts,
    spec: CandleSpec,
    buckets: Buckets,
    window: Window,
    market: Market,
) -> Ask | None:
    """Bound the window by the instrument's data."""
    plain = replace(window, before=0, last=None if window.last != 0 else 0)
    return ask_of(place, subject, facts, spec, buckets, None, plain, market.lateness)


def spans_of(
    subjects: Sequence[Subject], facts: Mapping[int, Facts]
) -> dict[str, tuple[datetime, datetime] | None]:
    """Give the time that the rows of each venue's instruments span."""
    spans: dict[str, tuple[datetime, datetime] | None] = {}
    for subject in subjects:
        extents = facts[subject.instrument_id].extents.values()
        known = spans.get(subject.exchange)
        firsts = [each.first_time for each in extents] + ([known[0]] if known else [])
        lasts = [each.last_time for each in extents] + ([known[1]] if known else [])
        spans[subject.exchange] = (min(firsts), max(lasts)) if firsts else None
    return spans
