"""How far this process has followed the commit log, and whether what it remembers still holds.

A writer shows the instruments that it is about to change (app.storage.batches) at least PAUSE_S
before it commits, by advisory locks, which everybody sees at once and which only the end of its
transaction takes away. So a process that has looked at time t - at those locks first, at the log
second - may trust what it remembers of all other instruments until t + VALID_S: whatever commits
before then was visible to the look, as a lock or as a batch. No process waits for another, and a
process that was stopped for a while finds its own look too old when it goes on.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.errors import TickgraphError
from app.storage.batches import ANNOUNCED_ALL, VALID_S
from app.storage.reader import Reader, Row

# What a planned statement must also answer: the newest batch, and how far roll-ups have followed.
MARKS = """(SELECT max(batch_id) FROM batch) AS newest,
       (SELECT refreshed_batch_id FROM rollup_state) AS followed"""

# look: what is announced, then, in a later snapshot, the marks (a volatile function's statements).
LOOK = "SELECT announced, newest, followed FROM look_at_log()"

# touched: what batches after one have touched, and whether instruments themselves changed.
TOUCHED = f"""
SELECT {MARKS},
       EXISTS (SELECT FROM batch WHERE batch_id > $1 AND kind = 'INSTRUMENTS') AS renamed,
       t.instrument_ids, t.first_times, t.last_times
FROM (
    SELECT array_agg(instrument_id) AS instrument_ids, array_agg(first_time) AS first_times,
           array_agg(last_time) AS last_times
    FROM batch_range
    WHERE batch_id > $1 AND kind <> 'QUOTES'
) AS t
"""  # noqa: S608 - built from a constant of this module


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Where the commit log and the roll-ups stood in one snapshot."""

    newest: int
    followed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """A closed range of an instrument that newer batches have touched."""

    instrument_id: int
    first_time: datetime
    last_time: datetime


Follower = Callable[[list[Touched], bool], None]


class Ledger:
    """Tells its followers what newer batches touched; (touched, everything may have changed)."""

    def __init__(self, reader: Reader, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._followers: list[Follower] = []
        self._looking: asyncio.Future[None] | None = None
        self._looked_at = float("-inf")
        self._announced: frozenset[int] = frozenset()
        self.marks: Marks | None = None

    def tell(self, follower: Follower) -> None:
        """Tell a follower of everything from now on."""
        self._followers.append(follower)

    def holds(self, instrument_ids: frozenset[int]) -> bool:
        """Tell whether what is remembered of these instruments may be used without a look."""
        if self._clock() - self._looked_at >= VALID_S:
            return False
        announced = self._announced
        return not announced or (
            ANNOUNCED_ALL not in announced and announced.isdisjoint(instrument_ids)
        )

    async def confirm(self, instrument_ids: frozenset[int]) -> bool:
        """Make sure that what is remembered of these instruments holds now, by a look if need be.

        Callers at one time share a look, but only one that began after they called. Gives False
        where the database does not answer: then nothing remembered may be used.
        """
        called = self._clock()
        while self._looked_at < called and not self.holds(instrument_ids):
            if self._looking is not None:
                await asyncio.shield(self._looking)
            elif not await self._look():
                return False
        return True

    async def _look(self) -> bool:
        self._looking = asyncio.get_running_loop().create_future()
        began = self._clock()
        try:
            (row,) = await self._reader.fetch(LOOK)
            await self.follow(marks_of(row))
        except TickgraphError:
            return False
        else:
            self._announced = frozenset(row["announced"] or ())
            self._looked_at = began
            return True
        finally:
            self._looking.set_result(None)
            self._looking = None

    async def follow(self, marks: Marks) -> None:
        """Follow the log at least to these marks."""
        known = self.marks
        if known is None:
            self.marks = marks
        elif marks.newest > known.newest or marks.followed < known.followed:
            await self._catch_up(known)
        elif marks.followed > known.followed:
            self.marks = Marks(newest=known.newest, followed=marks.followed)

    async def _catch_up(self, known: Marks) -> None:
        (row,) = await self._reader.fetch(TOUCHED, known.newest)
        marks = marks_of(row)
        ranges = zip(
            row["instrument_ids"] or (),
            row["first_times"] or (),
            row["last_times"] or (),
            strict=True,
        )
        touched = [
            Touched(instrument_id=instrument_id, first_time=first_time, last_time=last_time)
            for instrument_id, first_time, last_time in ranges
        ]
        for follower in self._followers:
            follower(touched, row["renamed"] or marks.followed < known.followed)
        # Catch-ups may overlap: each told everything from its own start on, so the furthest counts.
        newest = max(marks.newest, self.marks.newest if self.marks else 0)
        self.marks = Marks(newest=newest, followed=marks.followed)


def marks_of(row: Row) -> Marks:
    """Read the marks of a row of a statement that asked for MARKS."""
    return Marks(newest=row["newest"] or 0, followed=row["followed"])
