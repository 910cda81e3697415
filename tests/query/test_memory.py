"""The bounded memory: never over its bounds, least recently used out first, aiocache inside."""

from typing import Any

import pytest
from aiocache.base import BaseCache
from hypothesis import given
from hypothesis import strategies as st

from app.query.memory import BoundedMemory

ENTRY = 400


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def memory(**bounds: Any) -> BoundedMemory:
    return BoundedMemory(**({"max_bytes": 10_000, "max_entries": 5, "ttl_s": 100.0} | bounds))


@given(
    st.lists(
        st.tuples(st.sampled_from("pgd"), st.integers(0, 9), st.integers(0, 3000)), max_size=60
    )
)
def test_bounds_hold_whatever_is_done(steps: list[tuple[str, int, int]]) -> None:
    kept = memory()
    for what, key, size in steps:
        if what == "p":
            kept.keep(key, bytes(size))
        elif what == "g":
            kept.peek(key)
        else:
            kept.forget(key)
        assert len(kept) <= 5
        assert kept.used_bytes <= 10_000
    sizes = [ENTRY + len(kept.peek(key)) for key in range(10) if key in kept]
    assert kept.used_bytes == sum(sizes)


def test_the_least_recently_used_goes_first() -> None:
    kept = memory(max_entries=3)
    for key in "abc":
        kept.keep(key, b"x")
    kept.peek("a")
    kept.keep("d", b"x")
    assert [key for key in "abcd" if key in kept] == ["a", "c", "d"]
    assert kept.outcomes["evicted"] == 1


def test_what_is_too_large_is_refused_and_others_stay() -> None:
    kept = memory()
    kept.keep("small", b"x")
    assert not kept.keep("large", bytes(20_000))
    assert "small" in kept
    assert kept.outcomes["refused"] == 1


def test_no_bytes_keep_nothing() -> None:
    kept = memory(max_bytes=0)
    assert not kept.keep("a", b"")
    assert len(kept) == 0


def test_entries_end_within_their_time_and_not_together() -> None:
    clock = Clock()
    kept = memory(max_entries=1000, max_bytes=10**6, clock=clock)
    for key in range(200):
        kept.keep(key, b"x")
    clock.now = 79.0
    assert all(kept.peek(key) for key in range(200))
    clock.now = 90.0
    alive = sum(kept.peek(key) is not None for key in range(200))
    assert 20 < alive < 180
    clock.now = 100.0
    assert not any(kept.peek(key) for key in range(200))


def test_removal_is_told_however_it_comes() -> None:
    gone: list[object] = []
    kept = memory(max_entries=2, on_remove=gone.append)
    for key in "abc":
        kept.keep(key, b"x")
    kept.forget("b")
    kept.keep("c", b"y")
    assert gone == ["a", "b", "c"]


async def test_it_is_an_aiocache_backend() -> None:
    kept: BaseCache = memory()
    await kept.set("a", b"1")
    assert await kept.get("a") == b"1"
    assert await kept.get("b", default=b"2") == b"2"
    assert await kept.multi_get(["a", "b"]) == [b"1", None]
    assert await kept.exists("a")
    with pytest.raises(ValueError, match="'a'"):
        await kept.add("a", b"3")
    assert await kept.increment("n", 2) == 2
    assert await kept.increment("n") == 3
    await kept.expire("a", 5)
    assert await kept.delete("a") == 1
    assert await kept.delete("a") == 0
    await kept.multi_set([("x", b"1"), ("y", b"2")])
    await kept.clear()
    assert await kept.multi_get(["x", "y", "n"]) == [None, None, None]
