"""Read trades page by page, of many instruments at once, oldest first."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from app.errors import BadCursor
from app.query.looks import Look, check_page, first_look, look
from app.query.market import Market
from app.query.trade_shapes import TradeShape
from app.storage.reader import Reader

T = TypeVar("T")

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST_LOOK = timedelta(days=7)  # one chunk

# page: the next trades of an instrument after a key, in the order of the key.
PAGE = """
    SELECT event_time, trade_id, price, size, session, trading_date, order_key
    FROM trade
    WHERE instrument_id = s.instrument_id
      AND event_time >= s.first_time AND event_time < s.end_time
      AND event_time >= $1 AND event_time < $2
      AND (s.after IS NULL OR order_key > s.after)
      AND NOT cancelled
    ORDER BY event_time, trade_id
    LIMIT $7
"""
# trades: each instrument's page in a shape; one without trades has a row too.
TRADES = """
SELECT s.part, f.*
FROM unnest($3::integer[], $4::timestamptz[], $5::timestamptz[], $6::uuid[]) WITH ORDINALITY
     AS s (instrument_id, first_time, end_time, after, part)
LEFT JOIN LATERAL ({page}) AS f ON true
ORDER BY s.part
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradePage:
    """Which trades: within [start, end), after a cursor, the first so many."""

    start: datetime | None
    end: datetime | None
    first: int
    after: str | None


def trade_page(
    start: datetime | None, end: datetime | None, first: int, after: str | None, max_points: int
) -> TradePage:
    """Check the arguments of a trade list.

    Raises:
        BadRange, RangeTooLarge, BadInput, BadCursor: one of them cannot be used.
    """
    check_page(start, end, first, max_points)
    if after is not None:
        _time_of(after)
    return TradePage(start=start, end=end, first=first, after=after)


async def read_trades(
    market: Market, instrument_ids: Sequence[int], page: TradePage, shape: TradeShape[T]
) -> list[T]:
    """Give each instrument's page. The number of statements does not depend on their number."""
    found = [shape.read((), page.first) for _ in instrument_ids]
    known = await market.book.anew(list(set(instrument_ids)))
    looks: list[Look] = []
    for place, instrument_id in enumerate(instrument_ids):
        extent = known[instrument_id].extents.get(0)
        if extent is None:
            continue
        start = max(
            moment
            for moment in (extent.first_time, page.start, page.after and _time_of(page.after))
            if moment
        )
        end = extent.last_time + timedelta(microseconds=1)
        if page.end is not None:
            end = min(end, page.end)
        looks += first_look(place, instrument_id, start, end, _FIRST_LOOK)
    read = partial(_read, market.reader, page, shape)
    return await look(looks, read, shape.has_next, found)


async def _read(
    reader: Reader, page: TradePage, shape: TradeShape[T], looks: Sequence[Look]
) -> dict[int, T]:
    rows = await reader.fetch(
        TRADES.format(page=shape.sql(PAGE)),
        min(each.start for each in looks),
        max(each.until for each in looks),
        [each.instrument_id for each in looks],
        [each.start for each in looks],
        [each.until for each in looks],
        [page.after] * len(looks),
        page.first + 1,
        page.first,
    )
    return {
        looks[part - 1].place: shape.read(list(own), page.first)
        for part, own in groupby(rows, key=itemgetter("part"))
    }


def _time_of(order_key: str) -> datetime:
    """Give the event time that an order key begins with."""
    try:
        high = uuid.UUID(hex=order_key).int >> 64
        return _POSTGRES_EPOCH + timedelta(microseconds=high - (1 << 63))
    except (ValueError, OverflowError) as error:
        raise BadCursor(f"{order_key!r} is no cursor of a trade list") from error
