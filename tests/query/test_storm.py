"""Readers against writers: every answer, remembered or not, equals a state that was committed.

One writer for each instrument stores its batches in an order of its own (late, on time, corrected),
and corrects and cancels single trades between them; so the states of an instrument are a sequence.
A reader notes how many writes were committed before it asked and how many had begun when it was
answered: the answer must be a state between.
"""

import asyncio
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.rejects import Rejects
from app.ingestion.trade_changes import TradeName, cancel_trade, correct_trade
from app.rollups.refresh import refresh
from app.storage.batches import BatchKind
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.market import busy_trades, new_instruments, write_trades
from tests.query.recompute import Expected, RawTrade, from_trades
from tests.serving import Api, in_process

START = datetime(2026, 4, 1, 22, tzinfo=UTC)
SYMBOLS = ("STORM1", "STORM2", "STORM3")
BATCHES = 14
INTERVALS = ("30s", "1m", "5m", "1h", "1d")
QUERY = """
query ($symbols: [String!]!, $interval: Interval!, $last: Int, $from: DateTime, $to: DateTime) {
  instruments(symbols: $symbols) {
    symbol
    candles(interval: $interval, last: $last, from: $from, to: $to) {
      time open high low close volume trades
    }
  }
}
"""


class Writer:
    """Stores the batches of one instrument, one after the other."""

    def __init__(self, url: str, folder: Path, symbol: str, seed: int) -> None:
        self._url, self._folder, self._symbol = url, folder, symbol
        self._rng = random.Random(seed)
        trades = busy_trades(seed, START, 900, 40.0)
        self._batches = _shuffled(trades, self._rng)
        self.states: list[list[RawTrade]] = [[]]
        self.begun = self.committed = 0

    def do_next(self) -> None:
        """Store the next batch, or change one trade that is stored."""
        if self.states[-1] and self._rng.random() < 0.4:
            self._change(self._rng.choice(self.states[-1]))
        else:
            self._store(self._batches.pop())
        self.committed += 1

    def _change(self, trade: RawTrade) -> None:
        others = [each for each in self.states[-1] if each is not trade]
        name = TradeName(symbol=self._symbol, time=trade.time, trade_id=trade.trade_id)
        with connect(self._url, timeout_s=20, statement_timeout_s=120) as connection:
            if self._rng.random() < 0.5:
                self._begin(others)
                cancel_trade(connection, name, actor="test")
            else:
                corrected = replace(trade, price=trade.price + Decimal("0.07"), size=Decimal(3))
                self._begin([*others, corrected])
                correct_trade(
                    connection, name, price=corrected.price, size=corrected.size, actor="test"
                )

    def _begin(self, state: list[RawTrade]) -> None:
        self.states.append(state)
        self.begun += 1

    def _store(self, batch: list[RawTrade]) -> None:
        state = {(each.time, each.trade_id): each for each in self.states[-1]}
        if self.states[-1] and self._rng.random() < 0.5:  # correct some that are stored
            for each in self._rng.sample(self.states[-1], 3):
                batch = [*batch, replace(each, price=each.price + Decimal("0.01"))]
        state |= {(each.time, each.trade_id): each for each in batch}
        self._begin(list(state.values()))
        path = write_trades(self._folder / f"{self._symbol}.csv", batch)
        with connect(self._url, timeout_s=20, statement_timeout_s=120) as connection:
            delivery = Delivery(
                kind=BatchKind.TRADES,
                source=f"file:{path.name}",
                actor="test",
                symbol=self._symbol,
                create=new_instruments("24/7"),
                replace=True,
            )
            import_file(connection, path, delivery, Rejects(), lambda _: None)

    async def run(self) -> None:
        while self._batches:
            await asyncio.to_thread(self.do_next)
            await asyncio.sleep(self._rng.random() * 0.15)


