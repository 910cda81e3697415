"""What a subscription's resolver gets its events from."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.errors import SlowConsumer, TickgraphError
from app.live.events import Event, Mark
from app.live.hub import Frame, Hub, Topic
from app.live.questions import Question

_MAX_WAITING = 10_000


class Feed(Protocol):
    """Events of a question."""

    def events(self, question: Question, after: Mark | None) -> AsyncGenerator[Any, None]:
        """Give events, or what stands for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a subscription asks for, once its arguments are checked."""

    question: Question
    after: Mark | None


class Asking:
    """Gives the question back: the shared path takes it from there."""

    async def events(self, question: Question, after: Mark | None) -> AsyncGenerator[Asked, None]:
        """Give the question alone."""
        yield Asked(question=question, after=after)


class HubFeed:
    """Gives the hub's events themselves: the ordinary path, one execution for each subscriber."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def events(self, question: Question, after: Mark | None) -> AsyncGenerator[Event, None]:
        """Follow a question until closed.

        Raises:
            SlowConsumer: events are not taken as fast as they come.
        """
        member = _Queue()
        key = (HubFeed, question)
        self._hub.join(key, lambda: Topic(question, lambda event: event), member, after)
        try:
            while True:
                taken = await member.queue.get()
                if isinstance(taken, TickgraphError):
                    raise taken
                yield taken.body
        finally:
            self._hub.leave(key, member)


class _Queue:
    """A member that keeps events in a queue."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Frame | TickgraphError] = asyncio.Queue()

    def add(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self.queue.put_nowait(frame)
        if self.queue.qsize() > _MAX_WAITING:
            self.fail(SlowConsumer("the subscriber reads too slowly"))

    def fail(self, error: TickgraphError) -> None:
        self.queue.put_nowait(error)
