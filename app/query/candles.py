"""Read candles of many instruments at once: any interval, a range or the newest N."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Generic, TypeVar

from app.errors import QueryTimeout, RangeTooLarge, TickgraphError
from app.market.calendar import ALWAYS_OPEN
from app.market.interval import Interval, midnight
from app.query.answers import Basis
from app.query.candle_sql import Part, candles_statement
from app.query.facts import Facts
from app.query.ledger import Marks, marks_of
from app.query.market import Market, Subject
from app.query.plan import DATE_AFTER, DATE_BEFORE, Recipe, read_bounds, recipe, segments
from app.query.shapes import Found, Shape
from app.query.window import Window

T = TypeVar("T")

# A batch that comes between the facts and the rows costs another attempt: some milliseconds.
_ATTEMPTS = 50

DAY_MINUTES = 1440

# The first look back for the newest N is this many times N buckets: markets close. A US equity
# trades 390 of 1,440 minutes on 5 of 7 days.
_SLACK_ALWAYS_OPEN = 1.25
_SLACK_INTRADAY = 5.5
_SLACK_DATED = 1.6
_WIDEN_AT_LEAST, _WIDEN_AT_MOST = 2.0, 16.0


@dataclass(slots=True, kw_only=True)
class _Ask:
    place: int
    subject: Subject
    facts: Facts
    recipe: Recipe
    earliest: datetime  # the first bucket that may hold rows or is asked for
    start: datetime
    end: datetime
    final_before: datetime  # the first bucket whose end the data have not passed for good


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Generic[T]):
    """One subject's answer and what it was made from."""

    value: T
    basis: Basis


async def read_candles(
    market: Market,
    subjects: Sequence[Subject],
    interval: Interval,
    window: Window,
    shape: Shape[T],
) -> list[Answered[T] | TickgraphError]:
    """Give each subject's candles in a shape, oldest first, or the error that it alone has.

    The number of statements does not depend on the number of subjects: one for each kind of source
    rows where the remembered facts hold, and a few more where they do not. Each answer is one state
    of its instrument: no batch is half in it.
    """
    answers: dict[int, Answered[T] | TickgraphError] = {}
    places = list(range(len(subjects)))
    if not places:
        return []
    facts = await market.book.of([each.instrument_id for each in subjects])
    for _ in range(_ATTEMPTS):
        asks = []
        for place in places:
            known = facts[subjects[place].instrument_id]
            try:
                ask = _ask(place, subjects[place], known, interval, window, market.lateness)
            except TickgraphError as error:
                answers[place] = error
                continue
            if ask is None:
                answers[place] = _nothing(subjects[place], shape)
            else:
                asks.append(ask)
        marks = await _answer(market, asks, window, shape, answers)
        outdated = await market.book.outdated(marks, facts)
        places = [place for place in places if subjects[place].instrument_id in outdated]
        if not places:
            return [answers[place] for place in range(len(subjects))]
        facts = await market.book.anew(list(outdated))
    raise QueryTimeout("the data change faster than they can be read: try again")


def _nothing(subject: Subject, shape: Shape[T]) -> Answered[T]:
    basis = Basis(instrument_id=subject.instrument_id, first=None, end=None)
    return Answered(value=shape.read(()).value, basis=basis)


def _ask(
    place: int,
    subject: Subject,
    facts: Facts,
    interval: Interval,
    window: Window,
    lateness: timedelta,
) -> _Ask | None:
    """Bound the question by the rows that exist; None where it asks beside them.

    Raises:
        BadInterval: the instrument's bars cannot give the interval.
    """
    made = recipe(subject.symbol, facts.candle_source, list(facts.extents), interval)
    if made is None or window.last == 0:
        return None
    extent = facts.extents[made.bar_minutes]
    if interval.is_dated:
        first, last = midnight(extent.first_trading_date), midnight(extent.last_trading_date)
    else:
        first, last = extent.first_time, extent.last_time
    earliest, end = interval.floor(first), interval.next(interval.floor(last))
    if window.start is not None:
        earliest = max(earliest, interval.ceil(window.start))
    if window.end is not None:
        end = min(end, interval.ceil(window.end))
    if earliest >= end:
        return None
    start = earliest
    if window.last is not None:
        slack = _SLACK_DATED if interval.is_dated else _SLACK_INTRADAY
        if subject.exchange == ALWAYS_OPEN:
            slack = _SLACK_ALWAYS_OPEN
        back = interval.width * (window.last * slack + 1)
        start = _back(interval, end, back, earliest)
    return _Ask(
        place=place,
        subject=subject,
        facts=facts,
        recipe=made,
        earliest=earliest,
        start=start,
        end=end,
        final_before=_final_before(made, facts, lateness),
    )


