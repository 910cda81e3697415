"""A log file that cannot grow without bound."""

import threading
from datetime import UTC, datetime
from pathlib import Path

MAX_BYTES = 1_000_000
MAX_LINE_CHARS = 2_000


class LogFile:
    """Lines with their time, in one file and the one before it."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    @property
    def path(self) -> Path:
        """The newest file."""
        return self._path

    def write(self, line: str) -> None:
        """Append a line; a disk that is full loses lines, not the caller."""
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            try:
                with self._path.open("a", encoding="utf-8", errors="replace") as log:
                    log.write(f"{stamp} {line.rstrip()[:MAX_LINE_CHARS]}\n")
                    full = log.tell() > self._max_bytes
                if full:
                    self._path.replace(self._path.with_suffix(".log.1"))
            except OSError:
                return
