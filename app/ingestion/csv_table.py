"""Read CSV, plain or gzipped, in blocks: by polars where a block is clean, row by row where not."""

import csv
import gzip
import hashlib
import io
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from app.errors import ImportRefused
from app.ingestion.table import Chunk

BLOCK_BYTES = 8 << 20
# The csv module's own limit for one field; a line is held to it too, whoever reads it.
MAX_LINE_BYTES = 131_072
_DELIMITERS = ",;\t|"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class _Hashing(io.RawIOBase):
    """A file that keeps the hash and the count of what was read from it."""

    def __init__(self, raw: BinaryIO, on_read: Callable[[int], None]) -> None:
        self._raw = raw
        self._on_read = on_read
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._raw.readinto(buffer)  # type: ignore[attr-defined]
        self.digest.update(buffer[:count])
        self._on_read(count)
        return int(count)


class CsvTable:
    """One CSV file; its first line that is not blank is the header and tells the delimiter.

    Lines are counted as editors do: LF, CR LF and CR end one. Blank lines are no rows. What is not
    UTF-8 becomes U+FFFD, which no rule accepts.
    """

    def __init__(self, source: BinaryIO, raw: _Hashing) -> None:
        self._source = source
        self._raw = raw
        self._line = 1
        text = self._header_text()
        try:
            self._delimiter = max(_DELIMITERS, key=lambda each: len(_first_row(text, each)))
            self.header = [name.strip() for name in _first_row(text, self._delimiter)]
        except csv.Error as error:
            raise ImportRefused(f"the header cannot be read: {error}") from error

    @property
    def checksum(self) -> str:
        """The SHA-256 of the file as it is on disk."""
        return self._raw.digest.hexdigest()

    def chunks(self, places: Mapping[str, int]) -> Iterator[Chunk]:
        """Give the rows block by block."""
        while block := self._block():
            frame = self._clean(block)
            yield self._ragged(block, places) if frame is None else self._chunk(frame, places)

    def _header_text(self) -> str:
        header = b""
        while not header.strip(b"\r\n\t ,;|\xef\xbb\xbf") or header.count(b'"') % 2:
            line = self._source.readline(MAX_LINE_BYTES)
            if not line:
                break
            header = header + line if header.count(b'"') % 2 else line
            self._line += 1
            if header.startswith(_UTF16):
                raise ImportRefused("the file is UTF-16: save it as UTF-8")
            if len(header) >= MAX_LINE_BYTES:
                raise ImportRefused(f"the header is longer than {MAX_LINE_BYTES} bytes")
        if not header.strip(b'\r\n\t ,;|"\xef\xbb\xbf'):
            raise ImportRefused("the file is empty")
        if b"\r" in header.rstrip(b"\r\n") and b'"' not in header:
            raise ImportRefused("the file's lines end in CR alone: save it with LF or CR LF")
        return header.decode("utf-8-sig", errors="replace")

    def _block(self) -> bytes:
        """Give the next whole lines; none at the end."""
        block = self._source.read(BLOCK_BYTES)
        if block and not block.endswith(b"\n"):
            block += self._source.readline(MAX_LINE_BYTES)
        ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n"))
        lengths = np.diff(np.concatenate(([-1], ends, [len(block)])))
        longest = int(lengths.argmax())
        if lengths[longest] > MAX_LINE_BYTES:
            line = self._line + longest
            raise ImportRefused(f"line {line} is longer than {MAX_LINE_BYTES} bytes")
        return block

    def _clean(self, block: bytes) -> pl.DataFrame | None:
        width = len(self.header)
        lines = block.count(b"\n") + (not block.endswith(b"\n"))
        delimiters = block.count(self._delimiter.encode())
        # With one column a blank line is no row, and looks like one.
        if b'"' in block or width == 1 or delimiters != lines * (width - 1):
            return None
        if block.count(b"\r") != block.count(b"\r\n"):
            return None
        try:
            frame = pl.read_csv(
                block,
                has_header=False,
                separator=self._delimiter,
                infer_schema=False,
                new_columns=[str(place) for place in range(width)],
                quote_char=None,
            )
        except pl.exceptions.PolarsError:
            return None
        return frame if frame.shape == (lines, width) else None

    def _chunk(self, frame: pl.DataFrame, places: Mapping[str, int]) -> Chunk:
        named = frame.select(
            pl.int_range(self._line, self._line + frame.height, dtype=pl.Int64).alias("line"),
            *(_stripped(pl.col(str(place))).alias(field) for field, place in places.items()),
        )
        self._line += frame.height
        return Chunk(rows=named)

    def _ragged(self, block: bytes, places: Mapping[str, int]) -> Chunk:
        good: list[tuple[int, list[str]]] = []
        malformed: list[tuple[int, str]] = []
        for line, row in self._rows(block):
            if len(row) == len(self.header):
                good.append((line, row))
            elif row:
                malformed.append((line, self._delimiter.join(row)))
        columns = {
            field: pl.Series([row[place] or None for _, row in good], dtype=pl.String)
            for field, place in places.items()
        }
        rows = pl.DataFrame(
            {"line": pl.Series([line for line, _ in good], dtype=pl.Int64), **columns}
        )
        return Chunk(
            rows=rows.with_columns(_stripped(pl.col(field)) for field in places),
            malformed=malformed,
        )

    def _rows(self, block: bytes) -> Iterator[tuple[int, list[str]]]:
        """Give a block's rows with their first lines; an open quote draws lines from beyond it."""
        lines = deque(_lines(block))

        def feed() -> Iterator[str]:
            while lines or (more := self._source.readline(MAX_LINE_BYTES)):
                if not lines:
                    lines.extend(_lines(more))
                yield lines.popleft()

        first, reader = self._line, csv.reader(feed(), delimiter=self._delimiter)
        while lines:
            line = first + reader.line_num
            try:
                yield line, next(reader)
            except csv.Error as error:
                raise ImportRefused(f"line {line}: {error}: is a quote left open?") from error
        self._line = first + reader.line_num


@contextmanager
def open_csv(path: Path, on_read: Callable[[int], None]) -> Iterator[CsvTable]:
    """Open a CSV file (`.gz`: gzipped); `on_read` is told each count of bytes read from disk.

    Raises:
        ImportRefused: it cannot be read, is empty, or its compression is broken.
    """
    try:
        with path.open("rb") as file:
            raw = _Hashing(file, on_read)
            buffered = io.BufferedReader(raw, BLOCK_BYTES)
            zipped = path.suffix.lower() == ".gz"
            with gzip.open(buffered) if zipped else buffered as source:
                yield CsvTable(source, raw)  # type: ignore[arg-type]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ImportRefused(f"the compressed file is broken: {error}") from error


def _lines(text: bytes) -> io.StringIO:
    return io.StringIO(text.decode("utf-8", errors="replace"), newline="")


def _first_row(text: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])


def _stripped(column: pl.Expr) -> pl.Expr:
    stripped = column.str.strip_chars()
    return pl.when(stripped != "").then(stripped)
