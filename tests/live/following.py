"""Follow a hub in tests: members that remember what they were told, and merge it as clients do."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from app.errors import TickgraphError
from app.live.events import CandleEvent, Event, Mark
from app.live.hub import Frame, Hub, Topic
from app.live.moments import moments
from app.live.questions import Question
from app.query.market import Subject
from app.query.server import server_state
from app.storage.database import Connection
from app.storage.notifications import Notifications
from app.storage.reader import open_reader
from app.storage.snapshots import open_snapshots

PATIENCE_S = 20.0


class Follower:
    """A member of a topic."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.error: TickgraphError | None = None
        self.news = asyncio.Event()

    def add(self, frames: Sequence[Frame]) -> None:
        self.events += [frame.body for frame in frames]
        self.news.set()

    def fail(self, error: TickgraphError) -> None:
        self.error = error
        self.news.set()

    @property
    def mark(self) -> Mark:
        """Where to go on."""
        return self.events[-1].mark

    async def until(self, count: int) -> list[Event]:
        """Wait for so many events, or an error."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.events) < count and self.error is None:
                self.news.clear()
                await self.news.wait()
        return self.events

    async def until_batch(self, batch_id: int) -> None:
        """Wait for the last event that a batch brings."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.events or self.mark.batch_id < batch_id:
                self.news.clear()
                await self.news.wait()


def follow(hub: Hub, question: Question, after: Mark | None = None) -> Follower:
    member = Follower()
    hub.join(question, lambda: Topic(question, lambda event: event), member, after)
    return member


@asynccontextmanager
async def running(url: str, *, listen: bool = True, look_s: float = 0.2) -> AsyncIterator[Hub]:
    """Run a hub over a database."""
    async with (
        open_reader(url, pool_size=1, pool_timeout_s=10, statement_timeout_s=30) as reader,
        open_snapshots(url, timeout_s=10, statement_timeout_s=30) as snapshots,
    ):
        state = await server_state(reader)
        take = moments(
            snapshots,
            continuous=state.continuous,
            max_points=50_000,
            lateness=timedelta(seconds=60),
        )
        hub = Hub(take, look_interval_s=look_s)
        tasks = [asyncio.create_task(hub.run())]
        if listen:
            heard = Notifications(url, hub.wake, timeout_s=10)
            tasks.append(asyncio.create_task(heard.run()))
        try:
            yield hub
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def subjects(connection: Connection, *symbols: str) -> tuple[Subject, ...]:
    rows = connection.execute(
        "SELECT instrument_id, symbol, exchange FROM instrument WHERE symbol = ANY (%s)"
        " ORDER BY instrument_id",
        (list(symbols),),
    ).fetchall()
    return tuple(
        Subject(instrument_id=key, symbol=symbol, exchange=mic) for key, symbol, mic in rows
    )


def merged_candles(events: Sequence[Event]) -> dict[tuple[str, datetime], object]:
    """Merge as the docs tell clients to: of a bucket the newest revision counts.

    Whether a candle is final depends on when it was told.
    """
    merged: dict[tuple[str, datetime], CandleEvent] = {}
    for event in events:
        assert isinstance(event, CandleEvent)
        known = merged.get((event.symbol, event.time))
        if known is None or known.revision <= event.revision:
            merged[event.symbol, event.time] = event
    return {
        key: replace(event.candle, final=False)
        for key, event in merged.items()
        if event.candle is not None
    }


def assert_in_order(events: Sequence[Event]) -> None:
    """Hold that marks only grow: nothing came twice."""
    marks = [event.mark for event in events]
    assert marks == sorted(marks)
    own = [(event.mark, type(event)) for event in events]
    assert len(own) == len(set(own))
