"""Read Parquet in slices, every column as the text that a CSV file would hold."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson
import polars as pl

from app.errors import ImportRefused
from app.ingestion.table import Chunk

SLICE_ROWS = 200_000
_HASH_BYTES = 1 << 20
_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
# Days since 1970 from the year 1000 to the end of 9999; polars panics on writing times far outside.
_FIRST_DAY, _LAST_DAY = -354_285, 2_932_896


class ParquetTable:
    """One Parquet file; a row's line is its number, from 1."""

    def __init__(self, path: Path, on_read: Callable[[int], None]) -> None:
        self._path = path
        self._on_read = on_read
        self._scan = pl.scan_parquet(path, glob=False)
        self._schema = self._scan.collect_schema()
        self.header = [name.strip() for name in self._schema.names()]
        self.checksum: str | None = None

    def chunks(self, places: Mapping[str, int]) -> Iterator[Chunk]:
        """Give the rows slice by slice; floats as their shortest decimal text."""
        self.checksum = self._hash()
        names = self._schema.names()
        texts = [_text(names[place], self._schema).alias(field) for field, place in places.items()]
        start = 0
        while True:
            rows = self._scan.slice(start, SLICE_ROWS).select(texts).collect()
            if rows.is_empty():
                return
            lines = pl.int_range(start + 1, start + rows.height + 1, dtype=pl.Int64)
            yield Chunk(
                rows=rows.select(lines.alias("line"), pl.all()),
                originals=partial(self._originals, start),
            )
            start += rows.height

    def _originals(self, start: int, lines: Sequence[int]) -> list[bytes]:
        """Write rows as JSON, each column as the text that a CSV file would hold."""
        texts = [_text(name, self._schema).alias(name) for name in self._schema.names()]
        rows = self._scan.slice(start, SLICE_ROWS).select(texts).collect()
        wanted = rows[[line - start - 1 for line in lines]]
        return [orjson.dumps(row) for row in wanted.iter_rows(named=True)]

    def _hash(self) -> str:
        digest = hashlib.sha256()
        with self._path.open("rb") as file:
            while block := file.read(_HASH_BYTES):
                digest.update(block)
                self._on_read(len(block))
        return digest.hexdigest()


@contextmanager
def open_parquet(path: Path, on_read: Callable[[int], None]) -> Iterator[ParquetTable]:
    """Open a Parquet file.

    Raises:
        ImportRefused: it is no Parquet file, or breaks off.
    """
    try:
        yield ParquetTable(path, on_read)
    # Broken bytes can also make polars panic: seen with flipped bits in a page header.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        words = str(error).splitlines() or ["it is broken"]
        raise ImportRefused(f"the Parquet file cannot be read: {words[0]}") from error


def _text(name: str, schema: pl.Schema) -> pl.Expr:
    column, kind = pl.col(name), schema[name]
    if isinstance(kind, pl.Datetime):
        column = pl.when(_in_years(column, _PER_DAY[kind.time_unit])).then(column)
        if kind.time_zone is None:
            return column.dt.cast_time_unit("us").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
        utc = column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
        return utc.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    if kind == pl.Date:
        return pl.when(_in_years(column, 1)).then(column).dt.strftime("%Y-%m-%d")
    if kind == pl.String:
        stripped = column.str.strip_chars()
        return pl.when(stripped != "").then(stripped)
    return column.cast(pl.String, strict=False)


def _in_years(column: pl.Expr, per_day: int) -> pl.Expr:
    # In nanoseconds an int64 ends in 2262, before the last of these days.
    last = min(_LAST_DAY * per_day, (1 << 63) - 1)
    first = max(_FIRST_DAY * per_day, -(1 << 63))
    return column.to_physical().cast(pl.Int64).is_between(first, last)
