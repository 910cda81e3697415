"""Read CSV, plain or gzipped, in blocks: by polars where a block is clean, row by row where not."""

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import polars as pl

from app.errors import ImportRefused
from app.ingestion.table import Chunk

BLOCK_BYTES = 8 << 20
_MAX_LINE_BYTES = 1 << 20
_DELIMITERS = ",;\t|"


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
    """One CSV file; its first line is the header and tells the delimiter."""

    def __init__(self, source: BinaryIO, raw: _Hashing) -> None:
        self._source = source
        self._raw = raw
        first = source.readline(_MAX_LINE_BYTES).decode("utf-8-sig", errors="replace")
        self._delimiter = max(_DELIMITERS, key=first.count)
        self.header = next(csv.reader([first], delimiter=self._delimiter), [])
        self._line = 2
        if not any(name.strip() for name in self.header):
            raise ImportRefused("the file is empty")

    @property
    def checksum(self) -> str:
        """The SHA-256 of the file as it is on disk."""
        return self._raw.digest.hexdigest()

    def chunks(self, places: Mapping[str, int]) -> Iterator[Chunk]:
        """Give the rows block by block."""
        for block in self._blocks():
            clean = self._clean(block)
            yield self._ragged(block, places) if clean is None else self._chunk(clean, places)

    def _blocks(self) -> Iterator[bytes]:
        rest = b""
        while block := self._source.read(BLOCK_BYTES):
            rest += block
            end = rest.rfind(b"\n") + 1
            # An odd number of quotes means that the last line break is inside a field.
            while end and rest.count(b'"', 0, end) % 2:
                end = rest.rfind(b"\n", 0, end - 1) + 1
            if end:
                yield rest[:end]
                rest = rest[end:]
            elif len(rest) > BLOCK_BYTES + _MAX_LINE_BYTES and b'"' not in rest:
                raise ImportRefused(f"line {self._line} is longer than {_MAX_LINE_BYTES} bytes")
        if rest:
            yield rest

    def _clean(self, block: bytes) -> pl.DataFrame | None:
        lines = block.count(b"\n") + (not block.endswith(b"\n"))
        delimiters = block.count(self._delimiter.encode())
        if b'"' in block or delimiters != lines * (len(self.header) - 1):
            return None
        try:
            frame = pl.read_csv(
                block,
                has_header=False,
                separator=self._delimiter,
                infer_schema=False,
                new_columns=[str(place) for place in range(len(self.header))],
                quote_char=None,
            )
        except pl.exceptions.PolarsError:
            return None
        return frame if frame.shape == (lines, len(self.header)) else None

    def _chunk(self, frame: pl.DataFrame, places: Mapping[str, int]) -> Chunk:
        named = frame.select(
            pl.int_range(self._line, self._line + frame.height, dtype=pl.Int64).alias("line"),
            *(_stripped(pl.col(str(place))).alias(field) for field, place in places.items()),
        )
        self._line += frame.height
        return Chunk(rows=named)

    def _ragged(self, block: bytes, places: Mapping[str, int]) -> Chunk:
        text = io.StringIO(block.decode("utf-8", errors="replace"), newline="")
        reader = csv.reader(text, delimiter=self._delimiter)
        good: list[tuple[int, list[str]]] = []
        malformed: list[tuple[int, str]] = []
        first, before = self._line, 0
        try:
            for row in reader:
                line, before = first + before, reader.line_num
                if not row:
                    continue
                if len(row) == len(self.header):
                    good.append((line, row))
                else:
                    malformed.append((line, self._delimiter.join(row)))
        except csv.Error as error:
            raise ImportRefused(f"line {first + reader.line_num}: {error}") from error
        self._line = first + before
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
            zipped = path.suffix == ".gz"
            with gzip.open(buffered) if zipped else buffered as source:
                yield CsvTable(source, raw)  # type: ignore[arg-type]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ImportRefused(f"the compressed file is broken: {error}") from error


def _stripped(column: pl.Expr) -> pl.Expr:
    stripped = column.str.strip_chars()
    return pl.when(stripped != "").then(stripped)
