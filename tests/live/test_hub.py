"""Subscribers hear of everything that changed, once and in order, however they come and go."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from app.errors import BadCursor, CursorExpired
from app.ingestion.trade_changes import TradeName, cancel_trade, correct_trade
from app.live.events import PRESENT, CandleEvent, Mark, PriceEvent, TradeEvent
from app.live.hub import Topic
from app.live.mailbox import Mailbox
from app.live.questions import CandleQuestion, PriceQuestion, TradeQuestion
from app.market.interval import Interval
from app.storage.database import Connection
from tests.conftest import TestDatabase
from tests.ingestion.imports import fresh_symbol, load, new_instruments, write_rows, writing
from tests.live.following import (
    Follower,
    assert_in_order,
    follow,
    merged_candles,
    running,
    subjects,
)

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
HEADER = ("symbol", "time", "price", "size", "trade_id")
MINUTE = Interval.parse("1m")


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    with writing(database.url) as connection:
        yield connection


class Feed:
    """Trades of one new instrument."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self.symbol = fresh_symbol()
        self._connection = connection
        self._folder = folder
        self._next = 1

    async def send(self, *seconds: float, price: int = 10) -> None:
        """Store trades at so many seconds after noon, as one batch."""
        rows = []
        for second in seconds:
            time = NOON + timedelta(seconds=second)
            rows.append((self.symbol, time.isoformat(), price, 1, self._next))
            self._next += 1
        path = write_rows(self._folder / "t.csv", HEADER, rows)
        await asyncio.to_thread(load, self._connection, path, create=new_instruments())

    async def correct(self, second: float, trade_id: int, price: int) -> None:
        """Give a trade another price."""
        change = partial(correct_trade, price=Decimal(price), size=Decimal(1), actor="test")
        await asyncio.to_thread(change, self._connection, self._name(second, trade_id))

    async def cancel(self, second: float, trade_id: int) -> None:
        """Cancel a trade."""
        change = partial(cancel_trade, actor="test")
        await asyncio.to_thread(change, self._connection, self._name(second, trade_id))

    def _name(self, second: float, trade_id: int) -> TradeName:
        time = NOON + timedelta(seconds=second)
        return TradeName(symbol=self.symbol, time=time, trade_id=trade_id)


@pytest.fixture
def feed(connection: Connection, tmp_path: Path) -> Feed:
    return Feed(connection, tmp_path)


async def test_the_present_comes_first_and_changes_follow(
    database: TestDatabase, connection: Connection, feed: Feed
) -> None:
    await feed.send(0, 65)
    own = subjects(connection, feed.symbol)
    async with running(database.url) as hub:
        candles = follow(hub, CandleQuestion(subjects=own, interval=MINUTE))
        trades = follow(hub, TradeQuestion(subjects=own))
        prices = follow(hub, PriceQuestion(subjects=own))
        await asyncio.gather(candles.until(1), trades.until(1), prices.until(1))
        await feed.send(70, price=12)
        await feed.send(5, price=9)  # late: an older bucket
        await asyncio.gather(candles.until(3), trades.until(3), prices.until(2))
    assert [event.time for event in candles.events if isinstance(event, CandleEvent)] == [
        NOON + timedelta(minutes=1),
        NOON + timedelta(minutes=1),
        NOON,
    ]
    assert [e.candle.trades for e in candles.events if isinstance(e, CandleEvent) and e.candle] == [
        1, 2, 2,
    ]  # fmt: skip
    assert [e.trade.price for e in trades.events if isinstance(e, TradeEvent)] == [10, 12, 9]
    assert [e.latest.price for e in prices.events if isinstance(e, PriceEvent) and e.latest] == [
        10, 12,
    ]  # fmt: skip
    for follower in (candles, trades, prices):
        assert_in_order(follower.events)
        assert [event.revision for event in follower.events] == sorted(
            event.revision for event in follower.events
        )


async def test_corrections_and_cancellations_are_told(
    database: TestDatabase, connection: Connection, feed: Feed
) -> None:
    await feed.send(0, 65)
    own = subjects(connection, feed.symbol)
    async with running(database.url) as hub:
        candles = follow(hub, CandleQuestion(subjects=own, interval=MINUTE))
        days = follow(hub, CandleQuestion(subjects=own, interval=Interval.parse("1d")))
        trades = follow(hub, TradeQuestion(subjects=own))
        await asyncio.gather(candles.until(1), trades.until(1), days.until(1))
        await feed.correct(0, 1, 11)
        await asyncio.gather(candles.until(2), trades.until(2), days.until(2))
        await feed.cancel(65, 2)
        await asyncio.gather(candles.until(3), trades.until(3), days.until(3))
        await feed.cancel(0, 1)
        await asyncio.gather(candles.until(4), trades.until(4), days.until(4))
    gone = [(e.time, e.candle is None) for e in candles.events if isinstance(e, CandleEvent)]
    assert gone[1:] == [(NOON, False), (NOON + timedelta(minutes=1), True), (NOON, True)]
    assert [e.cancelled for e in trades.events if isinstance(e, TradeEvent)] == [
        False, False, True, True,
    ]  # fmt: skip
    last = days.events[-1]
    assert isinstance(last, CandleEvent)
    assert (last.time, last.candle) == (NOON.replace(hour=0), None)


