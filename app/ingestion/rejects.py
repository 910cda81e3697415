"""Where refused rows go: counted, shown in messages, written to a file where one is named."""

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from app.errors import ImportRefused
from app.validation.reasons import Reason

_NAMED = 3


class Rejects:
    """The refused rows of one import."""

    def __init__(self, file: TextIO | None = None) -> None:
        self.count = 0
        self.reasons: Counter[Reason] = Counter()
        self._first: list[str] = []
        self._file = file
        self._writer = None if file is None else csv.writer(file)
        self._write("line", "reason", "record")

    def add(self, line: int, reason: Reason, record: str) -> None:
        """Refuse one row."""
        self.count += 1
        self.reasons[reason] += 1
        if len(self._first) < _NAMED:
            self._first.append(f"line {line}: {reason}, {reason.sentence} ({record[:120]!r})")
        self._write(line, reason, record)

    def flush(self) -> None:
        """See that the file has every row, before anything is committed.

        Raises:
            ImportRefused: it cannot be written.
        """
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                raise _unwritable(self._file.name, error) from error

    def _write(self, *row: object) -> None:
        if self._file is not None and self._writer is not None:
            try:
                self._writer.writerow(row)
            except OSError as error:
                raise _unwritable(self._file.name, error) from error

    def summary(self, opening: str) -> str:
        """Say how many rows were refused and show the first."""
        if not self.count:
            return opening
        return "\n  ".join([f"{opening}: {self.count} refused", *self._first])


@contextmanager
def rejects_to(path: Path | None) -> Iterator[Rejects]:
    """Collect rejects, also into a CSV file of line, reason, record where a path is given.

    Raises:
        ImportRefused: the file cannot be written.
    """
    if path is None:
        yield Rejects()
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            yield Rejects(file)
    except OSError as error:
        raise _unwritable(str(path), error) from error


def _unwritable(name: str, error: OSError) -> ImportRefused:
    return ImportRefused(f"{name} cannot be written: {error.strerror or error}")
