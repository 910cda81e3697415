"""The async side of writing: few writer threads, and a bounded queue in the order of the calls.

An event loop never waits for a write but by `await`; however many want to write, no more than the
writers hold connections, and no more than the queue's bound wait.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Self, TypeVar

from app.errors import Overloaded
from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.pipeline import deliver
from app.ingestion.table import Opening
from app.ingestion.tally import Tally
from app.ingestion.writer import Address, Writer
from app.storage.database import Connection

_LOG = logging.getLogger("tickgraph.intake")

CLOSE_S = 8.0  # that what is under way has when the server ends; then it is cancelled
_CANCELLED_S = 3.0
_MAX_RETRY_AFTER_S = 60
_STOPPING_RETRY_S = 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    work: Callable[[Connection], Any]
    repeatable: bool
    future: "Future[Any]"


class Intake:
    """Writers of one process. Use as an async context manager; its end waits for what is under way.

    `writers` are threads with a connection each, opened when first needed; `waiting` bounds the
    calls that wait for one. `on_written` is called in the event loop after each write.
    """

    def __init__(
        self,
        address: Address,
        *,
        writers: int,
        waiting: int,
        on_written: Callable[[], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self.refused = 0
        self._bound = writers + waiting
        self._on_written = on_written
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._open = 0  # calls that wait or run
        self._running = 0
        self._mean_s = 1.0  # that a call takes, of late
        self._writers = [Writer(address, self._stopping) for _ in range(writers)]
        self._threads = [
            # A daemon: a write that does not end must not keep the process from ending.
            threading.Thread(target=self._serve, args=(each,), name="writer", daemon=True)
            for each in self._writers
        ]
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        """Start the writers."""
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    def calls(self) -> Mapping[str, int]:
        """Count the calls that run and those that wait."""
        with self._lock:
            return {"running": self._running, "waiting": self._open - self._running}

    def admit(self) -> None:
        """See whether a call would be taken now, and take nothing.

        Raises:
            Overloaded: it would not.
        """
        with self._lock:
            self._require_room()

    def overloaded(self, message: str | None = None) -> Overloaded:
        """Count a refusal, and give the error with the seconds after which to try again."""
        self.refused += 1
        ahead_s = self._mean_s * self._open / len(self._writers)
        return Overloaded(
            message, retry_after_s=max(1, min(_MAX_RETRY_AFTER_S, math.ceil(ahead_s)))
        )

    async def deliver(
        self,
        opening: Opening,
        delivery: Delivery,
        *,
        admitted: bool = False,
        after: Callable[[], None] | None = None,
    ) -> Receipt:
        """Store a delivery as one batch; again after a transient fault: its rows have keys.

        `admitted` calls have been bounded by their door, and may always wait. `after` is called
        once, from any thread, when `opening` is needed no more: also if nothing was stored, or if
        the caller has been cancelled. A cancelled caller's delivery is dropped if it waits; if it
        runs, it runs to its end.

        Raises:
            Overloaded: too many calls wait.
            TickgraphError: as the pipeline says; nothing is stored.
        """

        def work(connection: Connection) -> Receipt:
            receipt = deliver(connection, opening, delivery)
            self.tally.add(delivery.kind, receipt)
            return receipt

        return await self._call(work, repeatable=True, admitted=admitted, after=after)

    async def run(self, work: Callable[[Connection], T], *, repeatable: bool = False) -> T:
        """Do other work on a writer's connection, which is outside a transaction.

        `repeatable` work is done again after a transient fault.

        Raises:
            Overloaded: too many calls wait.
            TickgraphError: as the work says.
        """
        return await self._call(work, repeatable=repeatable)

    async def close(self, timeout_s: float = CLOSE_S) -> None:
        """Refuse what waits, wait for what is under way, cancel what takes longer; bounded."""
        with self._lock:
            self._stopping.set()
        for _ in self._threads:
            self._queue.put(None)
        if not await asyncio.to_thread(self._ended, timeout_s):
            for writer in self._writers:
                await asyncio.to_thread(writer.cancel)
            if not await asyncio.to_thread(self._ended, _CANCELLED_S):
                _LOG.warning("a write that does not end is left behind; it will not be committed")

    def _ended(self, timeout_s: float) -> bool:
        give_up_at = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, give_up_at - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    async def _call(
        self,
        work: Callable[[Connection], T],
        *,
        repeatable: bool,
        admitted: bool = False,
        after: Callable[[], None] | None = None,
    ) -> T:
        future: Future[T] = Future()
        if after is not None:
            future.add_done_callback(lambda _: after())
        try:
            with self._lock:
                if not admitted or self._stopping.is_set():
                    self._require_room()
                self._open += 1
                future.add_done_callback(self._left)
                self._queue.put(_Job(work=work, repeatable=repeatable, future=future))
        except Overloaded:
            future.cancel()
            raise
        return await asyncio.wrap_future(future)

    def _require_room(self) -> None:
        if self._stopping.is_set():
            raise Overloaded("the server is about to end", retry_after_s=_STOPPING_RETRY_S)
        if self._open >= self._bound:
            raise self.overloaded()

    def _left(self, future: "Future[Any]") -> None:
        with self._lock:
            self._open -= 1

    def _serve(self, writer: Writer) -> None:
        """Be a writer: take calls until told to end."""
        while (job := self._queue.get()) is not None:
            if job.future.set_running_or_notify_cancel():
                self._do(writer, job)
            del job
        writer.close()

    def _do(self, writer: Writer, job: _Job) -> None:
        if self._stopping.is_set():
            ending = Overloaded("the server is about to end", retry_after_s=_STOPPING_RETRY_S)
            job.future.set_exception(ending)
            return
        began = time.monotonic()
        with self._lock:
            self._running += 1
        try:
            result = writer.perform(job.work, repeatable=job.repeatable)
        except BaseException as error:
            self._took(time.monotonic() - began)
            job.future.set_exception(error)
        else:
            self._took(time.monotonic() - began)
            self._tell()
            job.future.set_result(result)

    def _took(self, seconds: float) -> None:
        with self._lock:
            self._running -= 1
            self._mean_s += (seconds - self._mean_s) / 8

    def _tell(self) -> None:
        if self._on_written is not None and self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._on_written)
