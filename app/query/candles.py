"""Read candles of many instruments at once: any kind, a range or the newest N."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Generic, TypeVar

from app.errors import QueryTimeout, RangeTooLarge, TickgraphError
from app.market.adjustment import Closes
from app.market.candle import Session
from app.market.candle_spec import Adjust, CandleSpec
from app.market.grid import Buckets
from app.market.interval import Interval
from app.query.adjustments import InForce
from app.query.answers import Basis
from app.query.asks import Ask, ask_of, basis_of, listed, part_of, widened
from app.query.candle_sql import candles_statement
from app.query.daily_closes import DailyCloses
from app.query.facts import Facts
from app.query.ledger import Marks, marks_of
from app.query.market import Market, Subject
from app.query.shapes import Found, Shape
from app.query.window import Window

T = TypeVar("T")

# A batch that comes between the facts and the rows costs another attempt: some milliseconds.
_ATTEMPTS = 50

# What distributions are held against: the closes of regular sessions, all that there are.
_DAILY = CandleSpec(interval=Interval.parse("1d"), session=Session.REGULAR)
_EVERY = Window(last=1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Generic[T]):
    """One subject's answer and what it was made from."""

    value: T
    basis: Basis


async def read_candles(
    market: Market,
    subjects: Sequence[Subject],
    spec: CandleSpec,
    window: Window,
    shape: Shape[T],
) -> list[Answered[T] | TickgraphError]:
    """Give each subject's candles in a shape, oldest first, or the error that it alone has.

    The number of statements does not depend on the number of subjects: one for each kind of source
    rows (and each venue, where buckets are counted from its opens) where the remembered facts
    hold, and a few more where they do not. Each answer is one state of its instrument: no batch is
    half in it.
    """
    answers: dict[int, Answered[T] | TickgraphError] = {}
    places = list(range(len(subjects)))
    if not places:
        return []
    facts = await market.book.of([each.instrument_id for each in subjects])
    for _ in range(_ATTEMPTS):
        buckets: Mapping[str, Buckets | TickgraphError] = {}
        if not spec.is_plain:
            buckets = await market.calendars.buckets(venue_spans(subjects, facts, places), spec)
        forces = await in_force(market, [subjects[place] for place in places], spec.adjust)
        asks = []
        for place in places:
            subject = subjects[place]
            try:
                ask = ask_of(
                    place,
                    subject,
                    facts[subject.instrument_id],
                    spec,
                    _usable(buckets.get(subject.exchange, spec.interval)),
                    forces.get(subject.instrument_id),
                    window,
                    market.lateness,
                )
            except TickgraphError as error:
                answers[place] = error
                continue
            if ask is None:
                answers[place] = _nothing(subject, shape)
            else:
                asks.append(ask)
        marks = await _answer(market, asks, window, shape, answers)
        outdated = await market.book.outdated(marks, facts)
        places = [place for place in places if subjects[place].instrument_id in outdated]
        if not places:
            return [answers[place] for place in range(len(subjects))]
        facts = await market.book.anew(list(outdated))
    raise QueryTimeout("the data change faster than they can be read: try again")


async def in_force(
    market: Market, subjects: Sequence[Subject], adjust: Adjust
) -> dict[int, InForce]:
    """Give what adjusts each instrument; nothing for NONE.

    What is read with it later may be of another state: compare the marks, as read_candles does.
    """
    if adjust is Adjust.NONE:
        return {}
    by_id = {each.instrument_id: each for each in subjects}
    return await market.adjustments.of(list(by_id), adjust, partial(_closes, market, by_id))


async def _closes(
    market: Market, subjects: Mapping[int, Subject], instrument_ids: Sequence[int]
) -> dict[int, Closes]:
    """Give the daily closes of instruments; those that cannot have any are absent."""
    asked = [subjects[each] for each in instrument_ids]
    answers = await read_candles(market, asked, _DAILY, _EVERY, DailyCloses())
    return {
        subject.instrument_id: answer.value
        for subject, answer in zip(asked, answers, strict=True)
        if not isinstance(answer, TickgraphError)
    }


def venue_spans(
    subjects: Sequence[Subject], facts: Mapping[int, Facts], places: Sequence[int]
) -> dict[str, tuple[datetime, datetime] | None]:
    """Give the time that the rows of each venue's instruments span."""
    spans: dict[str, tuple[datetime, datetime] | None] = {}
    for place in places:
        subject = subjects[place]
        for extent in facts[subject.instrument_id].extents.values():
            known = spans.get(subject.exchange)
            first, last = known or (extent.first_time, extent.last_time)
            spans[subject.exchange] = min(first, extent.first_time), max(last, extent.last_time)
        spans.setdefault(subject.exchange, None)
    return spans


def _usable(buckets: Buckets | TickgraphError) -> Buckets:
    if isinstance(buckets, TickgraphError):
        raise buckets
    return buckets


def _nothing(subject: Subject, shape: Shape[T]) -> Answered[T]:
    basis = Basis(instrument_id=subject.instrument_id, first=None, end=None)
    return Answered(value=shape.read(()).value, basis=basis)


async def _answer(
    market: Market,
    asks: Sequence[Ask],
    window: Window,
    shape: Shape[T],
    answers: dict[int, Answered[T] | TickgraphError],
) -> Marks | None:
    """Fill the answers in; look further back where what was asked for was not found yet.

    Gives the marks of the last statement, or None where none was needed.
    """
    marks = None
    while asks:
        found, marks = await _read(market, asks, window, shape)
        again = []
        for ask in asks:
            answer = found[ask.place]
            answers[ask.place] = _checked(ask, answer, window, market)
            wanted, had = window.last or 0, answer.count
            if window.last is None:
                wanted, had = window.before, answer.before
            if had < wanted and ask.start > ask.earliest:
                again.append(widened(ask, wanted / max(had, 1)))
        asks = again
    return marks


async def _read(
    market: Market, asks: Sequence[Ask], window: Window, shape: Shape[T]
) -> tuple[dict[int, Found[T]], Marks]:
    """Run one statement for each kind of source rows; give the answers by place."""
    limit = market.max_points + 1 + window.before if window.last is None else window.last
    groups: dict[tuple[int, str], list[Ask]] = {}
    for ask in asks:
        venue = ask.subject.exchange if ask.recipe.listed else ""
        groups.setdefault((ask.recipe.bar_minutes, venue), []).append(ask)
    found: dict[int, Found[T]] = {}
    marks = None
    for group in groups.values():
        parts = [part_of(ask) for ask in group]
        grid = listed(group)
        if grid is not None:
            start, end = min(ask.start for ask in group), max(ask.end for ask in group)
            parts[0].starts = grid.between(start, end)
        statement = candles_statement(group[0].recipe, parts, limit, shape)
        rows = await market.reader.fetch(statement.sql, *statement.values)
        marks = marks_of(rows[0])
        for part, own in groupby(rows, key=itemgetter("part")):
            found[group[part - 1].place] = shape.read(list(own))
    assert marks is not None, "asked for nothing"
    return found, marks


def _checked(
    ask: Ask, found: Found[T], window: Window, market: Market
) -> Answered[T] | TickgraphError:
    if found.count - found.before > market.max_points and window.last is None:
        return RangeTooLarge(
            f"{ask.subject.symbol!r} has more than {market.max_points} candles of"
            f" {ask.recipe.interval} in the range: ask for a shorter one or a longer interval",
            max_points=market.max_points,
        )
    full = window.last is not None and found.count == window.last
    return Answered(value=found.value, basis=basis_of(ask, window, found.oldest if full else None))
