"""One state of the database, and what it has to say to subscribers."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.errors import CursorExpired, TickgraphError
from app.live.events import PRESENT, CandleEvent, Event, Mark, PriceEvent, TradeEvent
from app.live.questions import CandleQuestion, Question, TradeQuestion
from app.market.candle import Candle
from app.market.candle_spec import CandleSpec
from app.market.interval import Interval, midnight
from app.query.candles import read_candles
from app.query.changes import (
    ChangedTrade,
    Price,
    Touch,
    changed_dates,
    changed_trades,
    prices,
    touched,
)
from app.query.market import Market, Subject
from app.query.plan import DATE_AFTER, DATE_BEFORE
from app.query.shapes import Candles
from app.query.window import Window

# What one instrument may have changed since a cursor; more is better asked for anew.
MAX_CHANGES = 5_000
_MAX_TOUCHES = 50_000

Told = list[Event] | TickgraphError


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A snapshot at batch `newest`; `market` reads through it and remembers nothing."""

    market: Market
    newest: int

    def mark(self, instrument_id: int) -> Mark:
        """Give the place behind everything that this state holds of an instrument."""
        return Mark(self.newest, instrument_id, PRESENT)

    async def replay(self, question: Question, after: Mark) -> Told:
        """Give what has changed after a mark, in order."""
        ids = [each.instrument_id for each in question.subjects]
        try:
            changes = await self.changes(ids, after.batch_id - 1)
        except CursorExpired as error:
            return error
        told = (await self.told([question], changes))[question]
        return told if isinstance(told, TickgraphError) else [e for e in told if e.mark > after]

    async def changes(self, instrument_ids: Iterable[int], since: int) -> "Changes":
        """Give what batches after `since` have touched.

        Raises:
            CursorExpired: it is too much.
        """
        found = await touched(self.market.reader, since, instrument_ids, _MAX_TOUCHES + 1)
        if len(found) > _MAX_TOUCHES:
            raise too_much("more has changed since than can be replayed")
        by_id: dict[int, list[Touch]] = defaultdict(list)
        for touch in found:
            by_id[touch.instrument_id].append(touch)
        return Changes(since=since, by_id=by_id)

    async def told(self, questions: Sequence[Question], changes: "Changes") -> dict[Question, Told]:
        """Give what the changes say to each question: each instrument and interval is read once."""
        candles: dict[Interval, dict[int, list[CandleEvent] | TickgraphError]] = {}
        wanted: dict[Interval, dict[int, Subject]] = defaultdict(dict)
        trade_ids: set[int] = set()
        price_ids: set[int] = set()
        for question in questions:
            own = {
                s.instrument_id: s for s in question.subjects if s.instrument_id in changes.by_id
            }
            if isinstance(question, CandleQuestion):
                wanted[question.interval] |= own
            elif isinstance(question, TradeQuestion):
                trade_ids |= own.keys()
            else:
                price_ids |= own.keys()
        for interval, subjects in wanted.items():
            candles[interval] = await self._candles(interval, subjects, changes)
        trades = await self._trades(trade_ids, changes)
        newest = {e.instrument_id: e for e in await self._newest(price_ids, changes)}
        told: dict[Question, Told] = {}
        for question in questions:
            by_id = {each.instrument_id: each for each in question.subjects}
            events: list[Event] = []
            error: TickgraphError | None = None
            for key in by_id.keys() & changes.by_id.keys():
                if isinstance(question, CandleQuestion):
                    found = candles[question.interval][key]
                    if isinstance(found, TickgraphError):
                        error = found
                    else:
                        events += found
                elif isinstance(question, TradeQuestion):
                    if len(trades[key]) > MAX_CHANGES:
                        error = too_much(f"{by_id[key].symbol!r} has too many new trades")
                    events += [self.trade(by_id, each, None) for each in trades[key]]
                elif key in newest:
                    events.append(self.price(by_id, newest[key], None))
            told[question] = error or sorted(events, key=lambda event: event.mark)
        return told

    async def _candles(
        self, interval: Interval, subjects: Mapping[int, Subject], changes: "Changes"
    ) -> dict[int, list[CandleEvent] | TickgraphError]:
        """Give the candles that changed; one statement for instruments touched in the same time."""
        groups: dict[Window, list[Subject]] = defaultdict(list)
        for key, subject in subjects.items():
            for window in _windows(interval, changes.by_id[key]):
                groups[window].append(subject)
        found: dict[int, dict[datetime, Candle]] = {key: {} for key in subjects}
        failed: dict[int, TickgraphError] = {}
        for window, group in groups.items():
            spec = CandleSpec(interval=interval)
            answers = await read_candles(self.market, group, spec, window, Candles())
            for subject, answer in zip(group, answers, strict=True):
                if isinstance(answer, TickgraphError):
                    failed[subject.instrument_id] = too_much(answer.message)
                else:
                    found[subject.instrument_id].update({each.time: each for each in answer.value})
        gone = await self._gone(interval, subjects, changes, found)
        events: dict[int, list[CandleEvent] | TickgraphError] = {}
        for key, subject in subjects.items():
            own = [
                CandleEvent(
                    mark=Mark(each.revision, key, _inner(each.time)),
                    symbol=subject.symbol,
                    time=each.time,
                    revision=each.revision,
                    candle=each,
                )
                for each in found[key].values()
                if each.revision > changes.since
            ]
            own += [
                CandleEvent(
                    mark=Mark(batch_id, key, _inner(time)),
                    symbol=subject.symbol,
                    time=time,
                    revision=batch_id,
                    candle=None,
                )
                for time, batch_id in gone[key].items()
            ]
            if len(own) > MAX_CHANGES:
                failed[key] = too_much(f"{subject.symbol!r} has too many changed candles")
            events[key] = failed.get(key, own)
        return events

    async def _gone(
        self,
        interval: Interval,
        subjects: Mapping[int, Subject],
        changes: "Changes",
        found: Mapping[int, Mapping[datetime, Candle]],
    ) -> dict[int, dict[datetime, int]]:
        """Give the buckets whose last trade was cancelled, and by which batch."""
        gone: dict[int, dict[datetime, int]] = {key: {} for key in subjects}
        single = [
            touch
            for key in subjects
            for touch in changes.by_id[key]
            if touch.first_time == touch.last_time
        ]
        dates = {}
        if interval.is_dated:
            keys = {(each.instrument_id, each.first_time) for each in single}
            dates = await changed_dates(self.market.reader, sorted(keys))
        for touch in single:
            key = touch.instrument_id
            times = [touch.first_time]
            if interval.is_dated:
                times = [midnight(day) for day in dates.get((key, touch.first_time), ())]
            for time in map(interval.floor, times):
                if time not in found[key]:
                    gone[key][time] = touch.batch_id
        return gone

    async def _trades(
        self, instrument_ids: set[int], changes: "Changes"
    ) -> dict[int, list[ChangedTrade]]:
        ranges = {}
        for key in instrument_ids:
            own = changes.by_id[key]
            ranges[key] = (
                min(each.first_time for each in own),
                max(each.last_time for each in own),
            )
        since = dict.fromkeys(instrument_ids, changes.since)
        trades: dict[int, list[ChangedTrade]] = {key: [] for key in instrument_ids}
        for each in await changed_trades(self.market.reader, ranges, since, MAX_CHANGES + 1):
            trades[each.instrument_id].append(each)
        return trades

    async def _newest(self, instrument_ids: set[int], changes: "Changes") -> list[Price]:
        if not instrument_ids:
            return []
        found = await prices(self.market.reader, list(instrument_ids))
        return [each for each in found if each.batch_id > changes.since]

    def trade(
        self, by_id: Mapping[int, Subject], each: ChangedTrade, mark: Mark | None
    ) -> TradeEvent:
        """Make the event of a trade; its mark is the trade's own where none is given."""
        own = Mark(each.batch_id, each.instrument_id, each.trade.order_key)
        return TradeEvent(
            mark=mark or own,
            symbol=by_id[each.instrument_id].symbol,
            revision=each.batch_id,
            trade=each.trade,
            cancelled=each.cancelled,
        )

    def price(self, by_id: Mapping[int, Subject], each: Price, mark: Mark | None) -> PriceEvent:
        """Make the event of a price; its mark is the price's own where none is given."""
        return PriceEvent(
            mark=mark or Mark(each.batch_id, each.instrument_id, ""),
            symbol=by_id[each.instrument_id].symbol,
            revision=each.batch_id,
            latest=each.latest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What batches after `since` have touched, of the instruments that somebody asks about."""

    since: int
    by_id: Mapping[int, list[Touch]]


def too_much(words: str) -> CursorExpired:
    """Say that what changed is not told one by one."""
    return CursorExpired(f"{words}: query the data again and subscribe without `after`")


def _inner(time: datetime) -> str:
    return time.strftime("%Y%m%d%H%M%S")


def _windows(interval: Interval, touches: Sequence[Touch]) -> list[Window]:
    """Give the buckets that were touched, as few ranges of whole buckets."""
    before = DATE_AFTER if interval.is_dated else timedelta()
    after = DATE_BEFORE if interval.is_dated else timedelta()
    spans = sorted(
        (
            interval.floor(each.first_time - before),
            interval.next(interval.floor(each.last_time + after)),
        )
        for each in touches
    )
    joined: list[tuple[datetime, datetime]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return [Window(start=start, end=end) for start, end in joined]
