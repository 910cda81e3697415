"""A feed of trades at a steady rate, written as the pipeline writes what it has checked.

Run as a program: `python -m benchmarks.subscriptions_feed URL TRADES BATCHES SYMBOLS`, both a
second. It writes until its standard input closes, then prints what it wrote and what that cost.
"""

import json
import sys
import threading
import time
from datetime import UTC, datetime
from itertools import count

from app.storage import trades
from app.storage.batches import BatchKind, Counts, next_batch_id, record_batch
from app.storage.database import Connection, connect

WRITERS = 2


class Feed:
    """Some writers that take turns."""

    def __init__(self, url: str, trades: float, batches: float, symbols: list[str]) -> None:
        self.written = 0
        self.late_s = 0.0
        self._url = url
        self._each = max(1, round(trades / batches))
        self._pause_s = self._each / trades
        self._symbols = symbols
        self._lock = threading.Lock()
        self._batches = count()
        self._began = time.monotonic()
        self.stopping = threading.Event()

    def run(self) -> None:
        """Write at the rate until told to stop."""
        with connect(self._url, timeout_s=10, statement_timeout_s=60) as connection:
            ids = dict(connection.execute("SELECT symbol, instrument_id FROM instrument"))
            while True:
                with self._lock:
                    place = next(self._batches)
                due = self._began + place * self._pause_s
                if self.stopping.wait(max(0.0, due - time.monotonic())):
                    return
                self._write(connection, ids, place * self._each)
                with self._lock:
                    self.written += self._each
                    self.late_s = max(self.late_s, time.monotonic() - due)

    def _write(self, connection: Connection, ids: dict[str, int], first: int) -> None:
        """Store one batch, as the pipeline does behind its checks of records."""
        now, unique = datetime.now(UTC), time.time_ns()
        numbers = range(first, first + self._each)
        own = [ids[self._symbols[number % len(self._symbols)]] for number in numbers]
        rows = "".join(
            f"{line},{key},{now.isoformat()},{unique + line},{100 + line % 97 / 100:.2f},"
            f"{1 + line % 5},1,{now:%Y-%m-%d}\n"
            for line, key in enumerate(own)
        )
        with connection.transaction():
            trades.STAGING.create(connection)
            trades.STAGING.copy(connection, rows.encode())
            ready = trades.ROWS.ready(connection, has_ids=True)
            batch_id = next_batch_id(connection, sorted(set(own)))
            stored = trades.insert(
                connection, ready, batch_id=batch_id, received_at=now, replace=False
            )
            assert stored.stored == self._each, stored
            record_batch(
                connection,
                batch_id=batch_id,
                kind=BatchKind.TRADES,
                source="feed",
                checksum=None,
                counts=Counts(stored=self._each, duplicate=0, rejected=0),
                received_at=now,
                actor="benchmark",
            )


def main(url: str, trades: float, batches: float, symbols: list[str]) -> None:
    """Write until the standard input closes."""
    feed = Feed(url, trades, batches, symbols)
    threads = [threading.Thread(target=feed.run) for _ in range(WRITERS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    sys.stdin.buffer.read()
    feed.stopping.set()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    told = {
        "per_second": feed.written / seconds,
        "late_s": feed.late_s,
        "cpu": time.process_time() / seconds,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4].split(","))
