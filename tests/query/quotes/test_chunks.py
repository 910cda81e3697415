"""However many chunks of quotes there are, a question touches those of its own time."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.market.candle_spec import CandleSpec
from app.market.interval import Interval
from app.market.quote import AsOf
from app.query.market import Market
from app.query.quotes.asof import read_trade_quotes
from app.query.quotes.effective_spread import read_effective_spread
from app.query.quotes.in_force import read_in_force, read_latest_quotes
from app.query.quotes.pages import quote_page, read_quotes
from app.query.quotes.series import read_quote_series
from app.query.quotes.spreads import read_spread_statistics
from app.query.trades import trade_page
from app.query.window import Window
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.market import store_trades
from tests.query.quotes.quoted import RawQuote, store_quotes
from tests.query.reading import market_of, reading, subjects_of
from tests.query.recompute import RawTrade
from tests.query.test_chunks import Explaining

START = datetime(2023, 1, 2, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
DAYS = {"native": 400, "embedded": 40, "given": 400}


@pytest.fixture(scope="module")
async def explained(
    database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Market, Explaining]]:
    """Quotes and trades of some hundred days, each a chunk of quotes."""
    folder = tmp_path_factory.mktemp("quotes")
    times = [START + n * DAY + 12 * HOUR for n in range(DAYS[database.kind])]
    quotes = [RawQuote(time=each, quote_id=1, bid=Decimal(9), ask=Decimal(11)) for each in times]
    trades = [
        RawTrade(time=each + HOUR, trade_id=1, price=Decimal(10), size=Decimal(1),
                 trading_date=each.date())
        for each in times
    ]  # fmt: skip
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        store_quotes(connection, folder, "Q", "24/7", quotes)
        store_trades(connection, folder, "Q", "24/7", trades)
        chunks = connection.execute("SELECT count(*) FROM show_chunks('quote')").fetchone()
        assert chunks == (len(times),)
    async with reading(database.url) as opened:
        reader = Explaining(opened.reader)
        yield await market_of(reader), reader


@pytest.fixture
def fresh(explained: tuple[Market, Explaining]) -> tuple[Market, Explaining]:
    explained[1].chunks.clear()
    return explained


async def test_the_quote_in_force_touches_the_days_before(
    fresh: tuple[Market, Explaining],
) -> None:
    market, reader = fresh
    (subject,) = await subjects_of(reader, "Q")
    (found,) = await read_in_force(market, [(subject.instrument_id, START + 20 * DAY)])
    assert found is not None
    assert found.time == START + 19 * DAY + 12 * HOUR
    assert reader.most <= 5


async def test_the_newest_quote_touches_the_last_days(fresh: tuple[Market, Explaining]) -> None:
    market, reader = fresh
    (subject,) = await subjects_of(reader, "Q")
    (found,) = await read_latest_quotes(market, [subject.instrument_id])
    assert found is not None
    assert reader.most <= 5


async def test_a_page_touches_the_days_that_it_looks_at(fresh: tuple[Market, Explaining]) -> None:
    market, reader = fresh
    (subject,) = await subjects_of(reader, "Q")
    page = quote_page(START + 9 * DAY, None, 2, None, 1000)
    (found,) = await read_quotes(market, [subject.instrument_id], page)
    assert len(found.quotes) == 2
    assert reader.most <= 5


@pytest.mark.parametrize(
    "window", [Window(start=START + 9 * DAY, end=START + 11 * DAY), Window(last=2)]
)
async def test_columns_touch_their_own_days_and_those_before(
    fresh: tuple[Market, Explaining], window: Window
) -> None:
    market, reader = fresh
    subjects = await subjects_of(reader, "Q")
    spec = CandleSpec(interval=Interval.parse("1d"))
    (found,) = await read_quote_series(market, subjects, spec, window)
    assert len(found.time) == 2  # type: ignore[union-attr]
    # The look back for the newest begins with three times as many buckets.
    assert reader.most <= 15


async def test_statistics_touch_their_own_days_and_those_before(
    fresh: tuple[Market, Explaining],
) -> None:
    market, reader = fresh
    subjects = await subjects_of(reader, "Q")
    start, end = START + 20 * DAY, START + 22 * DAY
    (found,) = await read_spread_statistics(market, subjects, start, end)
    assert found.quotes == 2  # type: ignore[union-attr]
    assert reader.most <= 8


async def test_trades_with_quotes_touch_their_own_days_and_those_before(
    fresh: tuple[Market, Explaining],
) -> None:
    market, reader = fresh
    subjects = await subjects_of(reader, "Q")
    start, end = START + 20 * DAY, START + 22 * DAY
    page = trade_page(start, end, 10, None, 1000)
    (found,) = await read_trade_quotes(market, [subjects[0].instrument_id], page, AsOf())
    assert [each.quote is not None for each in found.trades] == [True, True]
    (statistics,) = await read_effective_spread(market, subjects, start, end, AsOf(), HOUR)
    assert statistics.matched == 2  # type: ignore[union-attr]
    assert reader.most <= 12
