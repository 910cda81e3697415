"""Records that are in memory already, as mutations and streams bring them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import orjson
import polars as pl

from app.ingestion.table import Chunk

CHUNK_ROWS = 100_000

# Fields and their texts; a field that is absent is null.
Record = Mapping[str, str | None]


class RowsTable:
    """Some records; the line of each is its place, from 1. None is a malformed one.

    The header is every field of every record. The checksum is that of the records' own bytes, each
    ended by a line feed.
    """

    def __init__(
        self,
        records: Sequence[Record | None],
        originals: Sequence[bytes] | None,
        fields: Sequence[str],
    ) -> None:
        self._records = records
        self._originals = originals
        names = dict.fromkeys(fields)
        for record in records:
            names |= dict.fromkeys(record or ())
        self.header = list(names)
        self.checksum: str | None = None

    def chunks(self, places: Mapping[str, int]) -> Iterator[Chunk]:
        """Give the records in slices of CHUNK_ROWS."""
        digest = hashlib.sha256()
        names = {field: self.header[place] for field, place in places.items()}
        for start in range(0, len(self._records), CHUNK_ROWS):
            lines = range(start + 1, min(start + CHUNK_ROWS, len(self._records)) + 1)
            yield self._chunk(lines, names)
            for original in self._bytes(lines):
                digest.update(original + b"\n")
        self.checksum = digest.hexdigest()

    def _chunk(self, lines: Sequence[int], names: Mapping[str, str]) -> Chunk:
        numbered = [(line, self._records[line - 1]) for line in lines]
        good = [(line, record) for line, record in numbered if record is not None]
        columns = {
            field: pl.Series([record.get(name) for _, record in good], dtype=pl.String)
            for field, name in names.items()
        }
        own = pl.Series([line for line, _ in good], dtype=pl.Int64)
        return Chunk(
            rows=pl.DataFrame({"line": own, **columns}),
            originals=self._bytes,
            malformed=[line for line, record in numbered if record is None],
        )

    def _bytes(self, lines: Sequence[int]) -> list[bytes]:
        if self._originals is not None:
            return [self._originals[line - 1] for line in lines]
        return [orjson.dumps(self._records[line - 1]) for line in lines]


@contextmanager
def rows_table(
    records: Sequence[Record | None],
    originals: Sequence[bytes] | None = None,
    *,
    fields: Sequence[str] = (),
) -> Iterator[RowsTable]:
    """Give records as a table; `originals` are their own bytes, by default their JSON.

    A record of None is malformed. `fields` are in the header even if no record has them, so that a
    field that is missing everywhere refuses the records and not the delivery.
    """
    yield RowsTable(records, originals, fields)