async def test_a_subscriber_that_comes_and_goes_misses_nothing_and_hears_nothing_twice(
    database: TestDatabase, connection: Connection, feed: Feed
) -> None:
    rng = random.Random(5)
    await feed.send(0)
    own = subjects(connection, feed.symbol)
    question = CandleQuestion(subjects=own, interval=MINUTE)
    asked_trades = TradeQuestion(subjects=own)

    async def write() -> None:
        for n in range(60):
            late = rng.choice([0, 0, 0, 90, 400])
            await feed.send(max(0, n * 7 - late), n * 7, price=rng.randint(5, 15))

    async with running(database.url, look_s=0.05) as hub:
        writing_task = asyncio.create_task(write())
        lives = []
        for asked in (question, asked_trades):
            steady = follow(hub, asked)
            first = Follower()
            first.events = (await steady.until(1))[:1]
            lives.append((asked, steady, [first]))
        while not writing_task.done():
            for asked, _, sessions in lives:
                after = sessions[-1].mark
                session = follow(hub, asked, after)
                sessions.append(session)
                await asyncio.sleep(rng.random() * 0.1)
                hub.leave(asked, session)
                if not session.events:
                    sessions.pop()
        await writing_task
        finals = []
        for asked, steady, sessions in lives:
            final = follow(hub, asked, sessions[-1].mark)
            finals.append((asked, steady, sessions, final))
        last = await asyncio.to_thread(connection.execute, "SELECT max(batch_id) FROM batch")
        newest = last.fetchone()
        assert newest is not None
        for _, steady, sessions, final in finals:
            await steady.until_batch(newest[0])
            if sessions[-1].mark.batch_id < newest[0]:
                await final.until_batch(newest[0])
        for asked, steady, sessions, final in finals:
            told = [e for session in sessions[1:] for e in session.events] + final.events
            assert_in_order(told)
            assert_in_order(steady.events)
            if isinstance(asked, TradeQuestion):
                assert [e.mark for e in told] == [e.mark for e in steady.events[1:]]
            else:
                assert merged_candles(steady.events[:1] + told) == merged_candles(steady.events)


async def test_nothing_depends_on_being_notified(
    database: TestDatabase, connection: Connection, feed: Feed
) -> None:
    await feed.send(0)
    own = subjects(connection, feed.symbol)
    async with running(database.url, listen=False, look_s=0.05) as hub:
        trades = follow(hub, TradeQuestion(subjects=own))
        await trades.until(1)
        await feed.send(1, 2, 3)
        assert len(await trades.until(4)) == 4


async def test_cursors_that_cannot_be_replayed_are_refused(
    database: TestDatabase, connection: Connection, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await feed.send(0)
    own = subjects(connection, feed.symbol)
    question = TradeQuestion(subjects=own)
    async with running(database.url) as hub:
        first = follow(hub, question)
        await first.until(1)
        foreign = follow(hub, question, Mark(1 << 40, 1, ""))
        await foreign.until(1)
        assert isinstance(foreign.error, BadCursor)
        monkeypatch.setattr("app.live.moment.MAX_CHANGES", 5)
        await feed.send(*range(1, 8))
        late = follow(hub, question, first.events[0].mark)
        await late.until(1)
        assert isinstance(late.error, CursorExpired)
        assert "query the data again" in late.error.message


async def test_subscribers_cost_no_statements_of_their_own(
    database: TestDatabase, connection: Connection, feed: Feed
) -> None:
    await feed.send(0)
    own = subjects(connection, feed.symbol)
    question = CandleQuestion(subjects=own, interval=MINUTE)
    async with running(database.url) as hub:
        many = [follow(hub, question) for _ in range(500)]
        await asyncio.gather(*(each.until(1) for each in many))
        assert (hub.topics, hub.members) == (1, 500)
        await feed.send(1)
        await asyncio.gather(*(each.until(2) for each in many))
        assert len({id(each.events[1]) for each in many}) == 1
        for each in many:
            hub.leave(question, each)
        assert (hub.topics, hub.members) == (0, 0)


async def test_the_present_of_several_can_be_left_and_gone_on_with(
    database: TestDatabase, connection: Connection, tmp_path: Path
) -> None:
    feeds = [Feed(connection, tmp_path) for _ in range(3)]
    for each in feeds:
        await each.send(0)
    own = subjects(connection, *(each.symbol for each in feeds))
    for question in (
        CandleQuestion(subjects=own, interval=MINUTE),
        TradeQuestion(subjects=own),
        PriceQuestion(subjects=own),
    ):
        async with running(database.url) as hub:
            whole = follow(hub, question)
            first, *_ = await whole.until(3)
            assert [event.symbol for event in whole.events] == [each.symbol for each in own]
            assert_in_order(whole.events)
            # Gone after the first of three; meanwhile the first and the last of them change.
            await feeds[0].send(100)
            await feeds[2].send(200)
            rest = follow(hub, question, first.mark)
            await rest.until(3)
            await feeds[1].send(300)
            await rest.until(4)
            assert rest.error is None
            assert [event.symbol for event in rest.events] == [
                own[1].symbol, own[2].symbol, own[0].symbol, own[1].symbol,
            ]  # fmt: skip
            keys = [(event.mark, event.symbol) for event in [first, *rest.events]]
            assert len(set(keys)) == len(keys)


async def test_what_waits_is_conflated_by_instrument() -> None:
    marks = [Mark(5, number, PRESENT) for number in (1, 2)]
    events = [PriceEvent(mark=mark, symbol="S", revision=5, latest=None) for mark in marks]
    topic = Topic(PriceQuestion(subjects=()), lambda event: b"x")
    mailbox = Mailbox(None)
    mailbox.put(topic.frames(events))
    assert [mailbox.take().mark for _ in range(len(mailbox))] == marks
