"""Hear of commits as they happen; what is not heard is found in the log all the same."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import asyncpg

from app.storage.batches import CHANNEL

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0


class Notifications:
    """Calls `on_batch` after each commit of a batch, and after each time it could not listen."""

    def __init__(self, url: str, on_batch: Callable[[], None], *, timeout_s: float) -> None:
        self._url = url
        self._on_batch = on_batch
        self._timeout_s = timeout_s
        self.connected = False

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is made again."""
        pause = _FIRST_PAUSE_S
        while True:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._listen()
                pause = _FIRST_PAUSE_S
            self.connected = False
            self._on_batch()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _listen(self) -> None:
        """Listen until the connection ends."""
        connection = await asyncpg.connect(
            self._url,
            timeout=self._timeout_s,
            server_settings={"application_name": "tickgraph live"},
        )
        ended = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: ended.set())
            await connection.add_listener(CHANNEL, lambda *_: self._on_batch())
            self.connected = True
            self._on_batch()
            await ended.wait()
        finally:
            connection.terminate()
