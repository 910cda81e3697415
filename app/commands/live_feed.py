"""The demo's market: made-up trades as they would happen, through the ordinary way in.

Mostly in order; now and then one comes late, and one is corrected, so that older candles move too.
It stops by itself after some hours: a demo that is forgotten must not fill a disk.
"""

import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import numpy as np

from app.commands.simulation import SIMULATED, Simulated
from app.errors import TickgraphError
from app.ingestion.delivery import Delivery
from app.ingestion.pipeline import deliver
from app.ingestion.rows_table import rows_table
from app.ingestion.trade_changes import TradeName, correct_trade
from app.ingestion.writer import Address, Writer
from app.market.calendar import TradingCalendar
from app.market.candle import Session
from app.market.schedule import exchange_of
from app.storage.batches import BatchKind
from app.storage.contents import newest_simulated
from app.storage.database import Connection

_LOG = logging.getLogger("tickgraph.demo")
_ACTOR = "tickgraph demo"
_SOURCE = "simulated feed"
_TICK_S = 0.5
_LASTS_S = 6 * 3600.0
_TRADES_PER_S = 2.0
_LATE_EVERY_S = 15.0
_CORRECTED_EVERY_S = 20.0
_PAUSE_S = 5.0  # after a fault
_PATIENCE_S = 10.0
_END_S = 5.0  # that the last delivery may take
_DAY_S = 86_400.0

Trade = dict[str, str]


@dataclass(slots=True)
class Walk:
    """One instrument's prices: a random walk on its tick, while its venue is open."""

    instrument: Simulated
    price: float
    calendar: TradingCalendar
    chance: random.Random = field(default_factory=random.Random)

    def trades(self, start: datetime, end: datetime) -> list[Trade]:
        """Make the trades of [start, end), in order."""
        return [self._trade(time) for time in self._times(start, end)]

    def late(self, now: datetime) -> list[Trade]:
        """Make a trade of some minutes ago, near the price of now."""
        ago = timedelta(seconds=self.chance.uniform(60, 300))
        return [self._trade(each) for each in self._open([now - ago])]

    def _times(self, start: datetime, end: datetime) -> list[datetime]:
        seconds = (end - start).total_seconds()
        offsets = []
        at = self.chance.expovariate(_TRADES_PER_S)
        while at < seconds:
            offsets.append(start + timedelta(seconds=at))
            at += self.chance.expovariate(_TRADES_PER_S)
        return self._open(offsets)

    def _open(self, times: Sequence[datetime]) -> list[datetime]:
        micros = np.array([_micros(each) for each in times], np.int64)
        sessions = self.calendar.place(micros).session
        return [each for each, own in zip(times, sessions, strict=True) if own == Session.REGULAR]

    def _trade(self, at: datetime) -> Trade:
        own = self.instrument
        step = self.chance.gauss(0.0, own.volatility) * math.sqrt(1 / _TRADES_PER_S / _DAY_S)
        self.price = max(self.price * math.exp(step), own.tick)
        size = max(self.chance.lognormvariate(0.0, 1.0) * own.size, 10.0**-own.size_decimals)
        return {
            "symbol": own.symbol,
            "time": at.isoformat(),
            "price": f"{max(round(self.price / own.tick), 1) * own.tick:.2f}",
            "size": f"{size:.{own.size_decimals}f}",
            "trade_id": str(_micros(at)),
        }


class Feed:
    """What happens on the market, told to the database as it happens."""

    def __init__(self, writer: Writer, stopping: threading.Event) -> None:
        self._writer = writer
        self._stopping = stopping
        self._recent: deque[Trade] = deque(maxlen=100)
        self._chance = random.Random()

    def run(self) -> None:
        """Feed until told to stop; a fault is waited out."""
        over = time.monotonic() + _LASTS_S
        try:
            while not self._stopping.is_set() and time.monotonic() < over:
                try:
                    self._feed(over)
                except TickgraphError as error:
                    if not self._stopping.is_set():
                        _LOG.warning("simulated trades pause: %s", error.message)
                        self._stopping.wait(_PAUSE_S)
        finally:
            self._writer.close()

    def _feed(self, over: float) -> None:
        walks = self._writer.perform(_walks, repeatable=True)
        told = datetime.now(UTC)
        while walks and time.monotonic() < over and not self._stopping.wait(_TICK_S):
            now = datetime.now(UTC)
            records = [record for each in walks for record in each.trades(told, now)]
            if self._happens(_LATE_EVERY_S):
                records += self._chance.choice(walks).late(now)
            told = now
            if records:
                self._writer.perform(partial(_store, records), repeatable=True)
                self._recent += records
            if self._recent and self._happens(_CORRECTED_EVERY_S):
                change = partial(_correct, self._chance.choice(self._recent), self._chance)
                self._writer.perform(change, repeatable=True)

    def _happens(self, every_s: float) -> bool:
        return self._chance.random() < _TICK_S / every_s


@contextmanager
def live_feed(url: str) -> Iterator[None]:
    """Feed the simulated instruments of a database for as long as the block."""
    stopping = threading.Event()
    address = Address(url=url, connect_timeout_s=_PATIENCE_S, statement_timeout_s=_PATIENCE_S)
    writer = Writer(address, stopping)
    # A daemon: whatever it does, it must not keep the process from ending.
    thread = threading.Thread(target=Feed(writer, stopping).run, name="live feed", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(_END_S)
        if thread.is_alive():
            writer.cancel()


def _walks(connection: Connection) -> list[Walk]:
    """Begin where each instrument's prices are; those that the database lacks are left out."""
    year = datetime.now(UTC).year
    walks = []
    for each in SIMULATED:
        newest = newest_simulated(connection, each.symbol)
        if newest is not None:
            calendar = TradingCalendar(exchange_of(each.mic), year, year)
            walks.append(Walk(each, float(newest[1]), calendar))
    return walks


def _store(records: Sequence[Trade], connection: Connection) -> None:
    delivery = Delivery(kind=BatchKind.TRADES, source=_SOURCE, actor=_ACTOR)
    deliver(connection, lambda: rows_table(records), delivery)


def _correct(record: Trade, chance: random.Random, connection: Connection) -> None:
    """Give a trade a price that is a little off."""
    name = TradeName(
        symbol=record["symbol"],
        time=datetime.fromisoformat(record["time"]),
        trade_id=int(record["trade_id"]),
    )
    moved = Decimal(record["price"]) * Decimal(chance.choice(["0.9995", "1.0005"]))
    correct_trade(
        connection,
        name,
        price=moved.quantize(Decimal("0.01")),
        size=Decimal(record["size"]),
        actor=_ACTOR,
        note="simulated correction",
    )


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
