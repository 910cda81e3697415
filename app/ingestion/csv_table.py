"""Read CSV, plain or gzipped, in blocks: by polars where a block is clean, row by row where not."""

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from app.errors import ImportRefused
from app.ingestion.blocks import (
    BLOCK_BYTES,
    MAX_LINE_BYTES,
    UTF16_MARKS,
    Hashing,
    Source,
    open_source,
    whole_lines,
)
from app.ingestion.table import Chunk

_DELIMITERS = ",;\t|"


class CsvTable:
    """One CSV file; its first line that is not blank is the header and tells the delimiter.

    Lines are counted as editors do: LF, CR LF and CR end one. Blank lines are no rows. What is not
    UTF-8 becomes U+FFFD, which no rule accepts.
    """

    def __init__(self, source: Source, raw: Hashing) -> None:
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
        while block := whole_lines(self._source, BLOCK_BYTES, self._line):
            frame = self._clean(block)
            if frame is None:
                yield self._ragged(block, places)
            else:
                yield self._chunk(block, frame, places)

    def _header_text(self) -> str:
        header = b""
        while not header.strip(b"\r\n\t ,;|\xef\xbb\xbf") or header.count(b'"') % 2:
            line = self._source.readline(MAX_LINE_BYTES)
            if not line:
                break
            header = header + line if header.count(b'"') % 2 else line
            self._line += 1
            if header.startswith(UTF16_MARKS):
                raise ImportRefused("the file is UTF-16: save it as UTF-8")
            if len(header) >= MAX_LINE_BYTES:
                raise ImportRefused(f"the header is longer than {MAX_LINE_BYTES} bytes")
        if not header.strip(b'\r\n\t ,;|"\xef\xbb\xbf'):
            raise ImportRefused("the file is empty")
        if b"\r" in header.rstrip(b"\r\n") and b'"' not in header:
            raise ImportRefused("the file's lines end in CR alone: save it with LF or CR LF")
        return header.decode("utf-8-sig", errors="replace")

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

    def _chunk(self, block: bytes, frame: pl.DataFrame, places: Mapping[str, int]) -> Chunk:
        first = self._line

        def originals(lines: Sequence[int]) -> list[bytes]:
            texts = block.split(b"\n")
            return [texts[line - first].removesuffix(b"\r") for line in lines]

        named = frame.select(
            pl.int_range(self._line, self._line + frame.height, dtype=pl.Int64).alias("line"),
            *(_stripped(pl.col(str(place))).alias(field) for field, place in places.items()),
        )
        self._line += frame.height
        return Chunk(rows=named, originals=originals)

    def _ragged(self, block: bytes, places: Mapping[str, int]) -> Chunk:
        good: list[tuple[int, list[str]]] = []
        malformed: list[int] = []
        texts: dict[int, bytes] = {}
        for line, row, text in self._rows(block):
            texts[line] = text
            if len(row) == len(self.header):
                good.append((line, row))
            elif row:
                malformed.append(line)
        columns = {
            field: pl.Series([row[place] or None for _, row in good], dtype=pl.String)
            for field, place in places.items()
        }
        rows = pl.DataFrame(
            {"line": pl.Series([line for line, _ in good], dtype=pl.Int64), **columns}
        )
        return Chunk(
            rows=rows.with_columns(_stripped(pl.col(field)) for field in places),
            originals=lambda lines: [texts[line] for line in lines],
            malformed=malformed,
        )

    def _rows(self, block: bytes) -> Iterator[tuple[int, list[str], bytes]]:
        """Give a block's rows: first line, fields, bytes.

        An open quote draws lines from beyond the block.
        """
        waiting = deque(block.splitlines(keepends=True))
        taken: list[bytes] = []

        def feed() -> Iterator[str]:
            while waiting or (more := self._source.readline(MAX_LINE_BYTES)):
                if not waiting:
                    waiting.extend(more.splitlines(keepends=True))
                taken.append(waiting.popleft())
                yield taken[-1].decode("utf-8", errors="replace")

        first, reader = self._line, csv.reader(feed(), delimiter=self._delimiter)
        while waiting:
            line = first + reader.line_num
            taken.clear()
            try:
                row = next(reader)
            except csv.Error as error:
                raise ImportRefused(f"line {line}: {error}: is a quote left open?") from error
            yield line, row, b"".join(taken).rstrip(b"\r\n")
        self._line = first + reader.line_num


@contextmanager
def open_csv(path: Path, on_read: Callable[[int], None]) -> Iterator[CsvTable]:
    """Open a CSV file (`.gz`: gzipped); `on_read` is told each count of bytes read from disk.

    Raises:
        ImportRefused: it cannot be read, is empty, or its compression is broken.
    """
    with open_source(path, on_read, BLOCK_BYTES) as (source, raw):
        yield CsvTable(source, raw)


def _first_row(text: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])


def _stripped(column: pl.Expr) -> pl.Expr:
    stripped = column.str.strip_chars()
    return pl.when(stripped != "").then(stripped)
