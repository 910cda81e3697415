"""The shape in which every file arrives: chunks of text columns with each row's line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some rows: `line` (int) and one text column per field; `malformed` rows have no columns."""

    rows: pl.DataFrame
    malformed: list[tuple[int, str]] = field(default_factory=list)


class Table(Protocol):
    """A file opened for reading once, in order."""

    @property
    def header(self) -> list[str]:
        """The column names, as written."""

    @property
    def checksum(self) -> str | None:
        """The SHA-256 of the whole file, once it has been read to its end."""

    def chunks(self, places: Mapping[str, int]) -> Iterator[Chunk]:
        """Give the rows with the columns at `places` (field -> index) named by field."""
