"""Screens equal a recomputation from the raw rows, number by number, in order."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pytest

from app.market.candle import Session
from app.market.candle_spec import Adjust
from app.market.instrument import AssetClass
from app.query.market import Market
from app.query.screens.question import (
    Bounds,
    Direction,
    Extreme,
    Measure,
    Order,
    ScreenKind,
    Side,
    screen_of,
)
from app.query.screens.screen import ScreenPage, read_screen
from app.rollups.refresh import refresh
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.reading import reading
from tests.query.screens.listing import SPLITS, instruments, rows, store, store_splits
from tests.query.screens.recompute import COLUMNS, Row, Truth

LISTED = instruments()
TRUTH = Truth(LISTED, [raw for each in LISTED for raw in rows(each)], SPLITS)
MICS = ("XNYS", "XLON", "XTKS", "24/7")
# The present; a Monday; the day after a holiday of New York; the day of one of the splits; one on
# which only some venues are open; a weekend; one so early that there is no year before it.
DATES = [
    None,
    date(2024, 6, 10),
    date(2024, 5, 28),
    date(2024, 6, 24),
    date(2024, 5, 27),
    date(2024, 6, 9),
    date(2023, 5, 24),
]


@pytest.fixture(scope="module")
def stored(database: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> TestDatabase:
    folder = tmp_path_factory.mktemp("rows")
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        store(connection, folder, LISTED, [raw for each in LISTED for raw in rows(each)])
        store_splits(connection, folder, SPLITS)
        refresh(connection)
    return database


@pytest.fixture
async def market(stored: TestDatabase) -> AsyncIterator[Market]:
    async with reading(stored.url) as opened:
        yield opened


def dates_on(on: date | None) -> dict[str, date]:
    return TRUTH.present() if on is None else dict.fromkeys(MICS, on)


def shown(page: ScreenPage) -> list[Row]:
    return [Row(**{name: getattr(row, name) for name in COLUMNS}) for row in page.rows]


def in_order(found: list[Row], measure: str, *, largest_first: bool) -> list[Row]:
    def place(row: Row) -> tuple[bool, Decimal, str]:
        value = getattr(row, measure)
        number = Decimal(0) if value is None else Decimal(value)
        return (value is None, -number if largest_first else number, row.symbol)

    return sorted(found, key=place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a well-known screen means."""

    is_match: Callable[[Row], bool]
    measure: str
    largest_first: bool


WANTED = {
    ScreenKind.TOP_GAINERS: Wanted(
        is_match=lambda row: row.change_percent is not None and row.change_percent > 0,
        measure="change_percent",
        largest_first=True,
    ),
    ScreenKind.TOP_LOSERS: Wanted(
        is_match=lambda row: row.change_percent is not None and row.change_percent < 0,
        measure="change_percent",
        largest_first=False,
    ),
    ScreenKind.MOST_ACTIVE: Wanted(
        is_match=lambda row: row.volume > 0, measure="volume", largest_first=True
    ),
    ScreenKind.NEW_HIGHS: Wanted(
        is_match=lambda row: row.new_high is True, measure="change_percent", largest_first=True
    ),
    ScreenKind.NEW_LOWS: Wanted(
        is_match=lambda row: row.new_low is True, measure="change_percent", largest_first=False
    ),
    ScreenKind.GAP_UP: Wanted(
        is_match=lambda row: row.gap_percent is not None and row.gap_percent > 0,
        measure="gap_percent",
        largest_first=True,
    ),
    ScreenKind.GAP_DOWN: Wanted(
        is_match=lambda row: row.gap_percent is not None and row.gap_percent < 0,
        measure="gap_percent",
        largest_first=False,
    ),
}


@pytest.mark.parametrize("on", DATES, ids=str)
async def test_well_known_screens_equal_recomputation(market: Market, on: date | None) -> None:
    dates = dates_on(on)
    truth = TRUTH.rows(dates)
    for kind, wanted in WANTED.items():
        page = await read_screen(market, screen_of(kind=kind, on=on), None, 1000)
        matches = [row for row in truth if wanted.is_match(row)]
        expected = in_order(matches, wanted.measure, largest_first=wanted.largest_first)
        assert shown(page) == expected, kind
        assert page.matches == len(expected)
        assert page.dates == {mic: dates[mic] for mic in sorted(MICS)}
    assert bool(truth) is (on is None or on.weekday() < 5 or "24/7" in dates)


