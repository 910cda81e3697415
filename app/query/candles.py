"""Read candles of many instruments at once: any interval, a range or the newest N."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.errors import RangeTooLarge, TickgraphError
from app.market.calendar import ALWAYS_OPEN
from app.market.candle import Candle
from app.market.interval import Interval, midnight
from app.query.candle_sql import Part, candles_statement
from app.query.facts import Facts, facts_of
from app.query.plan import Recipe, read_bounds, recipe, segments
from app.query.window import Window
from app.storage.reader import Reader, Row

# The first look back for the newest N is this many times N buckets: markets close. A US equity
# trades 390 of 1,440 minutes on 5 of 7 days.
_SLACK_ALWAYS_OPEN = 1.25
_SLACK_INTRADAY = 5.5
_SLACK_DATED = 1.6
_WIDEN_AT_LEAST, _WIDEN_AT_MOST = 2.0, 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleLimits:
    """What the server allows and promises, from the settings."""

    max_points: int
    lateness: timedelta
    continuous: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The instrument asked about."""

    instrument_id: int
    symbol: str
    exchange: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    place: int
    subject: Subject
    facts: Facts
    recipe: Recipe
    earliest: datetime  # the first bucket that may hold rows or is asked for
    start: datetime
    end: datetime


async def read_candles(
    reader: Reader,
    subjects: Sequence[Subject],
    interval: Interval,
    window: Window,
    limits: CandleLimits,
) -> list[list[Candle] | TickgraphError]:
    """Give each subject's candles, oldest first, or the error that it alone has.

    The number of statements does not depend on the number of subjects.
    """
    answers: list[list[Candle] | TickgraphError] = [[] for _ in subjects]
    if window.last == 0:
        return answers
    known = await facts_of(
        reader, [subject.instrument_id for subject in subjects], continuous=limits.continuous
    )
    asks: list[_Ask] = []
    for place, subject in enumerate(subjects):
        facts = known[subject.instrument_id]
        try:
            made = recipe(subject.symbol, facts.candle_source, list(facts.extents), interval)
        except TickgraphError as error:
            answers[place] = error
            continue
        ask = None if made is None else _ask(place, subject, facts, made, window)
        if ask is not None:
            asks.append(ask)
    while asks:
        found = await _read(reader, asks, window, limits)
        again = []
        for ask in asks:
            candles = found[ask.place]
            answers[ask.place] = _checked(ask, candles, limits.max_points)
            if window.last is not None and len(candles) < window.last and ask.start > ask.earliest:
                again.append(_widened(ask, window.last / max(len(candles), 1)))
        asks = again
    return answers


def _ask(place: int, subject: Subject, facts: Facts, made: Recipe, window: Window) -> _Ask | None:
    """Bound the question by the rows that exist; None where it asks beside them."""
    interval, extent = made.interval, facts.extents[made.bar_minutes]
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
    )


def _widened(ask: _Ask, wanted_to_found: float) -> _Ask:
    interval = ask.recipe.interval
    by = min(max(wanted_to_found * _SLACK_ALWAYS_OPEN, _WIDEN_AT_LEAST), _WIDEN_AT_MOST)
    back = (ask.end - ask.start) * by
    return replace(ask, start=_back(interval, ask.end, back, ask.earliest))


def _back(interval: Interval, end: datetime, by: timedelta, earliest: datetime) -> datetime:
    return earliest if end - earliest <= by else max(earliest, interval.floor(end - by))


async def _read(
    reader: Reader, asks: Sequence[_Ask], window: Window, limits: CandleLimits
) -> dict[int, list[Candle]]:
    """Run one statement for each different recipe."""
    limit = limits.max_points + 1 if window.last is None else window.last
    found: dict[int, list[Candle]] = {ask.place: [] for ask in asks}
    recipes: dict[Recipe, list[_Ask]] = {}
    for ask in asks:
        recipes.setdefault(ask.recipe, []).append(ask)
    for made, group in recipes.items():
        statement = candles_statement(made, [_part(ask, limits) for ask in group], limit)
        for row in await reader.fetch(statement.sql, *statement.values):
            found[group[row["part"] - 1].place].append(_candle(row))
    return found


def _part(ask: _Ask, limits: CandleLimits) -> Part:
    interval, minutes = ask.recipe.interval, ask.recipe.bar_minutes
    start, end = read_bounds(interval, ask.start, ask.end)
    passed = ask.facts.watermark(minutes) - limits.lateness
    if interval.is_dated:
        passed = min(passed, midnight(ask.facts.extents[minutes].last_trading_date))
    return Part(
        instrument_id=ask.subject.instrument_id,
        segments=segments(
            ask.recipe.levels, start, end, ask.facts.stale.get(ask.recipe.source, ())
        ),
        first_date=ask.start.date(),
        end_date=ask.end.date(),
        final_before=interval.floor(passed),
    )


def _checked(ask: _Ask, candles: list[Candle], max_points: int) -> list[Candle] | RangeTooLarge:
    if len(candles) <= max_points:
        return candles
    return RangeTooLarge(
        f"{ask.subject.symbol!r} has more than {max_points} candles of {ask.recipe.interval} in the"
        " range: ask for a shorter one or a longer interval",
        max_points=max_points,
    )


def _candle(row: Row) -> Candle:
    return Candle(
        time=row["time"],
        open=row["open"],
        high=row["high"],
        low=row["low"],
        close=row["close"],
        volume=row["volume"],
        vwap=row["vwap"],
        trades=row["trades"],
        revision=row["revision"],
        final=row["final"],
    )
