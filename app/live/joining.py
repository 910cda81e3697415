"""What newcomers are told first, read together for all who join in one step."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from app.errors import BadCursor, CursorExpired, TickgraphError
from app.live.events import PRESENT, CandleEvent, Event, Mark
from app.live.moment import Moment, Told
from app.live.questions import CandleQuestion, Question, TradeQuestion
from app.market.candle_spec import CandleSpec
from app.market.interval import Interval
from app.query.candles import read_candles
from app.query.changes import last_trades, prices
from app.query.market import Subject
from app.query.shapes import Candles
from app.query.window import Window

# Cursors so close together are replayed by one read, which is from the oldest on.
_TOGETHER_BATCHES = 500

Asked = tuple[Question, Mark | None]


async def begun(moment: Moment, asked: Collection[Asked]) -> dict[Asked, Told]:
    """Give the present state, or what has changed since a mark, to each who asks."""
    told: dict[Asked, Told] = {}
    present = await _present(moment, [question for question, after in asked if after is None])
    for question, events in present.items():
        told[question, None] = events
    cursors: list[tuple[Question, Mark]] = []
    for question, after in asked:
        if after is None:
            continue
        if after.batch_id > moment.newest:
            told[question, after] = BadCursor("`after` is a cursor of another database")
        elif after.inner == PRESENT:
            told[question, after] = await _rest(moment, question, after)
        else:
            cursors.append((question, after))
    for group in _groups(cursors):
        told |= await _replayed(moment, group)
    return told


async def _rest(moment: Moment, question: Question, after: Mark) -> Told:
    """Go on within the present state: what is left of it, and what has changed of what was told."""
    told_to = after.instrument_id
    seen = tuple(each for each in question.subjects if each.instrument_id <= told_to)
    left = tuple(each for each in question.subjects if each.instrument_id > told_to)
    events: list[Event] = []
    if left:
        rest = replace(question, subjects=left)
        present = (await _present(moment, [rest]))[rest]
        if isinstance(present, TickgraphError):
            return present
        # Their marks are of the state that they complete.
        events += [
            replace(each, mark=Mark(after.batch_id, each.mark.instrument_id, PRESENT))
            for each in present
        ]
    if seen:
        changed = await moment.replay(replace(question, subjects=seen), after)
        if isinstance(changed, TickgraphError):
            return changed
        events += changed
    return events


def _groups(cursors: Sequence[tuple[Question, Mark]]) -> list[list[tuple[Question, Mark]]]:
    groups: list[list[tuple[Question, Mark]]] = []
    for each in sorted(cursors, key=lambda own: own[1]):
        if groups and each[1].batch_id - groups[-1][0][1].batch_id < _TOGETHER_BATCHES:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


async def _replayed(moment: Moment, group: Sequence[tuple[Question, Mark]]) -> dict[Asked, Told]:
    """Replay from the oldest mark and leave out what each has seen; where that is too much, alone.

    Candles and prices are told as they are now: those that have not changed since a mark are not
    news behind it, however far back the reading began.
    """
    together: dict[Question, Told] = {}
    if len(group) > 1:
        questions = list(dict.fromkeys(question for question, _ in group))
        ids = {each.instrument_id for question in questions for each in question.subjects}
        try:
            changes = await moment.changes(ids, group[0][1].batch_id - 1)
        except CursorExpired:
            pass
        else:
            together = await moment.told(questions, changes)
    told: dict[Asked, Told] = {}
    for question, after in group:
        found = together.get(question)
        if found is None or isinstance(found, TickgraphError):
            told[question, after] = await moment.replay(question, after)
        else:
            told[question, after] = [event for event in found if event.mark > after]
    return told


async def _present(moment: Moment, questions: Sequence[Question]) -> dict[Question, Told]:
    """Give the open candle, the last trade, the newest price of each instrument."""
    by_interval: dict[Interval, dict[int, Subject]] = defaultdict(dict)
    priced: dict[int, Subject] = {}
    traded: set[int] = set()
    for question in questions:
        own = {each.instrument_id: each for each in question.subjects}
        if isinstance(question, CandleQuestion):
            by_interval[question.interval] |= own
            continue
        priced |= own
        if isinstance(question, TradeQuestion):
            traded |= own.keys()
    candles = {
        interval: await _open_candles(moment, interval, list(subjects.values()))
        for interval, subjects in by_interval.items()
    }
    newest = await prices(moment.market.reader, list(priced)) if priced else []
    times = {
        each.instrument_id: each.latest.time
        for each in newest
        if each.latest and each.instrument_id in traded
    }
    trades = {
        each.instrument_id: moment.trade(priced, each, moment.mark(each.instrument_id))
        for each in await last_trades(moment.market.reader, times)
    }
    last = {
        each.instrument_id: moment.price(priced, each, moment.mark(each.instrument_id))
        for each in newest
    }
    told: dict[Question, Told] = {}
    for question in questions:
        ids = [each.instrument_id for each in question.subjects]
        if isinstance(question, CandleQuestion):
            told[question] = _joined([candles[question.interval][key] for key in ids])
        elif isinstance(question, TradeQuestion):
            told[question] = [trades[key] for key in ids if key in trades]
        else:
            told[question] = [last[key] for key in ids if key in last]
    return told


async def _open_candles(
    moment: Moment, interval: Interval, subjects: Sequence[Subject]
) -> dict[int, Told]:
    spec = CandleSpec(interval=interval)
    answers = await read_candles(moment.market, subjects, spec, Window(last=1), Candles())
    told: dict[int, Told] = {}
    for subject, answer in zip(subjects, answers, strict=True):
        if isinstance(answer, TickgraphError):
            told[subject.instrument_id] = answer
            continue
        told[subject.instrument_id] = [
            CandleEvent(
                mark=moment.mark(subject.instrument_id),
                symbol=subject.symbol,
                time=each.time,
                revision=each.revision,
                candle=each,
            )
            for each in answer.value
        ]
    return told


def _joined(parts: Sequence[Told]) -> Told:
    events: list[Event] = []
    for part in parts:
        if isinstance(part, TickgraphError):
            return part
        events += part
    return events
