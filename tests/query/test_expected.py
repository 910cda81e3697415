"""How far back buckets can be expected: as far as the venue's calendar is known."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from app.errors import BadRange, RangeTooLarge, TickgraphError
from app.market.candle_spec import CandleSpec
from app.market.grid import Micros, moment_of
from app.market.interval import Interval
from app.query.expected import Expectation, Stretch, expectations, expected_in
from app.query.window import Window
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.market import store_trades
from tests.query.reading import reading, subjects_of
from tests.query.recompute import RawTrade

DAY = CandleSpec(interval=Interval.parse("1d"))
END = datetime(1997, 3, 1, tzinfo=UTC)


async def starts(start: datetime, last: int | None, limit: int = 1000) -> Micros | TickgraphError:
    stretch = Stretch(mic="XTKS", start=start, end=END, last=last)
    return (await expected_in({stretch: DAY.interval}, DAY, limit))[stretch]


async def test_a_range_before_the_calendar_is_refused() -> None:
    found = await starts(datetime(1990, 1, 1, tzinfo=UTC), None)
    assert isinstance(found, BadRange)
    assert "1990-01-01" in found.message
    assert "from 1997-01-01" in found.message


async def test_the_newest_need_only_be_known_as_far_as_they_go() -> None:
    found = await starts(datetime(1990, 1, 1, tzinfo=UTC), 20)
    assert not isinstance(found, TickgraphError)
    assert len(found) == 20
    assert isinstance(await starts(datetime(1990, 1, 1, tzinfo=UTC), 200), BadRange)


async def test_more_than_the_limit_is_an_error_of_its_own() -> None:
    found = await starts(datetime(1997, 1, 2, tzinfo=UTC), None, limit=10)
    assert isinstance(found, RangeTooLarge)


async def test_nothing_is_expected_before_the_first_data_or_after_the_newest(
    native_database: TestDatabase, tmp_path: Path
) -> None:
    days = [date(2024, 6, 3), date(2024, 6, 6)]
    trades = [
        RawTrade(
            time=datetime(day.year, day.month, day.day, 3, tzinfo=UTC), trade_id=1,
            price=Decimal(1), size=Decimal(1), trading_date=day,
        )
        for day in days
    ]  # fmt: skip
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_trades(connection, tmp_path, "S", "XTKS", trades)
    async with reading(native_database.url) as market:
        subjects = await subjects_of(market.reader, "S")
        facts = await market.book.of([subjects[0].instrument_id])
        (found,) = await expectations(
            market, subjects, facts, DAY, Window(start=datetime(2024, 1, 1, tzinfo=UTC))
        )
        (beside,) = await expectations(
            market, subjects, facts, DAY, Window(start=datetime(2024, 7, 1, tzinfo=UTC))
        )
    assert isinstance(found, Expectation)
    assert [moment_of(each).day for each in found.starts.tolist()] == [3, 4, 5, 6]
    assert found.final_before == datetime(2024, 6, 6, tzinfo=UTC)
    assert beside is None
