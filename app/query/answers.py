"""Answers in memory, each with what it was made from; whatever a batch touches is forgotten.

An answer is used only after `Ledger.confirm` for its instruments, so a hit is never stale.
"""

import asyncio
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.errors import TickgraphError
from app.query.ledger import Ledger, Touched
from app.query.memory import BoundedMemory

_TTL_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """The rows that an answer depends on: an instrument's times in [first, end); None: no bound."""

    instrument_id: int
    first: datetime | None
    end: datetime | None

    def meets(self, touched: Touched) -> bool:
        """Tell whether a touched range, closed at both ends, has a time in common."""
        begins = self.first is None or touched.last_time >= self.first
        return begins and (self.end is None or touched.first_time < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Bytes that can be sent, and their bases."""

    body: bytes
    bases: tuple[Basis, ...]
    instrument_ids: frozenset[int]

    def __len__(self) -> int:
        """Give the size that counts."""
        return len(self.body) + 120 * len(self.bases)


Brought = Mapping[Any, Any] | TickgraphError | None


class Flight:
    """Answers in the making, by one caller for all who ask for the same meanwhile.

    `landed` brings them by key, or the error that all have; None where the caller was cancelled.
    """

    def __init__(self, keys: Sequence[Hashable], stamp: int | None) -> None:
        self.keys = keys
        self.stamp = stamp
        self.landed: asyncio.Future[Brought] = asyncio.get_running_loop().create_future()


class AnswerCache:
    """One level of answers, bounded in bytes and entries."""

    def __init__(self, ledger: Ledger, *, max_bytes: int, max_entries: int) -> None:
        self._ledger = ledger
        self.memory = BoundedMemory(
            max_bytes=max_bytes, max_entries=max_entries, ttl_s=_TTL_S, on_remove=self._unlink
        )
        self._keys: dict[int, dict[Hashable, list[Basis]]] = {}
        self._links: dict[Hashable, frozenset[int]] = {}
        self._event = 0
        self._everything_at = 0
        self._touched_at: dict[int, int] = {}
        self._flights: dict[Hashable, Flight] = {}
        ledger.tell(self._forget)

    def stamp(self) -> int | None:
        """Mark the moment before an answer is made; None where it could not be kept safely."""
        return None if self._ledger.marks is None else self._event

    def peek(self, key: Hashable) -> Answer | None:
        """Give an answer that must still be confirmed."""
        answer: Answer | None = self.memory.peek(key)
        return answer

    def keep(self, key: Hashable, body: bytes, bases: Iterable[Basis], stamp: int | None) -> None:
        """Keep an answer, unless a batch has touched it since the stamp."""
        if self.memory.is_off:
            return
        own = tuple(bases)
        ids = frozenset(basis.instrument_id for basis in own)
        if not self.untouched(ids, stamp):
            return
        if not self.memory.keep(key, Answer(body=body, bases=own, instrument_ids=ids)):
            return
        self._links[key] = ids
        for basis in own:
            self._keys.setdefault(basis.instrument_id, {}).setdefault(key, []).append(basis)

    def untouched(self, instrument_ids: Iterable[int], stamp: int | None) -> bool:
        """Tell whether no batch that is known by now has touched the instruments since a stamp."""
        if stamp is None or self._everything_at > stamp:
            return False
        return not any(self._touched_at.get(each, 0) > stamp for each in instrument_ids)

    def flight(self, key: Hashable) -> Flight | None:
        """Give the flight under way for a key, to wait for what it brings."""
        return self._flights.get(key)

    def take_off(self, keys: Sequence[Hashable]) -> Flight:
        """Say that this caller makes these answers; others wait until `land`."""
        flight = Flight(keys, self.stamp())
        self._flights.update(dict.fromkeys(keys, flight))
        return flight

    def land(self, flight: Flight, brought: Brought) -> None:
        """Give those who wait what the flight has brought."""
        for key in flight.keys:
            self._flights.pop(key, None)
        flight.landed.set_result(brought)

    def _forget(self, touched: list[Touched], everything: bool) -> None:
        self._event += 1
        if everything:
            self._everything_at = self._event
            for key in list(self._links):
                self.memory.forget(key)
        for each in touched:
            self._touched_at[each.instrument_id] = self._event
            linked = self._keys.get(each.instrument_id, {})
            for key in [key for key, bases in linked.items() if any(b.meets(each) for b in bases)]:
                self.memory.forget(key)

    def _unlink(self, key: Hashable) -> None:
        for instrument_id in self._links.pop(key, ()):
            linked = self._keys[instrument_id]
            linked.pop(key, None)
            if not linked:
                del self._keys[instrument_id]
