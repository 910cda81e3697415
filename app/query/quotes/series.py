"""Quotes in buckets, column by column: prices of both sides, the mid, and the spread."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.errors import RangeTooLarge, TickgraphError
from app.market.candle_spec import CandleSpec
from app.market.grid import Buckets, Grid, Micros, micros, moment_of
from app.market.interval import Unit
from app.market.schedule import ALWAYS_OPEN
from app.query.looks import WIDEN
from app.query.market import Market, Subject
from app.query.quotes.pieces import Pieces, day_before, pieces_of
from app.query.quotes.rows import FIRST_LOOK
from app.query.quotes.series_sql import COLUMNS, Cut, Layout, series_statement
from app.query.quotes.spans import TICK, Span, read_spans
from app.query.window import Window
from app.storage.reader import Row

# The first look back for the newest N is this many times N buckets: markets close.
_SLACK, _SLACK_ALWAYS_OPEN = 4.0, 1.25
# A quote on a closed day belongs to a trading date up to ten days later.
_DATES_AFTER = timedelta(days=11)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteColumns:
    """Equal-length columns, oldest first; times in ms since 1970 UTC, None for what is missing."""

    time: list[int]
    bid: list[float | None]
    ask: list[float | None]
    open: list[float | None]
    high: list[float | None]
    low: list[float | None]
    close: list[float | None]
    mean_spread: list[float | None]
    time_weighted_spread: list[float | None]
    relative_spread_bps: list[float | None]
    count: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """Buckets from `start` to before `end`; the quote in force before is looked for `back`."""

    place: int
    subject: Subject
    span: Span
    earliest: datetime
    start: datetime
    end: datetime
    back: timedelta = FIRST_LOOK


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Asks of one statement."""

    asks: list[_Ask]
    buckets: Buckets
    pieces: Pieces | None


async def read_quote_series(
    market: Market, subjects: Sequence[Subject], spec: CandleSpec, window: Window
) -> list[QuoteColumns | TickgraphError]:
    """Give each subject's buckets that have quotes, or the error that it alone has.

    One statement for all subjects, or for those of each venue where its calendar makes the buckets;
    more where the quotes lie far apart.
    """
    answers: list[QuoteColumns | TickgraphError] = [_columns(None) for _ in subjects]
    spans = await read_spans(market.reader, [each.instrument_id for each in subjects])
    venues: dict[str, list[tuple[int, Subject, Span]]] = {}
    for place, subject in enumerate(subjects):
        if subject.instrument_id in spans and window.last != 0:
            found = (place, subject, spans[subject.instrument_id])
            venues.setdefault(subject.exchange, []).append(found)
    groups: dict[str, _Group] = {}
    for mic, members in venues.items():
        first = min(span.first for _, _, span in members)
        last = max(span.end for _, _, span in members)
        buckets = (await market.calendars.buckets({mic: (first, last)}, spec))[mic]
        if isinstance(buckets, TickgraphError):
            for place, _, _ in members:
                answers[place] = buckets
            continue
        pieces = await asyncio.to_thread(pieces_of, mic, spec, first, last)
        asks = [
            _ask(place, subject, span, spec, buckets, window) for place, subject, span in members
        ]
        alone = mic if pieces is not None or isinstance(buckets, Grid) else ""
        group = groups.setdefault(alone, _Group(asks=[], buckets=buckets, pieces=pieces))
        group.asks.extend(ask for ask in asks if ask.start < ask.end)
    for group in groups.values():
        await _answer(market, group, spec, window, answers)
    return answers


def _ask(
    place: int, subject: Subject, span: Span, spec: CandleSpec, buckets: Buckets, window: Window
) -> _Ask:
    """Bound the question by the quotes that there are."""
    first, last = span.first, span.end - TICK
    if spec.is_dated:
        first, last = day_before(first), last + _DATES_AFTER
    earliest, end = buckets.floor(first), buckets.next(buckets.floor(last))
    if window.start is not None:
        earliest = max(earliest, buckets.ceil(window.start))
    if window.end is not None:
        end = min(end, buckets.ceil(window.end))
    start = earliest
    if window.last is not None:
        slack = _SLACK_ALWAYS_OPEN if subject.exchange == ALWAYS_OPEN else _SLACK
        count = window.last * slack + 1
        # Compared as numbers: so many buckets may be longer than any time is.
        if (end - earliest) / buckets.width > count:
            padding = last - span.end if spec.is_dated else timedelta()
            start = _back(buckets, end, buckets.width * count + padding, earliest)
    return _Ask(
        place=place, subject=subject, span=span, earliest=earliest, start=start, end=end
    )  # fmt: skip


