"""Keep the roll-ups on the heels of the commit log, and old rows in order, while a server runs."""

import asyncio
import logging
import time

from app.errors import TickgraphError
from app.rollups.compression import compress
from app.rollups.policies import Policies
from app.rollups.refresh import refresh
from app.rollups.retention import retain
from app.storage.database import connect

_LOG = logging.getLogger("tickgraph.refresher")

# Chunks are days long: an hour more or less does not matter to them.
POLICIES_EVERY_S = 3600.0
# After a wake, so that one refresh follows a burst of writes.
SOON_S = 0.5


class Refresher:
    """Looks for unfollowed batches every `interval_s`; one at a time across all processes."""

    def __init__(
        self,
        url: str,
        *,
        interval_s: float,
        connect_timeout_s: float,
        statement_timeout_s: float,
        policies: Policies,
    ) -> None:
        self._url = url
        self._interval_s = interval_s
        self._connect_timeout_s = connect_timeout_s
        self._statement_timeout_s = statement_timeout_s
        self._policies = policies
        self._policies_due = time.monotonic()
        self._stopping = False
        self._due = asyncio.Event()

    async def run(self) -> None:
        """Refresh until told to stop; a failure is logged and tried again."""
        while not self._stopping:
            self._due.clear()
            try:
                await asyncio.to_thread(self._once)
            except TickgraphError as error:
                _LOG.warning("roll-ups and old rows could not be seen to: %s", error.message)
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._due.wait()
            except TimeoutError:
                continue
            if not self._stopping:
                await asyncio.sleep(min(SOON_S, self._interval_s))

    def wake(self) -> None:
        """Look soon, since something was written; to be called in the event loop."""
        self._due.set()

    def stop(self) -> None:
        """End after the refresh that is under way."""
        self._stopping = True
        self._due.set()

    def _once(self) -> None:
        with connect(
            self._url,
            timeout_s=self._connect_timeout_s,
            statement_timeout_s=self._statement_timeout_s,
        ) as connection:
            refresh(connection)
            if not self._policies.none and time.monotonic() >= self._policies_due:
                # Also where it fails: the roll-ups must not wait for it every few seconds.
                self._policies_due = time.monotonic() + POLICIES_EVERY_S
                retain(connection, self._policies)
                compress(connection, self._policies)