def _final_before(made: Recipe, facts: Facts, lateness: timedelta) -> datetime:
    passed = facts.watermark(made.bar_minutes) - lateness
    if made.interval.is_dated:
        passed = min(passed, midnight(facts.extents[made.bar_minutes].last_trading_date))
    return made.interval.floor(passed)


async def _answer(
    market: Market,
    asks: Sequence[_Ask],
    window: Window,
    shape: Shape[T],
    answers: dict[int, Answered[T] | TickgraphError],
) -> Marks | None:
    """Fill the answers in; look further back where the newest N were not found yet.

    Gives the marks of the last statement, or None where none was needed.
    """
    marks = None
    while asks:
        found, marks = await _read(market, asks, window, shape)
        again = []
        for ask in asks:
            answer = found[ask.place]
            answers[ask.place] = _checked(ask, answer, window, market)
            if window.last is not None and answer.count < window.last and ask.start > ask.earliest:
                again.append(_widened(ask, window.last / max(answer.count, 1)))
        asks = again
    return marks


def _widened(ask: _Ask, wanted_to_found: float) -> _Ask:
    interval = ask.recipe.interval
    by = min(max(wanted_to_found * _SLACK_ALWAYS_OPEN, _WIDEN_AT_LEAST), _WIDEN_AT_MOST)
    back = (ask.end - ask.start) * by
    return replace(ask, start=_back(interval, ask.end, back, ask.earliest))


def _back(interval: Interval, end: datetime, by: timedelta, earliest: datetime) -> datetime:
    return earliest if end - earliest <= by else max(earliest, interval.floor(end - by))


async def _read(
    market: Market, asks: Sequence[_Ask], window: Window, shape: Shape[T]
) -> tuple[dict[int, Found[T]], Marks]:
    """Run one statement for each kind of source rows; give the answers by place."""
    limit = market.max_points + 1 if window.last is None else window.last
    groups: dict[int, list[_Ask]] = {}
    for ask in asks:
        groups.setdefault(ask.recipe.bar_minutes, []).append(ask)
    found: dict[int, Found[T]] = {}
    marks = None
    for group in groups.values():
        parts = [_part(ask) for ask in group]
        statement = candles_statement(group[0].recipe, parts, limit, shape)
        rows = await market.reader.fetch(statement.sql, *statement.values)
        marks = marks_of(rows[0])
        for part, own in groupby(rows, key=itemgetter("part")):
            found[group[part - 1].place] = shape.read(list(own))
    assert marks is not None, "asked for nothing"
    return found, marks


def _part(ask: _Ask) -> Part:
    start, end = read_bounds(ask.recipe.interval, ask.start, ask.end)
    stale = ask.facts.stale(ask.recipe.source)
    return Part(
        instrument_id=ask.subject.instrument_id,
        segments=segments(ask.recipe.levels, start, end, stale),
        first_date=ask.start.date(),
        end_date=ask.end.date(),
        final_before=ask.final_before,
    )


def _checked(
    ask: _Ask, found: Found[T], window: Window, market: Market
) -> Answered[T] | TickgraphError:
    if found.count > market.max_points:
        return RangeTooLarge(
            f"{ask.subject.symbol!r} has more than {market.max_points} candles of"
            f" {ask.recipe.interval} in the range: ask for a shorter one or a longer interval",
            max_points=market.max_points,
        )
    return Answered(value=found.value, basis=_basis(ask, found, window))


def _basis(ask: _Ask, found: Found[T], window: Window) -> Basis:
    """Say what rows would change the answer: none outside the basis would."""
    interval = ask.recipe.interval
    first = None if window.start is None else interval.floor(window.start)
    if window.last is not None and found.count == window.last:
        first = found.oldest
    # A candle that is not final yet becomes so by any later row.
    end = window.end if window.end and ask.end <= ask.final_before else None
    before, after = timedelta(), timedelta()
    exact = ask.subject.exchange == ALWAYS_OPEN or ask.recipe.bar_minutes == DAY_MINUTES
    if interval.is_dated and not exact:
        before, after = DATE_BEFORE, DATE_AFTER
    return Basis(
        instrument_id=ask.subject.instrument_id,
        first=None if first is None else first - before,
        end=None if end is None else interval.ceil(end) + after,
    )
