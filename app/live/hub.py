"""Follow the commit log and bring what changed to its subscribers, once for all who ask alike.

One step at a time: a snapshot is taken, what batches since the last step have touched is read once
for each instrument and interval, each topic writes each of its events once, and all its members get
the same bytes. Whoever joins does so within a step: what they have missed is read in the same
snapshot, and from the next step on they are members. So nothing falls between, and nothing comes
twice. Nothing depends on a notification: one that is lost delays a step, until the next look.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.errors import LiveFailed, TickgraphError
from app.live.events import CandleEvent, Event, Mark, PriceEvent
from app.live.joining import begun
from app.live.moment import Moment, Told, too_much
from app.live.questions import Question

_LOG = logging.getLogger("tickgraph.live")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Frame:
    """An event as its subscribers get it; of two with one key only the newer is needed."""

    mark: Mark
    key: Hashable | None
    body: Any


class Member(Protocol):
    """One subscriber of a topic."""

    def add(self, frames: Sequence[Frame]) -> None:
        """Take what is new; never waits."""

    def fail(self, error: TickgraphError) -> None:
        """End: nothing more can be told."""


@dataclass(slots=True, eq=False)
class Topic:
    """All who ask the same question in the same words; `write` gives what they get for an event."""

    question: Question
    write: Callable[[Event], Any]
    members: dict[Member, None] = field(default_factory=dict)
    joining: dict[Member, Mark | None] = field(default_factory=dict)  # until the next step

    def frames(self, events: Sequence[Event]) -> list[Frame]:
        """Write events, each once."""
        return [Frame(event.mark, _key(event), self.write(event)) for event in events]


class Hub:
    """The topics of a process; `run` brings them what changes."""

    def __init__(
        self,
        moment: Callable[[], AbstractAsyncContextManager[Moment]],
        *,
        look_interval_s: float,
    ) -> None:
        self._moment = moment
        self._look_interval_s = look_interval_s
        self._topics: dict[Hashable, Topic] = {}
        self._by_question: dict[Question, set[Topic]] = defaultdict(set)
        self._woken = asyncio.Event()
        self._position: int | None = None
        self.counts: Counter[str] = Counter()

    @property
    def members(self) -> int:
        """How many subscriptions are open."""
        return sum(len(each.members) + len(each.joining) for each in self._topics.values())

    @property
    def topics(self) -> int:
        """How many distinct subscriptions are open."""
        return len(self._topics)

    def wake(self) -> None:
        """Look at the log soon."""
        self._woken.set()

    def join(
        self, key: Hashable, make: Callable[[], Topic], member: Member, after: Mark | None
    ) -> None:
        """Let a subscriber into the topic of a key; `after` is the last mark that it has seen.

        Its first frames are what it has missed, or without `after` the present state.
        """
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = make()
            self._by_question[topic.question].add(topic)
        topic.joining[member] = after
        self.wake()

    def leave(self, key: Hashable, member: Member) -> None:
        """Let a subscriber go; a topic without any goes too."""
        topic = self._topics.get(key)
        if topic is None:
            return
        topic.members.pop(member, None)
        topic.joining.pop(member, None)
        if not topic.members and not topic.joining:
            del self._topics[key]
            topics = self._by_question[topic.question]
            topics.discard(topic)
            if not topics:
                del self._by_question[topic.question]

    async def run(self) -> None:
        """Step until cancelled; a step that fails is taken again."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                async with asyncio.timeout(self._look_interval_s):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            if not self._topics:
                self._position = None
                continue
            try:
                await self._step()
                pause = _FIRST_PAUSE_S
            except TickgraphError as error:
                _LOG.warning("live data wait for the database: %s", error.message)
                self.wake()
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            except Exception:
                _LOG.exception("a step of live data failed: its subscribers are let go")
                self._fail_all(LiveFailed("live data failed: subscribe again"))

    def _fail_all(self, error: TickgraphError) -> None:
        """Let everybody go; what made a step fail must not make the next one fail."""
        self._position = None
        for topic in list(self._topics.values()):
            for member in [*topic.members, *topic.joining]:
                member.fail(error)
            topic.joining.clear()

    async def _step(self) -> None:
        """Tell members what changed since the last step, and newcomers what they have missed."""
        joins = {topic: dict(topic.joining) for topic in self._topics.values() if topic.joining}
        async with self._moment() as moment:
            told = await self._changed(moment)
            asked = {
                (topic.question, after)
                for topic, joining in joins.items()
                for after in joining.values()
            }
            first = await begun(moment, asked) if asked else {}
        self._position = moment.newest
        self.counts["steps"] += 1
        for question, found in told.items():
            for topic in list(self._by_question.get(question, ())):
                self._tell(topic, list(topic.members), found)
        for topic, joining in joins.items():
            alike: dict[Mark | None, list[Member]] = defaultdict(list)
            for member, after in joining.items():
                if member in topic.joining:  # it has not left meanwhile
                    alike[after].append(member)
                    del topic.joining[member]
                    topic.members[member] = None
            for after, members in alike.items():
                self._tell(topic, members, first[topic.question, after])

    async def _changed(self, moment: Moment) -> dict[Question, Told]:
        since = self._position
        if since is None or since == moment.newest:
            return {}
        if since > moment.newest:
            lost = too_much("the database is not the one that it was")
            return dict.fromkeys(self._by_question, lost)
        ids = {s.instrument_id for question in self._by_question for s in question.subjects}
        changes = await moment.changes(ids, since)
        touched = changes.by_id.keys()
        questions = [
            question
            for question in self._by_question
            if any(each.instrument_id in touched for each in question.subjects)
        ]
        return await moment.told(questions, changes) if questions else {}

    def _tell(self, topic: Topic, members: Sequence[Member], told: Told) -> None:
        if not members:
            return
        if isinstance(told, TickgraphError):
            for member in members:
                member.fail(told)
            return
        frames = topic.frames(told)
        if not frames:
            return
        self.counts["events"] += len(frames)
        self.counts["sent"] += len(frames) * len(members)
        for member in members:
            member.add(frames)


def _key(event: Event) -> Hashable | None:
    """Give what events are conflated by; None: each must arrive."""
    if isinstance(event, CandleEvent):
        return (event.mark.instrument_id, event.time)
    return event.mark.instrument_id if isinstance(event, PriceEvent) else None
