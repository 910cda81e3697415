"""Where the hub's moments come from: snapshots of the database, read as queries read it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

from app.live.moment import Moment
from app.query.changes import newest_batch
from app.query.market import open_market
from app.storage.snapshots import Snapshots


def moments(
    snapshots: Snapshots, *, continuous: bool, max_points: int, lateness: timedelta
) -> Callable[[], AbstractAsyncContextManager[Moment]]:
    """Give what takes a moment: a market in which everything is of one snapshot.

    `continuous` tells that the roll-ups are continuous aggregates (app.query.market).
    """

    @asynccontextmanager
    async def take() -> AsyncIterator[Moment]:
        async with snapshots.begin() as reader:
            newest = await newest_batch(reader)
            market = open_market(
                reader,
                continuous=continuous,
                max_points=max_points,
                lateness=lateness,
                cache_bytes=0,
            )
            yield Moment(market=market, newest=newest)

    return take
