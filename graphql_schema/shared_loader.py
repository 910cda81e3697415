"""A dataloader whose loads outlive whoever asked first."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from strawberry.dataloader import DataLoader

K = TypeVar("K")
T = TypeVar("T")


class SharedLoader(DataLoader[K, T]):
    """Strawberry's DataLoader; a caller that is cancelled does not take the others' load along.

    graphql-core 3.3 cancels the siblings of a field that failed. Those may wait for the same future
    as fields elsewhere in the answer, which would end as cancelled too.
    """

    def load(self, key: K) -> Awaitable[T]:
        """Load one key, with all others that are asked for in this turn of the loop."""
        future = asyncio.ensure_future(super().load(key))
        future.add_done_callback(_look_at)
        return asyncio.shield(future)


def _look_at(future: "asyncio.Future[T]") -> None:
    """Take note of an error that nobody may be left to hear of."""
    if not future.cancelled():
        future.exception()
