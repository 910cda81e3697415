"""Say how candles came about: what was read for them, the raw values, the factors applied."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np

from app.errors import TickgraphError
from app.market.adjustment import Effect, factors_of
from app.market.calendar import TradingCalendar
from app.market.candle import Candle
from app.market.candle_spec import Adjust, CandleSpec
from app.market.grid import Buckets, micros
from app.market.instrument import CandleSource
from app.market.interval import Interval
from app.market.schedule import exchange_of
from app.query.adjusted import untorn
from app.query.adjustments import InForce
from app.query.asks import DAY_MINUTES, ask_of, part_of
from app.query.candles import Answered, in_force, read_candles, venue_spans
from app.query.market import Market, Subject
from app.query.plan import Segment, read_bounds
from app.query.shapes import Candles
from app.query.window import Window

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How one candle came about.

    `rollups` are the views that were read for it, coarse to fine; `rows` tells that source rows
    were. The factors are None where its dates have different ones; `factors` are the actions after
    its first date.
    """

    source: CandleSource
    bar_interval: Interval | None
    rollups: list[str]
    rows: bool
    raw: Candle
    price_factor: Decimal | None
    volume_factor: Decimal | None
    factors: list[Effect]


Explained = Mapping[datetime, Explanation]


async def explain_candles(
    market: Market, subjects: Sequence[Subject], spec: CandleSpec, window: Window
) -> list[Explained | TickgraphError]:
    """Explain each subject's candles, by their times, or give the error that it alone has.

    The number of statements depends neither on the subjects nor on the candles.
    """
    plain = replace(spec, adjust=Adjust.NONE)

    async def read() -> list[Explained | TickgraphError]:
        forces = await in_force(market, subjects, spec.adjust)
        answers = await read_candles(market, subjects, plain, window, Candles())
        facts = await market.book.of([each.instrument_id for each in subjects])
        spans = venue_spans(subjects, facts, range(len(subjects)))
        buckets = await market.calendars.buckets(spans, plain)
        explained: list[Explained | TickgraphError] = []
        for place, (subject, answer) in enumerate(zip(subjects, answers, strict=True)):
            own = buckets[subject.exchange]
            if isinstance(answer, TickgraphError):
                explained.append(answer)
                continue
            if isinstance(own, TickgraphError):
                explained.append(own)
                continue
            if not answer.value:
                explained.append({})
                continue
            times = Window(start=answer.value[0].time, end=own.next(answer.value[-1].time))
            ask = ask_of(
                place, subject, facts[subject.instrument_id], plain, own, None, times,
                market.lateness,
            )  # fmt: skip
            assert ask is not None, "there are candles"
            dates = await asyncio.to_thread(
                _dates, subject, plain, own, ask.recipe.bar_minutes, answer
            )
            made = Sourced(
                source=ask.recipe.source,
                bar_minutes=ask.recipe.bar_minutes,
                segments=part_of(ask).segments,
            )
            force = forces.get(subject.instrument_id)
            explained.append(
                {
                    candle.time: _explanation(candle, first, last, plain, own, made, force)
                    for candle, (first, last) in zip(answer.value, dates, strict=True)
                }
            )
        return explained

    return await untorn(market, subjects, read)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourced:
    """What an instrument's candles were read from."""

    source: CandleSource
    bar_minutes: int
    segments: Sequence[Segment]


def _explanation(
    candle: Candle,
    first: date,
    last: date,
    spec: CandleSpec,
    buckets: Buckets,
    made: Sourced,
    force: InForce | None,
) -> Explanation:
    start, end = read_bounds(spec, candle.time, buckets.next(candle.time))
    views = [each.level.view for each in made.segments if each.start < end and each.end > start]
    ranges = () if force is None else force.ranges
    factors, last_factors = factors_of(ranges, first), factors_of(ranges, last)
    same = factors == last_factors
    found = () if force is None else force.effects
    return Explanation(
        source=made.source,
        bar_interval=Interval.of_minutes(made.bar_minutes) if made.bar_minutes else None,
        rollups=list(dict.fromkeys(each for each in views if each is not None)),
        rows=None in views,
        raw=candle,
        price_factor=factors[0] if same else None,
        volume_factor=factors[1] if same else None,
        factors=[each for each in found if each.action.ex_date > first],
    )


def _dates(
    subject: Subject,
    spec: CandleSpec,
    buckets: Buckets,
    bar_minutes: int,
    answer: Answered[list[Candle]],
) -> list[tuple[date, date]]:
    """Give the first and last trading date that each candle can hold rows of."""
    starts = [each.time for each in answer.value]
    lasts = [buckets.next(each) - _MICROSECOND for each in starts]
    if spec.is_dated or bar_minutes == DAY_MINUTES:
        return [(start.date(), last.date()) for start, last in zip(starts, lasts, strict=True)]
    calendar = TradingCalendar(exchange_of(subject.exchange), starts[0].year, lasts[-1].year)
    moments = np.array([micros(each) for each in [*starts, *lasts]], dtype=np.int64)
    days = calendar.place(moments).trading_date
    dates = [date(1970, 1, 1) + _DAY * int(each) for each in days]
    return list(zip(dates[: len(starts)], dates[len(starts) :], strict=True))
