"""The shape in which every source arrives: chunks of text columns with each row's place."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some rows in order: `line` (int) and one text column per field.

    `malformed` are the lines whose records have no columns. `originals` gives the records of
    lines of this chunk, of either sort, as they came.
    """

    rows: pl.DataFrame
    originals: Callable[[Sequence[int]], list[bytes]]
    malformed: Sequence[int] = ()


class Table(Protocol):
    """A source opened for reading once, in order."""

    @property
    def header(self) -> list[str]:
        """The column names, as written."""

    @property
    def checksum(self) -> str | None:
        """The SHA-256 of the whole source, once it has been read to its end."""

    def chunks(self, places: Mapping[str, int]) -> Iterator[Chunk]:
        """Give the rows with the columns at `places` (field -> index) named by field."""


# Opens a source; again where what was read before is needed once more.
Opening = Callable[[], AbstractContextManager[Table]]