def _shuffled(trades: list[RawTrade], rng: random.Random) -> list[list[RawTrade]]:
    edges = sorted(rng.sample(range(1, len(trades)), BATCHES - 1))
    batches = [
        trades[low:high] for low, high in zip([0, *edges], [*edges, len(trades)], strict=True)
    ]
    rng.shuffle(batches)
    return batches


def _question(rng: random.Random) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "symbols": rng.choice([[SYMBOLS[0]], list(SYMBOLS)]),
        "interval": rng.choice(INTERVALS),
    }
    if rng.random() < 0.5:
        return asked | {"last": rng.choice((3, 50))}
    start = START + timedelta(hours=rng.choice((0, 2, 5)))
    end = start + timedelta(hours=rng.choice((2, 30)))
    return asked | {"from": start.isoformat(), "to": end.isoformat()}


def _expected(state: list[RawTrade], asked: dict[str, Any]) -> list[Expected]:
    candles = from_trades(state, asked["interval"])
    if "last" in asked:
        return candles[-asked["last"] :]
    start, end = (datetime.fromisoformat(asked[name]) for name in ("from", "to"))
    return [each for each in candles if start <= each.time < end]


def _read(candles: list[dict[str, Any]]) -> list[Expected]:
    return [
        Expected(
            time=datetime.fromisoformat(each["time"]),
            open=Decimal(each["open"]),
            high=Decimal(each["high"]),
            low=Decimal(each["low"]),
            close=Decimal(each["close"]),
            volume=Decimal(each["volume"]),
            trades=each["trades"],
        )
        for each in candles
    ]


async def _reader(api: Api, writers: dict[str, Writer], seed: int, running: asyncio.Event) -> int:
    rng = random.Random(seed)
    questions = [_question(rng) for _ in range(8)]
    asked = 0
    while not running.is_set():
        question = rng.choice(questions)
        before = {symbol: writer.committed for symbol, writer in writers.items()}
        data = await api.data(QUERY, **question)
        after = {symbol: writer.begun for symbol, writer in writers.items()}
        asked += 1
        for symbol, row in zip(question["symbols"], data["instruments"], strict=True):
            states = writers[symbol].states[before[symbol] : after[symbol] + 1]
            if row is None:
                assert before[symbol] == 0
                continue
            found = _read(row["candles"])
            assert any(found == _expected(state, question) for state in states), (
                f"{symbol}: stale or wrong after {before[symbol]} writes: {json.dumps(question)}"
            )
        await asyncio.sleep(0)
    return asked


async def _refresher(url: str, running: asyncio.Event) -> None:
    def once() -> None:
        with connect(url, timeout_s=20, statement_timeout_s=120) as connection:
            refresh(connection)

    while not running.is_set():
        await asyncio.to_thread(once)
        await asyncio.sleep(0.1)


async def test_no_answer_is_stale_while_writers_and_refreshes_run(
    database: TestDatabase, tmp_path: Path
) -> None:
    async with in_process(database.url, refresh_interval_s=600.0) as api:
        writers = {
            symbol: Writer(database.url, tmp_path, symbol, number)
            for number, symbol in enumerate(SYMBOLS)
        }
        done = asyncio.Event()
        readers = [
            asyncio.create_task(_reader(api, writers, 100 + number, done)) for number in range(3)
        ]
        refreshing = asyncio.create_task(_refresher(database.url, done))
        await asyncio.gather(*(writer.run() for writer in writers.values()))
        await asyncio.sleep(0.2)
        done.set()
        asked = sum(await asyncio.gather(*readers))
        await refreshing
        assert asked > 5
        assert api.outcomes["fast"] > 0
        rng, cached = random.Random(100), api.outcomes["cached"]
        for question in [_question(rng) for _ in range(8)]:
            for _ in range(2):  # at rest, the second answer is a remembered one, and right
                data = await api.data(QUERY, **question)
                for symbol, row in zip(question["symbols"], data["instruments"], strict=True):
                    assert _read(row["candles"]) == _expected(writers[symbol].states[-1], question)
        assert api.outcomes["cached"] >= cached + 8
