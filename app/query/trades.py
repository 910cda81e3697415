"""Read trades page by page, of many instruments at once, oldest first."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from app.errors import BadCursor, BadInput, BadRange, RangeTooLarge
from app.market.candle import Session, Trade
from app.query.facts import facts_of
from app.storage.reader import Reader

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST_LOOK = timedelta(days=7)  # one chunk
_WIDEN = 8

# trades_page: the next trades of each instrument after a key, in the order of the key.
TRADES = """
SELECT s.part, t.*
FROM unnest($3::integer[], $4::timestamptz[], $5::timestamptz[], $6::uuid[]) WITH ORDINALITY
     AS s (instrument_id, first_time, end_time, after, part)
CROSS JOIN LATERAL (
    SELECT event_time, trade_id, price, size, session, trading_date, order_key
    FROM trade
    WHERE instrument_id = s.instrument_id
      AND event_time >= s.first_time AND event_time < s.end_time
      AND event_time >= $1 AND event_time < $2
      AND (s.after IS NULL OR order_key > s.after)
      AND NOT cancelled
    ORDER BY event_time, trade_id
    LIMIT $7
) AS t
ORDER BY s.part, t.event_time, t.trade_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradePage:
    """Which trades: within [start, end), after a cursor, the first so many."""

    start: datetime | None
    end: datetime | None
    first: int
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades:
    """One page, and whether there is more behind it."""

    trades: list[Trade]
    has_next: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    place: int
    instrument_id: int
    start: datetime
    until: datetime
    end: datetime


def trade_page(
    start: datetime | None, end: datetime | None, first: int, after: str | None, max_points: int
) -> TradePage:
    """Check the arguments of a trade list.

    Raises:
        BadRange, RangeTooLarge, BadInput, BadCursor: one of them cannot be used.
    """
    if start is not None and end is not None and start > end:
        raise BadRange(f"`from` {start.isoformat()} is after `to` {end.isoformat()}")
    if first < 0:
        raise BadInput(f"`first` is {first}: it must be from 0 to {max_points}")
    if first > max_points:
        raise RangeTooLarge(f"`first` is {first}: at most {max_points} are given at once")
    if after is not None:
        _time_of(after)
    return TradePage(start=start, end=end, first=first, after=after)


async def read_trades(
    reader: Reader, instrument_ids: Sequence[int], page: TradePage
) -> list[Trades]:
    """Give each instrument's page. The number of statements does not depend on their number."""
    found: list[list[Trade]] = [[] for _ in instrument_ids]
    known = await facts_of(reader, instrument_ids, continuous=False)
    looks = []
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
        if start < end:
            until = min(end, start + _FIRST_LOOK)
            looks.append(
                _Look(place=place, instrument_id=instrument_id, start=start, until=until, end=end)
            )
    while looks:
        for place, trade in await _read(reader, looks, page):
            found[place].append(trade)
        looks = [
            _further(look, found)
            for look in looks
            if len(found[look.place]) <= page.first and look.until < look.end
        ]
    return [
        Trades(trades=trades[: page.first], has_next=len(trades) > page.first) for trades in found
    ]


def _further(look: _Look, found: list[list[Trade]]) -> _Look:
    """Look again from the start, further: a page is one ordered read."""
    found[look.place].clear()
    reach = (look.until - look.start) * _WIDEN
    until = look.end if look.end - look.start <= reach else look.start + reach
    return replace(look, until=until)


async def _read(reader: Reader, looks: Sequence[_Look], page: TradePage) -> list[tuple[int, Trade]]:
    rows = await reader.fetch(
        TRADES,
        min(look.start for look in looks),
        max(look.until for look in looks),
        [look.instrument_id for look in looks],
        [look.start for look in looks],
        [look.until for look in looks],
        [page.after] * len(looks),
        page.first + 1,
    )
    return [
        (
            looks[row["part"] - 1].place,
            Trade(
                time=row["event_time"],
                trade_id=row["trade_id"],
                price=row["price"],
                size=row["size"],
                session=Session(row["session"]),
                trading_date=row["trading_date"],
                order_key=row["order_key"].hex,
            ),
        )
        for row in rows
    ]


def _time_of(order_key: str) -> datetime:
    """Give the event time that an order key begins with."""
    try:
        high = uuid.UUID(hex=order_key).int >> 64
        return _POSTGRES_EPOCH + timedelta(microseconds=high - (1 << 63))
    except (ValueError, OverflowError) as error:
        raise BadCursor(f"{order_key!r} is no cursor of a trade list") from error
