"""Read NDJSON, plain or gzipped: one JSON object a line, every number with its own digits.

Numbers become the text that they are written with, never through a float; strings stay as they
are; null and an absent key are null. A line is malformed if it is no JSON object or not UTF-8, if
it has a key twice, or if the value of a field is true, false, an array or an object.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from msgspec import UNSET

from app.ingestion.blocks import Source, open_source
from app.ingestion.ndjson_lines import NO_OBJECT, Block, Decode, blocks_of, find_keys, is_plain
from app.ingestion.table import Chunk

# Smaller than a CSV block: a record is some Python objects on its way.
BLOCK_BYTES = 4 << 20
_TEXTS = frozenset({str, int, type(None), msgspec.UnsetType})  # floats come as str


class NdjsonTable:
    """One NDJSON source; its header is every key of every record, in order of appearance.

    Lines are counted as editors do: LF and CR LF end one. Blank lines are no records.
    """

    def __init__(
        self, source: Source, header: list[str], checksum: Callable[[], str | None]
    ) -> None:
        self.header = header
        self._source = source
        self._checksum = checksum

    @property
    def checksum(self) -> str | None:
        """The SHA-256 of the source as it is stored, once it has been read to its end."""
        return self._checksum()

    def chunks(self, places: Mapping[str, int]) -> Iterator[Chunk]:
        """Give the records block by block."""
        reading = _Reading({field: self.header[place] for field, place in places.items()})
        for block in blocks_of(self._source, BLOCK_BYTES):
            yield reading.chunk(block)


@contextmanager
def open_ndjson(path: Path, on_read: Callable[[int], None]) -> Iterator[NdjsonTable]:
    """Open an NDJSON file (`.gz`: gzipped); `on_read` is told each count of bytes read from disk.

    Raises:
        ImportRefused: it cannot be read, has no JSON object, or its compression is broken.
    """
    with open_source(path, lambda count: None, BLOCK_BYTES) as (source, _):
        header = find_keys(source, BLOCK_BYTES)
    with open_source(path, on_read, BLOCK_BYTES) as (source, raw):
        yield NdjsonTable(source, header, raw.digest.hexdigest)


@contextmanager
def ndjson_of(
    opening: Callable[[], AbstractContextManager[Source]], checksum: str
) -> Iterator[NdjsonTable]:
    """Read NDJSON from a source that can be opened again, and whose SHA-256 is known.

    Raises:
        ImportRefused: it has no JSON object.
    """
    with opening() as source:
        header = find_keys(source, BLOCK_BYTES)
    with opening() as source:
        yield NdjsonTable(source, header, lambda: checksum)


class _Reading:
    """Makes chunks of lines; `keys` name the key of each field."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = keys
        # A slot of a struct for each key; msgspec takes no quotes or backslashes in names.
        self._slots = {key: f"f{number}" for number, key in enumerate(dict.fromkeys(keys.values()))}
        self._plain = all(map(is_plain, self._slots))
        row = msgspec.defstruct(
            "Row",
            [(slot, Any, UNSET) for slot in self._slots.values()],
            rename={slot: key for key, slot in self._slots.items()} if self._plain else None,
            gc=False,
        )
        self._row = row
        self._decode: Decode = msgspec.json.Decoder(row, float_hook=str).decode
        self._decode_any: Decode = msgspec.json.Decoder(dict[str, Any], float_hook=str).decode

    def chunk(self, block: Block) -> Chunk:
        numbers, rows, malformed = self._rows(block)
        values = {
            key: list(map(attrgetter(slot), rows)) if rows else []
            for key, slot in self._slots.items()
        }
        bad = self._not_text(values) | self._ambiguous(block, numbers, values)
        if bad:
            malformed = sorted([*malformed, *(numbers[place] for place in bad)])
            kept = [place for place in range(len(rows)) if place not in bad]
            numbers = [numbers[place] for place in kept]
            values = {key: [each[place] for place in kept] for key, each in values.items()}
        columns = {field: _column(values[key]) for field, key in self._keys.items()}
        return Chunk(
            rows=pl.DataFrame({"line": pl.Series(numbers, dtype=pl.Int64), **columns}),
            originals=lambda wanted: [block.line(number).removesuffix(b"\r") for number in wanted],
            malformed=malformed,
        )

    def _rows(self, block: Block) -> tuple[Sequence[int], list[Any], list[int]]:
        """Give the numbers and the records of lines, and the numbers of the malformed ones."""
        decode = self._decode if self._plain else self._decode_odd
        texts = _is_utf8(block.data)
        if texts:
            try:
                rows = list(map(decode, block.lines))
            except NO_OBJECT:
                pass
            else:
                return range(block.first, block.first + len(rows)), rows, []
        numbers: list[int] = []
        rows = []
        malformed: list[int] = []
        for number, line in enumerate(block.lines, block.first):
            try:
                row = decode(line)
            except NO_OBJECT:
                if line.strip():
                    malformed.append(number)
                continue
            if texts or _is_utf8(line):
                numbers.append(number)
                rows.append(row)
            else:
                malformed.append(number)
        return numbers, rows, malformed

    def _decode_odd(self, line: bytes) -> Any:
        found = self._decode_any(line)
        return self._row(**{slot: found.get(key, UNSET) for key, slot in self._slots.items()})

    def _not_text(self, values: Mapping[str, list[Any]]) -> set[int]:
        """Give the places of records with a value that is no text."""
        return {
            place
            for column in values.values()
            if not _TEXTS.issuperset(set(map(type, column)))
            for place, value in enumerate(column)
            if type(value) not in _TEXTS
        }

    def _ambiguous(
        self, block: Block, numbers: Sequence[int], values: Mapping[str, list[Any]]
    ) -> set[int]:
        """Give the places of records that have a key twice: looked for only where it can be."""
        quoted = [json.dumps(key, ensure_ascii=False).encode() for key in values]
        if b"\\" not in block.data and all(
            block.data.count(name) == len(column) - column.count(UNSET)
            for name, column in zip(quoted, values.values(), strict=True)
        ):
            return set()
        return {
            place
            for place, number in enumerate(numbers)
            if (line := block.line(number))
            and (b"\\" in line or any(line.count(name) > 1 for name in quoted))
            and _repeats(line, self._slots)
        }


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _repeats(line: bytes, keys: Mapping[str, str]) -> bool:
    """Tell whether an object has one of the keys more than once, however it is written."""
    try:
        found = json.loads(
            line, object_pairs_hook=lambda pairs: Counter(key for key, _ in pairs), parse_int=str
        )
    except (ValueError, RecursionError):
        return True
    return any(found[key] > 1 for key in keys)


def _column(values: list[Any]) -> pl.Series:
    """Make text of strings, whole numbers of any size, null and UNSET."""
    try:
        return pl.Series(values, dtype=pl.String)
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        pass
    try:
        return pl.Series(values, dtype=pl.Int64).cast(pl.String)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        texts = [None if each is None or each is UNSET else str(each) for each in values]
        return pl.Series(texts, dtype=pl.String)
