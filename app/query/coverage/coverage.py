"""How complete an instrument's data are: expected buckets, those with data, and why others lack it.

docs/sessions.md defines each number.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.errors import BadRange, TickgraphError
from app.market.candle_spec import Adjust, CandleSpec
from app.market.expected_buckets import check_expectable
from app.market.grid import Buckets, Micros, micros, moment_of
from app.market.instrument import CandleSource, Instrument
from app.market.interval import midnight
from app.market.schedule import exchange_of
from app.market.trading_hours import open_seconds, openings_of, schedule_around
from app.query.cached_candles import cached_candles
from app.query.coverage.reasons import (
    Gaps,
    MissingReason,
    Witnesses,
    gaps_of,
    present_in,
    witnesses_of,
)
from app.query.coverage.rows import RowQuality, read_peers, read_quality
from app.query.coverage.sources import TIMES, Asked, Known, Venue, known_of, rows_of, venues_of
from app.query.facts import Facts
from app.query.market import Market, Subject
from app.query.window import Window
from app.storage import instruments

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which buckets: those of a spec that start within [start, end); `end` None: until now."""

    spec: CandleSpec
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingRange:
    """Expected buckets in a row without data, from the first one's start to the last one's end."""

    start: datetime
    end: datetime
    buckets: int
    reason: MissingReason


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coverage:
    """Counts of buckets and rows within [start, end), and how far the data go.

    `late` is None where bars of several lengths are stored, which the log does not tell apart.
    """

    start: datetime
    end: datetime
    expected: Micros
    present: int
    unexpected: int
    closed: int
    gaps: Gaps
    buckets: Buckets
    late: int | None
    corrected: int
    cancelled: int
    flagged: int
    watermark: datetime | None
    newest_event_time: datetime | None
    staleness_s: float | None

    @property
    def missing_count(self) -> int:
        """Give the number of expected buckets without data."""
        return len(self.expected) - self.present

    @property
    def completeness(self) -> float | None:
        """Give the share of the expected buckets that have data."""
        return self.present / len(self.expected) if len(self.expected) else None

    def missing(self, first: int) -> list[MissingRange]:
        """Give the oldest so many ranges without data."""
        gaps, expected = self.gaps, self.expected
        return [
            MissingRange(
                start=moment_of(int(expected[gaps.first[place]])),
                end=self.buckets.next(moment_of(int(expected[gaps.last[place]]))),
                buckets=int(gaps.last[place] - gaps.first[place]) + 1,
                reason=gaps.why(place),
            )
            for place in range(min(first, len(gaps)))
        ]


def asked_coverage(spec: CandleSpec, start: datetime, end: datetime | None) -> Question:
    """Check what is asked for.

    Raises:
        BadInput: nothing can be expected of that session.
        BadRange: the range is inside out.
    """
    check_expectable(spec, "`coverage`")
    if end is not None and start > end:
        raise BadRange(f"`from` {start.isoformat()!r} is after `to` {end.isoformat()!r}")
    return Question(spec=replace(spec, adjust=Adjust.NONE), start=start, end=end)


