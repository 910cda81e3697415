"""Read Parquet in slices, every column as the text that a CSV file would hold."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from app.errors import ImportRefused
from app.ingestion.table import Chunk

SLICE_ROWS = 200_000
_HASH_BYTES = 1 << 20


class ParquetTable:
    """One Parquet file; a row's line is its number, from 1."""

    def __init__(self, path: Path, on_read: Callable[[int], None]) -> None:
        self._path = path
        self._on_read = on_read
        self._scan = pl.scan_parquet(path, glob=False)
        self._schema = self._scan.collect_schema()
        self.header = list(self._schema.names())
        self.checksum: str | None = None

    def chunks(self, places: Mapping[str, int]) -> Iterator[Chunk]:
        """Give the rows slice by slice; floats as their shortest decimal text."""
        self.checksum = self._hash()
        texts = [
            _text(self.header[place], self._schema).alias(field) for field, place in places.items()
        ]
        start = 0
        while True:
            rows = self._scan.slice(start, SLICE_ROWS).select(texts).collect()
            if rows.is_empty():
                return
            lines = pl.int_range(start + 1, start + rows.height + 1, dtype=pl.Int64)
            yield Chunk(rows=rows.select(lines.alias("line"), pl.all()))
            start += rows.height

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
    except pl.exceptions.PolarsError as error:
        raise ImportRefused(
            f"the Parquet file cannot be read: {str(error).splitlines()[0]}"
        ) from error


def _text(name: str, schema: pl.Schema) -> pl.Expr:
    column, kind = pl.col(name), schema[name]
    if isinstance(kind, pl.Datetime):
        if kind.time_zone is None:
            return column.dt.cast_time_unit("us").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
        utc = column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
        return utc.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    if kind == pl.Date:
        return column.dt.strftime("%Y-%m-%d")
    if kind == pl.String:
        stripped = column.str.strip_chars()
        return pl.when(stripped != "").then(stripped)
    return column.cast(pl.String, strict=False)
