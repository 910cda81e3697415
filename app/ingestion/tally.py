"""What the doors of one process have taken in, counted for its metrics."""

import threading
from collections import Counter
from collections.abc import Mapping

from app.ingestion.delivery import Receipt
from app.storage.batches import BatchKind


class Tally:
    """Counters that writer threads add to; what is read from them are copies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batches: Counter[str] = Counter()
        self._records: Counter[tuple[str, ...]] = Counter()
        self._seconds: dict[str, float] = {}

    def add(self, kind: BatchKind, receipt: Receipt) -> None:
        """Count a delivery; one that had come before counts as a replay and nothing else."""
        with self._lock:
            if receipt.repeated:
                self._batches["REPLAYED"] += 1
                return
            self._batches[kind.value] += 1
            counts = receipt.counts.as_json()
            for outcome in ("stored", "duplicate", "rejected"):
                self._records[kind.value, outcome] += counts[outcome]
            for stage, seconds in receipt.seconds.items():
                self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def batches(self) -> Mapping[str, int]:
        """Give the count of batches by kind; REPLAYED: the same key had come before."""
        with self._lock:
            return dict(self._batches)

    def records(self) -> Mapping[tuple[str, ...], int]:
        """Give the count of records by kind and outcome."""
        with self._lock:
            return dict(self._records)

    def seconds(self) -> Mapping[str, float]:
        """Give the seconds that batches spent in each stage."""
        with self._lock:
            return dict(self._seconds)
