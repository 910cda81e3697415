"""A cache in memory behind aiocache's interface, bounded in bytes and in entries.

aiocache 0.12.3's own memory backend grows without bound, and its timers outlive their entries.
"""

import random
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer

_OVERHEAD_BYTES = 400  # what an entry costs beside its value: key, node, bookkeeping


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Any
    size: int
    expires_at: float


class BoundedMemory(BaseCache):  # type: ignore[misc] # aiocache has no types
    """Least recently used out first; values must have a length in bytes or be small.

    `outcomes` counts hit, miss, expired, evicted (for room) and refused (too large). A time to live
    is shortened by up to `jitter` of itself, so that entries made together do not end together.
    """

    NAME = "bounded-memory"

    def __init__(
        self,
        *,
        max_bytes: int,
        max_entries: int,
        ttl_s: float,
        jitter: float = 0.2,
        clock: Callable[[], float] = time.monotonic,
        on_remove: Callable[[Hashable], None] = lambda _: None,
    ) -> None:
        super().__init__(serializer=NullSerializer(), timeout=None, ttl=ttl_s)
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._jitter = jitter
        self._clock = clock
        self._on_remove = on_remove
        self.used_bytes = 0
        self.outcomes: Counter[str] = Counter()

    @property
    def is_off(self) -> bool:
        """Whether nothing is ever kept."""
        return self._max_bytes == 0

    def peek(self, key: Hashable) -> Any:
        """Give a value without a coroutine; None where it is not there."""
        entry = self._entries.get(key)
        if entry is None:
            self.outcomes["miss"] += 1
            return None
        if entry.expires_at <= self._clock():
            self.outcomes["expired"] += 1
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        self.outcomes["hit"] += 1
        return entry.value

    def keep(self, key: Hashable, value: Any, ttl_s: float | None = None) -> bool:
        """Put a value in, and others out where there is no room; False where it is too large."""
        self._remove(key)
        size = _OVERHEAD_BYTES + (len(value) if hasattr(value, "__len__") else 0)
        if size > self._max_bytes:
            self.outcomes["refused"] += 1
            return False
        lasts = (self.ttl if ttl_s is None else ttl_s) * (1 - random.random() * self._jitter)
        self._entries[key] = _Entry(value, size, self._clock() + lasts)
        self.used_bytes += size
        while self.used_bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self.outcomes["evicted"] += 1
            self._remove(next(iter(self._entries)))
        return key in self._entries

    def __len__(self) -> int:
        """Give the number of entries."""
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        """Tell whether a key is there, without counting as a use."""
        return key in self._entries

    def _remove(self, key: Hashable) -> bool:
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self.used_bytes -= entry.size
        self._on_remove(key)
        return True

    def forget(self, key: Hashable) -> bool:
        """Take an entry out that no longer holds."""
        removed = self._remove(key)
        self.outcomes["forgotten"] += removed
        return removed

    async def _get(self, key: Hashable, encoding: str = "utf-8", _conn: object = None) -> Any:
        return self.peek(key)

    _gets = _get

    async def _multi_get(
        self, keys: list[Hashable], encoding: str = "utf-8", _conn: object = None
    ) -> list[Any]:
        return [self.peek(key) for key in keys]

    async def _set(
        self,
        key: Hashable,
        value: Any,
        ttl: float | None = None,
        _cas_token: object = None,
        _conn: object = None,
    ) -> bool:
        if _cas_token is not None and _cas_token != self.peek(key):
            return False
        return self.keep(key, value, ttl)

    async def _multi_set(
        self, pairs: list[tuple[Hashable, Any]], ttl: float | None = None, _conn: object = None
    ) -> bool:
        kept = [self.keep(key, value, ttl) for key, value in pairs]
        return all(kept)

    async def _add(
        self, key: Hashable, value: Any, ttl: float | None = None, _conn: object = None
    ) -> bool:
        if key in self._entries:
            raise ValueError(f"{key!r} is there already")
        return self.keep(key, value, ttl)

    async def _exists(self, key: Hashable, _conn: object = None) -> bool:
        return key in self._entries

    async def _increment(self, key: Hashable, delta: int, _conn: object = None) -> int:
        value = int(self.peek(key) or 0) + delta
        self.keep(key, value)
        return value

    async def _expire(self, key: Hashable, ttl: float, _conn: object = None) -> bool:
        entry = self._entries.get(key)
        return entry is not None and self.keep(key, entry.value, ttl)

    async def _delete(self, key: Hashable, _conn: object = None) -> int:
        return int(self._remove(key))

    async def _clear(self, namespace: str | None = None, _conn: object = None) -> bool:
        for key in list(self._entries):
            self._remove(key)
        return True
