"""Keep the roll-ups on the heels of the commit log while a server runs."""

import asyncio
import logging

from app.errors import TickgraphError
from app.rollups.refresh import refresh
from app.storage.database import connect

_LOG = logging.getLogger("tickgraph.refresher")


class Refresher:
    """Looks for unfollowed batches every `interval_s`; one at a time across all processes."""

    def __init__(
        self, url: str, *, interval_s: float, connect_timeout_s: float, statement_timeout_s: float
    ) -> None:
        self._url = url
        self._interval_s = interval_s
        self._connect_timeout_s = connect_timeout_s
        self._statement_timeout_s = statement_timeout_s
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Refresh until told to stop; a failure is logged and tried again."""
        while not self._stopping.is_set():
            try:
                await asyncio.to_thread(self._once)
            except TickgraphError as error:
                _LOG.warning("roll-ups could not be refreshed: %s", error.message)
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    def stop(self) -> None:
        """End after the refresh that is under way."""
        self._stopping.set()

    def _once(self) -> None:
        with connect(
            self._url,
            timeout_s=self._connect_timeout_s,
            statement_timeout_s=self._statement_timeout_s,
        ) as connection:
            refresh(connection)
