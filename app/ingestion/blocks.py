"""Read text sources in blocks of whole lines: plain or gzipped, hashed, with bounded lines."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from app.errors import ImportRefused

BLOCK_BYTES = 8 << 20
# The csv module's own limit for one field; every line is held to it, whoever reads it.
MAX_LINE_BYTES = 131_072
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Source(Protocol):
    """Bytes in order."""

    def read(self, size: int, /) -> bytes:
        """Give up to `size` bytes; fewer at the end only."""

    def readline(self, size: int, /) -> bytes:
        """Give the rest of a line, up to `size` bytes of it."""


class Hashing(io.RawIOBase):
    """A file that keeps the hash and tells the count of what was read from it."""

    def __init__(self, raw: BinaryIO, on_read: Callable[[int], None]) -> None:
        self._raw = raw
        self._on_read = on_read
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read into a buffer, and give the count of bytes."""
        count = self._raw.readinto(buffer)  # type: ignore[attr-defined]
        self.digest.update(buffer[:count])
        self._on_read(count)
        return int(count)


@contextmanager
def open_source(
    path: Path, on_read: Callable[[int], None], size: int
) -> Iterator[tuple[Source, Hashing]]:
    """Open a file (`.gz`: gzipped) to be read in blocks of `size`; the hash is of what is on disk.

    Raises:
        ImportRefused: its compression is broken.
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            raw = Hashing(file, on_read)
            buffered = io.BufferedReader(raw, size)
            zipped = path.suffix.lower() == ".gz"
            with gzip.open(buffered) if zipped else buffered as source:
                yield source, raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ImportRefused(f"the compressed file is broken: {error}") from error


def whole_lines(source: Source, size: int, first: int) -> bytes:
    """Give about `size` bytes that end with a line; none at the end. `first` numbers the first.

    Raises:
        ImportRefused: a line is longer than MAX_LINE_BYTES.
    """
    block = source.read(size)
    if block and not block.endswith(b"\n"):
        block += source.readline(MAX_LINE_BYTES)
    ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n"))
    lengths = np.diff(np.concatenate(([-1], ends, [len(block)])))
    longest = int(lengths.argmax())
    if lengths[longest] > MAX_LINE_BYTES:
        raise ImportRefused(f"line {first + longest} is longer than {MAX_LINE_BYTES} bytes")
    return block
