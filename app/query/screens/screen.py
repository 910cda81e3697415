"""Read a page of a screen, from memory where no batch has come since."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from app.market.candle_spec import Adjust
from app.query.ledger import MARKS, marks_of
from app.query.market import Market
from app.query.screens.asked import Asked
from app.query.screens.lookback import VenueDay, venue_day
from app.query.screens.question import Measure, Place, Screen
from app.query.screens.statement import screen_statement
from app.query.screens.universe import Universe, universe_of
from app.storage.reader import Row

_ROW_BYTES = 2_000  # what a row takes in memory, about


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenRow:
    """An instrument's day beside what was before it; None where a number does not exist.

    Percents, averages and ratios are rounded to six digits behind the point.
    """

    instrument_id: int
    symbol: str
    date: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    notional: Decimal | None
    trades: int
    previous_close: Decimal | None
    change: Decimal | None
    change_percent: Decimal | None
    gap_percent: Decimal | None
    average_volume: Decimal | None
    relative_volume: Decimal | None
    high_52_week: Decimal
    low_52_week: Decimal
    new_high: bool | None
    new_low: bool | None

    def place(self, measure: Measure) -> Place:
        """Give its place in the order by a measure."""
        value = None if measure is Measure.SYMBOL else getattr(self, measure.value)
        return Place(value=None if value is None else Decimal(value), symbol=self.symbol)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenPage:
    """Rows in order, how many match in all, whether more follow, and each exchange's date."""

    rows: tuple[ScreenRow, ...]
    matches: int
    has_next: bool
    dates: Mapping[str, date]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A page and the newest batch that it knows of."""

    page: ScreenPage
    newest: int

    def __len__(self) -> int:
        """Give the size that counts."""
        return _ROW_BYTES * (1 + len(self.page.rows))


async def read_screen(
    market: Market, screen: Screen, after: Place | None, limit: int
) -> ScreenPage:
    """Give up to `limit` rows behind a place.

    Two statements: who is screened, and the screen itself, in one snapshot that holds every batch
    committed before the call. A page that was read before is used again where the newest batch is
    still the same: one small statement.

    Raises:
        BadInput: an exchange is not known.
        BadRange: the date lies in the future.
    """
    key = ("screen", screen, after, limit)
    memory = market.fragments.memory
    kept: _Kept | None = memory.peek(key)
    if kept is not None:
        (row,) = await market.reader.fetch(f"SELECT {MARKS}")
        if marks_of(row).newest == kept.newest:
            return kept.page
    universe = await universe_of(market.reader, screen)
    if not universe.groups:
        return ScreenPage(rows=(), matches=0, has_next=False, dates=universe.dates)
    venues = await asyncio.to_thread(_venues, universe, screen)
    asked = Asked(
        screen=screen,
        venues=venues,
        groups=universe.groups,
        stale=universe.stale,
        splits=universe.splits and screen.adjust is Adjust.SPLITS,
        after=after,
        limit=limit + 1,
    )
    rows = await _fetch(market, asked)
    newest = marks_of(rows[0]).newest
    if newest != universe.marks.newest:
        # What was left out, as there was nothing of it, may have come with a batch since. A
        # statement that leaves nothing out is right in its own snapshot, whatever that holds.
        everything = replace(asked, stale=True, splits=screen.adjust is Adjust.SPLITS)
        if everything != asked:
            rows = await _fetch(market, everything)
    page = _page(rows, limit, universe.dates)
    # Who is screened may have changed with what came between.
    if newest == universe.marks.newest:
        memory.keep(key, _Kept(page=page, newest=newest))
    return page


async def _fetch(market: Market, asked: Asked) -> list[Row]:
    sql, values = screen_statement(asked)
    return await market.reader.fetch(sql, *values)


def _venues(universe: Universe, screen: Screen) -> tuple[VenueDay, ...]:
    counts = frozenset(each.days for each in screen.extremes if each.days is not None)
    used = {group.mic for group in universe.groups}
    return tuple(
        venue_day(exchange, universe.dates[exchange.mic], counts)
        for exchange in universe.exchanges
        if exchange.mic in used
    )


def _page(rows: list[Row], limit: int, dates: Mapping[str, date]) -> ScreenPage:
    found = [_row(row) for row in rows if row["instrument_id"] is not None]
    return ScreenPage(
        rows=tuple(found[:limit]),
        matches=rows[0]["matches"],
        has_next=len(found) > limit,
        dates=dates,
    )


def _row(row: Row) -> ScreenRow:
    return ScreenRow(
        instrument_id=row["instrument_id"],
        symbol=row["symbol"],
        date=row["on_date"],
        open=row["open"],
        high=row["high"],
        low=row["low"],
        close=row["close"],
        volume=row["volume"],
        notional=row["notional"],
        trades=row["trades"],
        previous_close=row["previous_close"],
        change=row["change"],
        change_percent=row["change_percent"],
        gap_percent=row["gap_percent"],
        average_volume=row["average_volume"],
        relative_volume=row["relative_volume"],
        high_52_week=row["high_52_week"],
        low_52_week=row["low_52_week"],
        new_high=row["new_high"],
        new_low=row["new_low"],
    )
