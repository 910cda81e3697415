"""What coverage is counted from: what a venue expects, and where an instrument's data lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from app.errors import TickgraphError
from app.market.candle_spec import CandleSpec
from app.market.expected_buckets import count_all
from app.market.grid import Buckets, Micros, micros
from app.query.asks import Ask, ask_of
from app.query.candles import Answered
from app.query.coverage.reasons import Had
from app.query.coverage.rows import Rows
from app.query.expected import Stretch, expected_in, spans_of
from app.query.facts import Facts
from app.query.market import Market, Subject
from app.query.packed import Packed
from app.query.window import Window

TIMES = Packed(("time",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which buckets: those of a spec that start within [start, end), none of them after `now`."""

    spec: CandleSpec
    start: datetime
    end: datetime
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Venue:
    """A venue's buckets, those of the range that are expected, and how many there are in all."""

    buckets: Buckets
    expected: Micros
    count: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """Where an instrument's data lie, what its candles are made of, and those of the range."""

    ask: Ask | None
    had: Had


async def venues_of(
    market: Market, everyone: Sequence[Subject], facts: Mapping[int, Facts], asked: Asked
) -> dict[str, Venue | TickgraphError]:
    """Give what is expected at each venue."""
    spans = {
        mic: (
            min(asked.start, span[0]) if span else asked.start,
            max(asked.end, span[1]) if span else asked.end,
        )
        for mic, span in spans_of(everyone, facts).items()
    }
    buckets = await market.calendars.buckets(spans, asked.spec)
    stretches = {
        Stretch(mic=mic, start=asked.start, end=asked.end): own
        for mic, own in buckets.items()
        if not isinstance(own, TickgraphError)
    }
    expected = await expected_in(stretches, asked.spec, market.max_points)
    found: dict[str, Venue | TickgraphError] = {
        mic: own for mic, own in buckets.items() if isinstance(own, TickgraphError)
    }
    for stretch, own in stretches.items():
        starts = expected[stretch]
        if isinstance(starts, TickgraphError):
            found[stretch.mic] = starts
        else:
            count = count_all(own, asked.start, asked.end)
            found[stretch.mic] = Venue(buckets=own, expected=starts, count=count)
    return found


def known_of(
    market: Market,
    subject: Subject,
    facts: Facts,
    asked: Asked,
    venue: Venue | TickgraphError,
    answer: Answered[bytes] | TickgraphError,
) -> Known | TickgraphError:
    """Put together what is known of an instrument; `answer` holds the times of its candles."""
    if isinstance(venue, TickgraphError):
        return venue
    if isinstance(answer, TickgraphError):
        return answer
    try:
        ask = ask_of(0, subject, facts, asked.spec, venue.buckets, None, Window(), market.lateness)
    except TickgraphError as error:
        return error
    times = np.asarray(TIMES.unpack(answer.value)["time"], dtype=np.int64)
    first, end = (None, None) if ask is None else (micros(ask.start), micros(ask.end))
    return Known(ask=ask, had=Had(times=times, first=first, end=end))


def rows_of(subject: Subject, known: Known | TickgraphError) -> Rows | None:
    """Say which rows an instrument's candles are made of; None where there are none."""
    if isinstance(known, TickgraphError) or known.ask is None:
        return None
    recipe = known.ask.recipe
    return Rows(
        instrument_id=subject.instrument_id, source=recipe.source, bar_minutes=recipe.bar_minutes
    )
