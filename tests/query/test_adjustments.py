"""Adjusted answers are never older than the actions and closes that are committed; and cheap."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import orjson
import pytest

from app.errors import TickgraphError
from app.market.adjustment import Unused
from app.market.candle_spec import Adjust, CandleSpec
from app.market.interval import Interval
from app.query.adjusted import ActionRange, read_actions, read_adjusted_trades
from app.query.cached_candles import cached_candles
from app.query.candles import read_candles
from app.query.changes import touched
from app.query.explaining import explain_candles
from app.query.market import Market
from app.query.shapes import Candles, JsonRows
from app.query.trades import trade_page
from app.query.window import Window
from app.rollups.refresh import refresh
from app.storage.database import Connection, connect
from tests.conftest import TestDatabase
from tests.ingestion.imports import load, new_instruments, write_rows
from tests.query.actions import store_actions
from tests.query.reading import reading, subjects_of

ALL = CandleSpec(interval=Interval.parse("1d"), adjust=Adjust.ALL)
FIRST = date(2024, 1, 1)
EVERY = Window(last=1000)
_SYMBOLS = count()


@pytest.fixture(scope="module")
def connection(native_database: TestDatabase) -> Iterator[Connection]:
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as opened:
        yield opened


@pytest.fixture
def symbol(connection: Connection, tmp_path: Path) -> str:
    made = f"S{next(_SYMBOLS)}"
    store_days(connection, tmp_path, made, range(10))
    return made


def on(day: int) -> str:
    return (FIRST + timedelta(days=day)).isoformat()


def store_days(
    connection: Connection, folder: Path, symbol: str, days: range, close: int = 100
) -> None:
    """Store bars of some days, all at one price, or correct them."""
    rows = [(symbol, on(day), *[close] * 4, 1000) for day in days]
    header = ("symbol", "time", "open", "high", "low", "close", "volume")
    path = write_rows(folder / "bars.csv", header, rows)
    load(connection, path, interval="1d", create=new_instruments(), replace=True)


class Statements(list[str]):
    """What is read, but for looks at the log; `at` does something before a statement, once."""

    def __init__(self) -> None:
        self.at: dict[str, Callable[[], None]] = {}

    def append(self, sql: str) -> None:
        if "look_at_log" in sql:
            return
        super().append(sql)
        for words in list(self.at):
            if words in sql:
                self.at.pop(words)()


@asynccontextmanager
async def counted(url: str) -> AsyncIterator[tuple[Market, Statements]]:
    statements = Statements()
    async with reading(url, statements) as market:
        yield market, statements


async def closes(
    market: Market, symbol: str, window: Window = EVERY, spec: CandleSpec = ALL
) -> list[Decimal]:
    subjects = await subjects_of(market.reader, symbol)
    (answer,) = await read_candles(market, subjects, spec, window, Candles())
    assert not isinstance(answer, TickgraphError)
    return [each.close for each in answer.value]


async def cached(market: Market, symbol: str, window: Window) -> list[str]:
    subjects = await subjects_of(market.reader, symbol)
    (answer,) = await cached_candles(market, subjects, ALL, window, JsonRows((("c", "close"),)))
    assert not isinstance(answer, TickgraphError)
    return [each["c"] for each in orjson.loads(answer.value)]


async def unused(market: Market, symbol: str) -> list[Unused | None]:
    wanted = ActionRange(start=None, end=None, adjust=Adjust.ALL)
    (found,) = await read_actions(market, await subjects_of(market.reader, symbol), wanted)
    return [each.unused for each in found]


async def test_a_committed_action_shows_in_the_next_answer_and_a_correction_too(
    connection: Connection, native_database: TestDatabase, symbol: str, tmp_path: Path
) -> None:
    early = Window(start=datetime(2024, 1, 2, tzinfo=UTC), end=datetime(2024, 1, 3, tzinfo=UTC))
    async with reading(native_database.url) as market:
        assert await cached(market, symbol, early) == ["100"]
        assert await closes(market, symbol) == [100] * 10
        split = (symbol, on(5), "SPLIT", "", "2")
        store_actions(connection, tmp_path, [split])
        assert await cached(market, symbol, early) == ["50"]
        assert await closes(market, symbol) == [50] * 5 + [100] * 5
        corrected = (symbol, on(5), "SPLIT", "", "4")
        store_actions(connection, tmp_path, [corrected], replace=True)
        assert await cached(market, symbol, early) == ["25"]
        assert await closes(market, symbol) == [25] * 5 + [100] * 5


async def test_a_corrected_close_before_an_ex_date_changes_what_is_before_it(
    connection: Connection, native_database: TestDatabase, symbol: str, tmp_path: Path
) -> None:
    early = Window(start=datetime(2024, 1, 2, tzinfo=UTC), end=datetime(2024, 1, 3, tzinfo=UTC))
    store_actions(connection, tmp_path, [(symbol, on(5), "DIVIDEND", "", "", "10")])
    async with reading(native_database.url) as market:
        assert await cached(market, symbol, early) == ["90"]
        store_days(connection, tmp_path, symbol, range(4, 5), close=40)
        assert await cached(market, symbol, early) == ["75"]
        assert (await closes(market, symbol))[:6] == [75, 75, 75, 75, 30, 100]


async def test_an_action_ahead_of_the_data_waits_for_its_date(
    connection: Connection, native_database: TestDatabase, symbol: str, tmp_path: Path
) -> None:
    early = Window(start=datetime(2024, 1, 2, tzinfo=UTC), end=datetime(2024, 1, 3, tzinfo=UTC))
    store_actions(connection, tmp_path, [(symbol, on(12), "SPLIT", "", "2")])
    async with reading(native_database.url) as market:
        assert await cached(market, symbol, early) == ["100"]
        assert await unused(market, symbol) == [Unused.NOT_YET]
        store_days(connection, tmp_path, symbol, range(10, 12))
        assert await cached(market, symbol, early) == ["100"]
        store_days(connection, tmp_path, symbol, range(12, 13), close=50)
        assert await cached(market, symbol, early) == ["50"]
        assert await closes(market, symbol) == [50] * 13
        assert await unused(market, symbol) == [None]


@pytest.mark.parametrize(
    "moment", ["LEFT JOIN corporate_action", "array_agg", "convert_to", "AS final"]
)
async def test_a_batch_between_the_statements_of_an_answer_is_in_it_or_all_after_it(
    connection: Connection,
    native_database: TestDatabase,
    symbol: str,
    tmp_path: Path,
    moment: str,
) -> None:
    store_actions(connection, tmp_path, [(symbol, on(5), "DIVIDEND", "", "", "10")])

    def meanwhile() -> None:
        split = (symbol, on(3), "SPLIT", "", "2")
        store_actions(connection, tmp_path, [split, (symbol, on(7), "SPLIT", "", "5")])
        store_days(connection, tmp_path, symbol, range(4, 5), close=50)

    async with counted(native_database.url) as (market, statements):
        await closes(market, symbol, spec=CandleSpec(interval=ALL.interval))  # facts are known
        statements.at[moment] = meanwhile
        # As of after the batch: 10 of a close of 50, and both splits.
        expected = [8, 8, 8, 16, 8, 20, 20, 100, 100, 100]
        if moment == "convert_to":
            assert await cached(market, symbol, EVERY) == [str(each) for each in expected]
        else:
            assert await closes(market, symbol) == expected
        assert not statements.at, "the statement was asked"
        # And what was remembered meanwhile is right.
        assert await closes(market, symbol) == expected


async def test_remembered_adjustments_cost_nothing_and_new_rows_leave_them_alone(
    connection: Connection, native_database: TestDatabase, symbol: str, tmp_path: Path
) -> None:
    store_actions(connection, tmp_path, [(symbol, on(5), "DIVIDEND", "", "", "10")])
    async with counted(native_database.url) as (market, statements):
        await closes(market, symbol)
        before = len(statements)
        await closes(market, symbol)
        assert len(statements) == before + 2  # the symbol, and the candles
        store_days(connection, tmp_path, symbol, range(10, 11))
        statements.clear()
        assert await closes(market, symbol) == [90] * 5 + [100] * 6
        assert not [each for each in statements if "corporate_action" in each]
        store_days(connection, tmp_path, symbol, range(2, 3), close=99)
        statements.clear()
        await closes(market, symbol)
        assert len([each for each in statements if "corporate_action" in each]) == 1


async def test_statements_do_not_grow_with_instruments_or_candles(
    connection: Connection, native_database: TestDatabase, tmp_path: Path
) -> None:
    symbols = [f"MANY{n}" for n in range(20)]
    for each in symbols:
        store_days(connection, tmp_path, each, range(10))
    rows = [(each, on(day), "DIVIDEND", "", "", "1") for each in symbols for day in (3, 5, 7)]
    store_actions(connection, tmp_path, rows)
    for read, cold, warm in (
        (lambda market, own: read_candles(market, own, ALL, EVERY, Candles()), 4, 1),
        (lambda market, own: explain_candles(market, own, ALL, EVERY), 5, 2),
    ):
        for amount in (1, 20):
            async with counted(native_database.url) as (market, statements):
                own = await subjects_of(market.reader, *symbols[:amount])
                for expected in (cold, warm):
                    statements.clear()
                    answers = await read(market, own)
                    assert not [each for each in answers if isinstance(each, TickgraphError)]
                    assert len(statements) == expected, list(statements)


async def test_unadjusted_answers_ask_for_no_actions(
    native_database: TestDatabase, symbol: str
) -> None:
    async with counted(native_database.url) as (market, statements):
        await closes(market, symbol, spec=CandleSpec(interval=ALL.interval))
        assert not [each for each in statements if "corporate_action" in each]


async def test_actions_make_no_roll_up_stale_and_are_no_news_to_subscribers(
    connection: Connection, native_database: TestDatabase, symbol: str, tmp_path: Path
) -> None:
    refresh(connection)
    async with reading(native_database.url) as market:
        (subject,) = await subjects_of(market.reader, symbol)
        newest = connection.execute("SELECT max(batch_id) FROM batch").fetchone()
        assert newest is not None
        store_actions(connection, tmp_path, [(symbol, on(5), "SPLIT", "", "2")])
        facts = (await market.book.of([subject.instrument_id]))[subject.instrument_id]
        assert facts.unfollowed == []
        assert await touched(market.reader, newest[0], [subject.instrument_id], 10) == []


async def test_trades_and_the_factors_they_are_adjusted_by_are_of_one_state(
    connection: Connection, native_database: TestDatabase, tmp_path: Path
) -> None:
    symbol = f"S{next(_SYMBOLS)}"
    rows = [(symbol, f"{on(day)}T12:00Z", 100, 10) for day in range(4)]
    path = write_rows(tmp_path / "t.csv", ("symbol", "time", "price", "size"), rows)
    load(connection, path, create=new_instruments())
    page = trade_page(None, None, 10, None, 10)

    def act() -> None:
        store_actions(connection, tmp_path, [(symbol, on(2), "SPLIT", "", "2")])

    async with counted(native_database.url) as (market, statements):
        own = await subjects_of(market.reader, symbol)
        (found,) = await read_adjusted_trades(market, own, page, Adjust.ALL)
        assert [each.price for each in found.trades] == [100] * 4
        statements.at["FROM trade\n"] = act
        (found,) = await read_adjusted_trades(market, own, page, Adjust.ALL)
        assert not statements.at
        assert [each.price for each in found.trades] == [50, 50, 100, 100]
        assert [each.size for each in found.trades] == [20, 20, 10, 10]
