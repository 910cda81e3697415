"""A feed that can be killed: new, late, corrected, replaced and cancelled trades, at random.

Run as a program: `python -m tests.live.storm_ingester URL SEED PAUSE_S SYMBOL...`. It keeps nothing
of its own: killed at any moment, the next one goes on from what the database has.
"""

import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from threading import Event

from app.errors import TickgraphError
from app.ingestion.delivery import Delivery
from app.ingestion.pipeline import deliver
from app.ingestion.rows_table import Record, rows_table
from app.ingestion.trade_changes import TradeName, cancel_trade, correct_trade
from app.ingestion.writer import Address, Writer
from app.storage.batches import BatchKind
from app.storage.database import Connection

SOURCE = "storm"
_KEPT = 300
RECENT = """
SELECT symbol, event_time, trade_id
FROM trade JOIN instrument USING (instrument_id)
WHERE symbol = ANY (%s)
ORDER BY batch_id DESC
LIMIT %s
"""

Work = Callable[[Connection], object]


class Feed:
    """Makes one piece of work after the other."""

    def __init__(self, seed: int, symbols: list[str]) -> None:
        self._rng = random.Random(seed)
        self._symbols = symbols
        self._trades: list[TradeName] = []
        self._last_id = 0
        self._repeat: Work | None = None
        self._lonely: list[TradeName] = []

    def recall(self, connection: Connection) -> None:
        """Learn what can be corrected from the database."""
        rows = connection.execute(RECENT, (self._symbols, _KEPT)).fetchall()
        self._trades = [TradeName(symbol=row[0], time=row[1], trade_id=row[2]) for row in rows]

    def next(self) -> Work:
        """Give work that is one transaction."""
        rng = self._rng
        if self._lonely and rng.random() < 0.4:  # its buckets lose their only trade
            return partial(cancel_trade, name=self._lonely.pop(), actor=SOURCE)
        kind = rng.random()
        if kind < 0.08 and self._trades:
            name = rng.choice(self._trades)
            return partial(
                correct_trade, name=name, price=self._price(), size=Decimal(2), actor=SOURCE
            )
        if kind < 0.16 and self._trades:
            return partial(cancel_trade, name=rng.choice(self._trades), actor=SOURCE)
        if kind < 0.24 and self._trades:
            some = rng.sample(self._trades, min(len(self._trades), rng.randint(1, 5)))
            return self._deliver(some, replace=True)
        if kind < 0.28 and self._repeat is not None:
            return self._repeat
        if kind < 0.36:
            alone = [self._new(timedelta(seconds=rng.uniform(10_000, 80_000)))]
            self._lonely += alone
            return self._deliver(alone)
        late = [0.0, 0.0, 0.0, 0.0, 40.0, 4000.0]
        names = [
            self._new(timedelta(seconds=rng.random() * rng.choice(late)))
            for _ in range(rng.randint(1, 20))
        ]
        self._trades = (self._trades + names)[-_KEPT:]
        self._repeat = self._deliver(names, key=str(self._last_id))
        return self._repeat

    def _new(self, late: timedelta) -> TradeName:
        self._last_id = max(
            self._last_id + 1, time.time_ns() // 1000 * 10 + self._rng.randint(0, 9)
        )
        symbol = self._rng.choice(self._symbols)
        return TradeName(symbol=symbol, time=datetime.now(UTC) - late, trade_id=self._last_id)

    def _price(self) -> Decimal:
        return Decimal(self._rng.randint(9_000, 11_000)) / 100

    def _deliver(
        self, names: list[TradeName], *, replace: bool = False, key: str | None = None
    ) -> Work:
        records: list[Record] = [
            {
                "symbol": name.symbol,
                "time": name.time.isoformat(),
                "price": format(self._price(), "f"),
                "size": str(self._rng.randint(1, 9)),
                "trade_id": str(name.trade_id),
            }
            for name in names
        ]
        delivery = Delivery(
            kind=BatchKind.TRADES,
            source=SOURCE,
            actor=SOURCE,
            replace=replace,
            idempotency_key=key,
            checksum=key,
        )
        return lambda connection: deliver(connection, partial(rows_table, records), delivery)


def main(url: str, seed: int, pause_s: float, symbols: list[str]) -> None:
    """Write until killed."""
    rng = random.Random(seed)
    feed = Feed(seed, symbols)
    writer = Writer(Address(url=url, connect_timeout_s=5, statement_timeout_s=20), Event())
    recalled = False
    while True:
        try:
            if not recalled:
                writer.perform(feed.recall, repeatable=True)
                recalled = True
            writer.perform(feed.next(), repeatable=False)
        except TickgraphError as error:
            sys.stderr.write(f"{error.code}: {error.message}\n")
            time.sleep(0.1)
        time.sleep(rng.random() * 2 * pause_s)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
