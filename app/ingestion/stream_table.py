"""A batch of a stream's entries as a table: the record's fields, or one JSON object as `data`.

JSON is read as NDJSON is (app.ingestion.ndjson_table): numbers keep their digits, and it is
malformed if it is no object or not UTF-8, or if a field comes twice, or is true, false, an array or
an object.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import polars as pl

from app.ingestion.table import Chunk, Table

Fields = Mapping[bytes, bytes]

_DATA = b"data"
_TEXTS = frozenset({str, int, type(None)})  # floats come as str
_NO_OBJECT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@contextmanager
def open_entries(
    entries: Sequence[Fields], header: Sequence[str], *, malformed: bool = False
) -> Iterator[Table]:
    """Give the entries as a table with the columns of `header`, the first one as line 1.

    The header is not the entries' own: one odd field name must not change how all are read. A field
    that an entry lacks, or has empty, is null. `malformed`: none of them is a record.
    """
    yield _EntriesTable(entries, list(header), malformed)


class _EntriesTable:
    """Entries in memory, in one chunk."""

    checksum = None

    def __init__(self, entries: Sequence[Fields], header: list[str], malformed: bool) -> None:
        self._entries = entries
        self._malformed = malformed
        self.header = header

    def chunks(self, places: Mapping[str, int]) -> Iterator[Chunk]:
        """Give all entries at once."""
        names = [self.header[place] for place in places.values()]
        keys = [name.encode() for name in names]
        read_json = _json_reader(names)
        lines: list[int] = []
        broken: list[int] = []
        rows: list[Sequence[str | None]] = []
        for line, entry in enumerate(self._entries, start=1):
            data = entry.get(_DATA)
            if self._malformed:
                row = None
            elif data is None:
                row = [entry.get(key, b"").decode("utf-8", "replace") or None for key in keys]
            else:
                row = read_json(data)
            if row is None:
                broken.append(line)
            else:
                lines.append(line)
                rows.append(row)
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        texts = [
            pl.Series(field, column, dtype=pl.String)
            for field, column in zip(places, columns, strict=True)
        ]
        yield Chunk(
            rows=pl.DataFrame([pl.Series("line", lines, dtype=pl.Int64), *texts]),
            originals=lambda wanted: [_original(self._entries[line - 1]) for line in wanted],
            malformed=broken,
        )


def _json_reader(names: Sequence[str]) -> Callable[[bytes], list[str | None] | None]:
    """Give a function that reads the named fields of JSON; it gives None for a malformed one."""
    row = msgspec.defstruct("Row", [(name, Any, None) for name in names], gc=False)
    decode = msgspec.json.Decoder(row, float_hook=str).decode
    quoted = [f'"{name}"'.encode() for name in names]

    def read(data: bytes) -> list[str | None] | None:
        try:
            data.decode()
            record = decode(data)
        except _NO_OBJECT:
            return None
        values = msgspec.structs.astuple(record)
        if not _TEXTS.issuperset(map(type, values)):
            return None
        # Looked for only where it can be.
        if (b"\\" in data or any(data.count(name) > 1 for name in quoted)) and _repeats(
            data, names
        ):
            return None
        return [None if value is None or value == "" else str(value) for value in values]

    return read


def _repeats(data: bytes, names: Sequence[str]) -> bool:
    """Tell whether an object has one of the fields more than once, however it is written."""
    try:
        found = json.loads(data, object_pairs_hook=lambda pairs: Counter(key for key, _ in pairs))
    except (ValueError, RecursionError):
        return True
    return any(found[name] > 1 for name in names)


def _original(entry: Fields) -> bytes:
    """Give an entry as it came: its JSON, or its fields as a JSON object."""
    data = entry.get(_DATA)
    if data is not None:
        return data
    return msgspec.json.encode(
        {
            key.decode("utf-8", "backslashreplace"): value.decode("utf-8", "backslashreplace")
            for key, value in entry.items()
        }
    )