def _back(buckets: Buckets, end: datetime, by: timedelta, earliest: datetime) -> datetime:
    return earliest if end - earliest <= by else max(earliest, buckets.floor(end - by))


async def _answer(
    market: Market,
    group: _Group,
    spec: CandleSpec,
    window: Window,
    answers: list[QuoteColumns | TickgraphError],
) -> None:
    """Fill the answers in; look further back for buckets and quotes that were not found yet."""
    asks = group.asks
    limit = market.max_points + 1 if window.last is None else window.last
    while asks:
        bounded = [
            (ask, bounds)
            for ask in asks
            if (bounds := _bounds(ask, spec, group.pieces)) is not None
        ]
        rows = await _read(market, group, spec, limit, bounded) if bounded else []
        found = {ask.place: row for row, (ask, _) in zip(rows, bounded, strict=True)}
        starts = {ask.place: start for ask, (start, _) in bounded}
        again = []
        for ask in asks:
            row = found.get(ask.place)
            columns = _columns(row)
            answers[ask.place] = columns
            count = len(columns.time)
            if window.last is None and count > market.max_points:
                answers[ask.place] = _too_large(ask.subject, spec, market.max_points)
            elif window.last is not None and count < window.last and ask.start > ask.earliest:
                reach = (ask.end - ask.start) * WIDEN
                start = _back(group.buckets, ask.end, reach, ask.earliest)
                again.append(replace(ask, start=start))
            elif count and _before_unknown(ask, row, starts[ask.place]):
                again.append(replace(ask, back=ask.back * WIDEN))
        asks = again


def _before_unknown(ask: _Ask, row: Row | None, start: datetime) -> bool:
    """Tell whether a quote in force before the first bucket may lie further back."""
    found = row is not None and row["has_before"]
    return not found and start - ask.span.first > ask.back


def _bounds(ask: _Ask, spec: CandleSpec, pieces: Pieces | None) -> tuple[datetime, datetime] | None:
    """Give the time of the quotes that the buckets are made of, if there is any."""
    start, end = ask.start, ask.end
    if spec.is_dated and pieces is not None:
        dated = pieces.bounds(start, end)
        if dated is None:
            return None
        start, end = dated
    start, end = max(start, ask.span.first), min(end, ask.span.end)
    return (start, end) if start < end else None


async def _read(
    market: Market,
    group: _Group,
    spec: CandleSpec,
    limit: int,
    bounded: Sequence[tuple[_Ask, tuple[datetime, datetime]]],
) -> list[Row]:
    """Run the statement; one row an ask, in their order."""
    starts, ends = zip(*(bounds for _, bounds in bounded), strict=True)
    looks = [start - min(ask.back, start - ask.span.first) for ask, (start, _) in bounded]
    first, end = min(starts), max(ends)
    interval, buckets = spec.interval, group.buckets
    cut = Cut.MONTHS if interval.unit is Unit.MONTH else Cut.DAYS
    values: list[object] = [interval.count]
    if not spec.is_dated:
        cut = Cut.CLOCK
        if isinstance(buckets, Grid):
            cut = Cut.LISTED
            listed = slice(
                max(int(buckets.starts.searchsorted(micros(first), side="right")) - 1, 0),
                int(buckets.starts.searchsorted(micros(end), side="left")),
            )
            values = [_moments(buckets.starts[listed]), _moments(buckets.ends[listed])]
    if group.pieces is not None:
        pieces = group.pieces.between(first, end)
        values += [_moments(pieces.starts), _moments(pieces.ends)]
    return await market.reader.fetch(
        series_statement(Layout(cut=cut, pieces=group.pieces is not None)),
        first,
        end,
        min(looks),
        limit,
        [ask.subject.instrument_id for ask, _ in bounded],
        starts,
        ends,
        looks,
        [ask.start.date() for ask, _ in bounded],
        [ask.end.date() for ask, _ in bounded],
        None if spec.session is None else int(spec.session),
        *values,
    )


def _moments(times: Micros) -> list[datetime]:
    return [moment_of(at) for at in times.tolist()]


def _columns(row: Row | None) -> QuoteColumns:
    if row is None or row["time"] is None:
        return QuoteColumns(**{name: [] for name in COLUMNS})
    times = [micros(time) // 1000 for time in row["time"]]
    return QuoteColumns(time=times, **{name: row[name] for name in COLUMNS[1:]})


def _too_large(subject: Subject, spec: CandleSpec, max_points: int) -> RangeTooLarge:
    return RangeTooLarge(
        f"{subject.symbol!r} has more than {max_points} buckets of {spec.interval} with quotes in"
        " the range: ask for a shorter one or a longer interval",
        max_points=max_points,
    )