async def read_coverage(
    market: Market, subjects: Sequence[Subject], question: Question, now: datetime
) -> list[Coverage | TickgraphError]:
    """Give each subject's coverage, or its own error. What is still to come is left out.

    The number of statements does not depend on the number of subjects: other instruments of their
    venues, listing dates, facts, candles of all of them, and rows that may be late or changed.
    """
    end = now if question.end is None else min(question.end, now)
    start = question.start
    asked = Asked(spec=question.spec, start=start, end=max(start, end), now=now)
    mics = list(dict.fromkeys(each.exchange for each in subjects))
    peers = await read_peers(market.reader, mics, asked.start, asked.end)
    everyone = list({each.instrument_id: each for each in (*subjects, *peers)}.values())
    facts = await market.book.of([each.instrument_id for each in everyone])
    listings = await instruments.by_ids(market.reader, [each.instrument_id for each in subjects])
    venues = await venues_of(market, everyone, facts, asked)
    window = Window(start=asked.start, end=asked.end)
    answers = await cached_candles(market, everyone, asked.spec, window, TIMES)
    known = {
        subject.instrument_id: known_of(
            market, subject, facts[subject.instrument_id], asked, venues[subject.exchange], answer
        )
        for subject, answer in zip(everyone, answers, strict=True)
    }
    rows = {
        each.instrument_id: own
        for each in subjects
        if (own := rows_of(each, known[each.instrument_id])) is not None
    }
    quality = await read_quality(
        market.reader, list(dict.fromkeys(rows.values())), asked.start, asked.end, market.lateness
    )

    def made() -> list[Coverage | TickgraphError]:
        witnesses = {mic: _witnesses(venues[mic], mic, everyone, known) for mic in mics}
        return [
            _coverage(
                each,
                asked,
                venues[each.exchange],
                witnesses[each.exchange],
                known[each.instrument_id],
                facts[each.instrument_id],
                listings[each.instrument_id],
                quality.get(rows[each.instrument_id]) if each.instrument_id in rows else None,
            )
            for each in subjects
        ]

    return await asyncio.to_thread(made)


def _witnesses(
    venue: Venue | TickgraphError,
    mic: str,
    everyone: Sequence[Subject],
    known: Mapping[int, Known | TickgraphError],
) -> Witnesses | None:
    if isinstance(venue, TickgraphError):
        return None
    own = [known[each.instrument_id] for each in everyone if each.exchange == mic]
    return witnesses_of(venue.expected, [each.had for each in own if isinstance(each, Known)])


def _coverage(
    subject: Subject,
    asked: Asked,
    venue: Venue | TickgraphError,
    witnesses: Witnesses | None,
    known: Known | TickgraphError,
    facts: Facts,
    listing: Instrument,
    quality: RowQuality | None,
) -> Coverage | TickgraphError:
    if isinstance(venue, TickgraphError):
        return venue
    if isinstance(known, TickgraphError):
        return known
    assert witnesses is not None, "the venue has them"
    expected, had, ask = venue.expected, known.had, known.ask
    listed, delisted = listing.listed_on, listing.delisted_on
    gaps = gaps_of(
        expected,
        had,
        witnesses,
        None if listed is None else micros(midnight(listed)),
        None if delisted is None else micros(midnight(delisted) + _DAY),
    )
    present = int(present_in(expected, had.times).sum())
    bars = [minutes for minutes in facts.extents if minutes]
    told = ask is None or ask.recipe.source is CandleSource.TRADES or len(bars) == 1
    watermark = None if ask is None else facts.watermark(ask.recipe.bar_minutes)
    newest = None if ask is None else facts.extents[ask.recipe.bar_minutes].last_time
    counts = quality or RowQuality(late=0, corrected=0, cancelled=0, flagged=0)
    return Coverage(
        start=asked.start,
        end=asked.end,
        expected=expected,
        present=present,
        unexpected=len(had.times) - present,
        closed=venue.count - len(expected),
        gaps=gaps,
        buckets=venue.buckets,
        late=counts.late if told else None,
        corrected=counts.corrected,
        cancelled=counts.cancelled,
        flagged=counts.flagged,
        watermark=watermark,
        newest_event_time=newest,
        staleness_s=_staleness(subject.exchange, watermark, asked.now),
    )


def _staleness(mic: str, watermark: datetime | None, now: datetime) -> float | None:
    """Give the trading time from the watermark until now; None where the calendar ends before."""
    if watermark is None:
        return None
    if watermark >= now:
        return 0.0
    try:
        schedule = schedule_around(exchange_of(mic), watermark.date(), now.date())
    except BadRange:
        return None
    return open_seconds(openings_of(schedule), watermark, now)
