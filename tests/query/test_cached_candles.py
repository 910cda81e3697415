"""Equal questions at one time are read once, and nobody gets what is older than the question."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import pytest

from app.errors import QueryTimeout, RangeTooLarge
from app.market.candle_spec import CandleSpec
from app.market.interval import Interval
from app.query import cached_candles as module
from app.query.cached_candles import Shaped, cached_candles
from app.query.candles import Answered, read_candles
from app.query.market import Market, Subject
from app.query.shapes import JsonRows
from app.query.window import Window
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.market import busy_trades, store_trades
from tests.query.reading import market_of, reading, subjects_of
from tests.query.recompute import RawTrade

START = datetime(2026, 5, 4, tzinfo=UTC)
MINUTE = CandleSpec(interval=Interval.parse("1m"))
NEWEST = Window(last=3)


def at_one_time() -> float:
    """Stand still: however slow the machine, all who ask do so at the time of the only look."""
    return 1.0


SHAPE = JsonRows((("time", "time"), ("close", "close")))


class Reads:
    """Stands in for read_candles: counts, and does with each read what the test says."""

    def __init__(self) -> None:
        self.began = 0
        self.came = 0
        self.read = asyncio.Event()
        self.go_on = asyncio.Event()
        self.failing = False

    async def __call__(self, *arguments: Any) -> Sequence[Any]:
        self.began += 1
        answers = await read_candles(*arguments)
        self.came += 1
        self.read.set()
        await self.go_on.wait()
        if self.failing:
            raise QueryTimeout
        return answers


@pytest.fixture
async def reads() -> AsyncIterator[Reads]:
    reads = Reads()
    with patch.object(module, "read_candles", reads):
        yield reads


@pytest.fixture(scope="module")
def trades() -> list[RawTrade]:
    return busy_trades(1, START, 300, 40.0)


@pytest.fixture(scope="module")
def url(
    native_database: TestDatabase,
    tmp_path_factory: pytest.TempPathFactory,
    trades: list[RawTrade],
) -> str:
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        for symbol in ("A", "B"):
            store_trades(connection, tmp_path_factory.mktemp("market"), symbol, "24/7", trades)
    return native_database.url


@asynccontextmanager
async def market(url: str, **more: Any) -> AsyncIterator[tuple[Market, list[Subject]]]:
    """Open a market that keeps no answers, and look at the log once."""
    async with reading(url) as opened:
        made = await market_of(opened.reader, cache_bytes=0, **more)
        await made.ledger.confirm(frozenset())
        yield made, await subjects_of(opened.reader, "A", "B")


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("waited for 20 s")


def ask(market: Market, *subjects: Subject, window: Window = NEWEST) -> asyncio.Task[list[Shaped]]:
    return asyncio.create_task(cached_candles(market, subjects, MINUTE, window, SHAPE))


def times(answers: list[Shaped]) -> list[str]:
    (answer,) = answers
    assert isinstance(answer, Answered)
    return [each["time"] for each in orjson.loads(answer.value)]


async def test_equal_questions_are_read_once(url: str, reads: Reads) -> None:
    async with market(url, clock=at_one_time) as (opened, (a, b)):
        asked = [ask(opened, a), ask(opened, a), ask(opened, b), ask(opened, b, a), ask(opened, a)]
        await until(lambda: reads.came == 2)
        reads.go_on.set()
        answers = await asyncio.gather(*asked)
    assert reads.began == 2
    assert answers[0] == answers[1] == answers[4] == answers[3][1:]
    assert answers[2] == answers[3][:1]


async def test_an_error_of_one_instrument_is_told_to_all_who_ask(url: str, reads: Reads) -> None:
    async with market(url, max_points=2, clock=at_one_time) as (opened, (a, _)):
        asked = [ask(opened, a, window=Window(start=START)) for _ in range(4)]
        await reads.read.wait()
        reads.go_on.set()
        answers = await asyncio.gather(*asked)
    assert reads.began == 1
    assert all(isinstance(answer, RangeTooLarge) for (answer,) in answers)


async def test_a_question_after_a_commit_does_not_take_what_was_read_before(
    url: str, reads: Reads, tmp_path: Path, trades: list[RawTrade]
) -> None:
    now = [1.0]
    async with market(url, clock=lambda: now[0]) as (opened, (a, b)):
        early = [ask(opened, a), ask(opened, b)]
        await until(lambda: reads.came == 2)
        before = opened.ledger.marks
        late = trades[-1].time + timedelta(minutes=5)
        new = RawTrade(
            time=late, trade_id=1, price=trades[0].price, size=trades[0].size,
            trading_date=late.date(),
        )  # fmt: skip
        with connect(url, timeout_s=10, statement_timeout_s=60) as connection:
            await asyncio.to_thread(store_trades, connection, tmp_path, "A", "24/7", [new])
        now[0] += 1  # what was looked at is too old
        asked = [ask(opened, a), ask(opened, a), ask(opened, b)]
        await until(lambda: opened.ledger.marks != before)
        for _ in range(50):
            await asyncio.sleep(0)  # all wait
        assert reads.began == 2
        reads.go_on.set()
        stale, other = await asyncio.gather(*early)
        first, second, same = await asyncio.gather(*asked)
    newest = late.replace(second=0, microsecond=0).isoformat()
    assert times(stale)[-1] < newest
    assert times(first)[-1] == times(second)[-1] == newest
    assert same == other
    assert reads.began == 3  # B was not touched, and both questions about A shared a read


async def test_a_failure_is_shared_by_those_who_asked_the_same(url: str, reads: Reads) -> None:
    reads.failing = True
    async with market(url, clock=at_one_time) as (opened, (a, b)):
        asked = [ask(opened, a, b) for _ in range(3)]
        await reads.read.wait()
        reads.go_on.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, QueryTimeout) for answer in answers)
    assert reads.began == 1


async def test_who_asked_for_a_part_of_what_failed_tries_once_more_together(
    url: str, reads: Reads
) -> None:
    reads.failing = True
    async with market(url, clock=at_one_time) as (opened, (a, b)):
        asked = [ask(opened, a, b), *(ask(opened, a) for _ in range(4))]
        await reads.read.wait()
        reads.go_on.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, QueryTimeout) for answer in answers)
    assert reads.began == 2


async def test_those_who_wait_for_a_read_that_is_cancelled_read_themselves(
    url: str, reads: Reads
) -> None:
    async with market(url, clock=at_one_time) as (opened, (a, _)):
        asked = [ask(opened, a) for _ in range(3)]
        await reads.read.wait()
        asked[0].cancel()
        reads.go_on.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1] == answers[2]
    assert reads.began == 2
