"""Give each process of a measurement a core of its own, as far as the machine has them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Where the server under test, the database and the load driver run."""

    server: int
    database: int
    load: int

    def __str__(self) -> str:
        """Describe it for the page."""
        words = "server on one core, database on another"
        if self.load == self.database:
            return f"{words}, load driver beside the database"
        return f"{words}, load driver on a third"


def choose_cores() -> Cores:
    """Take the first cores that this process may use; the driver shares the last of few."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(
        server=usable[0],
        database=usable[min(1, len(usable) - 1)],
        load=usable[min(2, len(usable) - 1)],
    )


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Start processes on one core: they inherit what this thread may use."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