@pytest.mark.parametrize("session", list(Session))
async def test_days_of_a_session_equal_recomputation(market: Market, session: Session) -> None:
    on = date(2024, 6, 26)
    page = await read_screen(market, screen_of(on=on, session=session), None, 1000)
    truth = TRUTH.rows(dates_on(on), session=session)
    assert truth
    assert shown(page) == sorted(truth, key=lambda row: row.symbol)


async def test_without_adjustment_prices_are_as_stored(market: Market) -> None:
    page = await read_screen(market, screen_of(adjust=Adjust.NONE), None, 1000)
    truth = TRUTH.rows(dates_on(None), adjust=False)
    assert shown(page) == sorted(truth, key=lambda row: row.symbol)
    adjusted = await read_screen(market, screen_of(), None, 1000)
    assert shown(adjusted) == sorted(TRUTH.rows(dates_on(None)), key=lambda row: row.symbol)
    assert shown(adjusted) != shown(page)


async def test_a_split_on_the_day_is_no_loss(market: Market) -> None:
    (split,) = (each for each in SPLITS if each.symbol == "XNY00")
    rows = {each.symbol: each for each in (await read_screen(market, screen_of(), None, 1000)).rows}
    plain = await read_screen(market, screen_of(adjust=Adjust.NONE), None, 1000)
    stored = {each.symbol: each for each in plain.rows}
    own, as_stored = rows["XNY00"], stored["XNY00"]
    assert as_stored.previous_close is not None
    assert own.close == as_stored.close
    assert own.previous_close == (as_stored.previous_close / split.new).quantize(Decimal("1e-10"))


@pytest.mark.parametrize("days", [1, 20, 260])
@pytest.mark.parametrize("side", list(Side))
async def test_new_highs_and_lows_of_some_days(market: Market, side: Side, days: int) -> None:
    for on in (None, date(2024, 6, 10)):
        asked = screen_of(on=on, extremes=(Extreme(side=side, days=days),))
        page = await read_screen(market, asked, None, 1000)
        dates, above = dates_on(on), side is Side.ABOVE
        truth = [row for row in TRUTH.rows(dates) if TRUTH.exceeded(row, days, dates, above=above)]
        assert truth
        assert shown(page) == sorted(truth, key=lambda row: row.symbol)


NUMBERS = [each for each in Measure if each is not Measure.SYMBOL]


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("measure", NUMBERS)
async def test_every_measure_orders_and_bounds(
    market: Market, measure: Measure, direction: Direction
) -> None:
    order = Order(measure=measure, direction=direction)
    everything = in_order(
        TRUTH.rows(dates_on(None)), measure.value, largest_first=direction is Direction.DESC
    )
    page = await read_screen(market, screen_of(order=order), None, 1000)
    assert shown(page) == everything
    values = [value for row in everything if (value := getattr(row, measure.value)) is not None]
    ordered = sorted(map(Decimal, values))
    least, most = ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4]
    bounds = (Bounds(measure=measure, least=least, most=most),)
    page = await read_screen(market, screen_of(order=order, bounds=bounds), None, 1000)
    assert shown(page) == [
        row
        for row in everything
        if getattr(row, measure.value) is not None and least <= getattr(row, measure.value) <= most
    ]


async def test_instruments_are_chosen_by_exchange_class_and_currency(market: Market) -> None:
    asked = screen_of(
        exchanges=("XLON", "XTKS"), asset_classes=(AssetClass.ETF,), currencies=("USD", "EUR")
    )
    page = await read_screen(market, asked, None, 1000)
    own = {each.symbol: each for each in LISTED}
    truth = [
        row
        for row in TRUTH.rows(dates_on(None))
        if own[row.symbol].exchange in ("XLON", "XTKS")
        and own[row.symbol].asset_class is AssetClass.ETF
    ]
    assert truth
    assert shown(page) == sorted(truth, key=lambda row: row.symbol)
    assert set(page.dates) == {"XLON", "XTKS"}
    other = await read_screen(market, screen_of(currencies=("EUR",)), None, 1000)
    assert other.rows == ()
