"""Keep an upload on disk until it is stored: slow clients cost neither memory nor writers."""

import hashlib
import io
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from app.errors import BadInput
from app.ingestion.blocks import BLOCK_BYTES, Source

PIECE_BYTES = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS


class BodyTooLarge(BadInput):
    """The body is larger than allowed."""

    code = "BODY_TOO_LARGE"


class BodyBroken(BadInput):
    """The body's compression is broken."""

    code = "BODY_BROKEN"


class Spool:
    """A file that has no name, so nobody else finds it, and it goes with the process at the latest.

    One thread at a time may write or read; `close` is safe beside them.
    """

    def __init__(self, folder: Path | None, max_bytes: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - see close
        self._lock = threading.Lock()
        self._digest = hashlib.sha256()
        self._max_bytes = max_bytes
        self.size = 0

    @property
    def checksum(self) -> str:
        """The SHA-256 of what was written."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            BodyTooLarge: they would be too many.
            OSError: there is no room for them, or the spool is closed.
        """
        self.size += len(data)
        if self.size > self._max_bytes:
            raise BodyTooLarge(f"the body is larger than {self._max_bytes >> 20} MiB")
        self._digest.update(data)
        rest = memoryview(data)
        while rest:
            with self._lock:
                rest = rest[self._open_file().write(rest) :]

    @contextmanager
    def opened(self) -> Iterator[Source]:
        """Read from the beginning."""
        yield io.BufferedReader(_Reader(self), BLOCK_BYTES)

    def read_at(self, place: int, buffer: memoryview) -> int:
        """Fill a buffer from a place on; gives the count of bytes."""
        with self._lock:
            file = self._open_file()
            file.seek(place)
            return file.readinto(buffer)

    def close(self) -> None:
        """Let the file go; again does nothing."""
        with self._lock:
            self._file.close()

    def _open_file(self) -> io.FileIO:
        if self._file.closed:
            raise OSError("the spool is closed")
        return self._file


class _Reader(io.RawIOBase):
    """A place of its own in a spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._place = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._spool.read_at(self._place, buffer)
        self._place += count
        return count


class Decoder(Protocol):
    """Undoes a content encoding, in pieces of bounded size."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what some bytes of the body stand for."""

    def finish(self) -> None:
        """See that the body has come to its end."""


class Identity:
    """No encoding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give the bytes themselves."""
        yield data

    def finish(self) -> None:
        """Any end is an end."""


class Gunzip:
    """Undoes gzip, of one member or several."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what some bytes stand for, in pieces of at most PIECE_BYTES.

        Raises:
            BodyBroken: they are no gzip.
        """
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                piece = self._member.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise BodyBroken(f"the body is no gzip, or broken: {error}") from error
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if piece:
                yield piece

    def finish(self) -> None:
        """See that the last member is whole.

        Raises:
            BodyBroken: it is not.
        """
        if not (self._begun and self._member.eof):
            raise BodyBroken("the gzipped body ends too early")
