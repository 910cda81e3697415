"""Bring the refused records of a source to quarantine, verbatim and with their reasons."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import polars as pl

from app.ingestion.rejects import Rejects
from app.ingestion.table import Chunk
from app.storage import quarantine
from app.storage.database import Connection
from app.validation.reasons import Reason

NO_RECORD = "there is no record in it"
REFUSED: dict[str, pl.DataType | type[pl.DataType]] = {
    "line": pl.Int64,
    "reasons": pl.List(pl.String),
}


class Refusals(Protocol):
    """Where refused records go while a source is read; `reasons` counts the first of each."""

    reasons: Counter[Reason]
    new: bool  # they count as rejected: they were not in quarantine before

    def add_malformed(self, chunk: Chunk) -> None:
        """Refuse the chunk's records that have no columns."""

    def add(self, chunk: Chunk, refused: Sequence[tuple[int, Reason]]) -> None:
        """Refuse lines of a chunk, each with one reason."""

    def add_frame(self, chunk: Chunk, refused: pl.DataFrame) -> None:
        """Refuse lines of a chunk: line, reasons."""

    def keep(self, batch_id: int, options: Mapping[str, object]) -> None:
        """Keep them with the batch; `options` tell how the source was read."""


class Quarantining:
    """Stages refused records for quarantine, and tells `rejects` of each."""

    new = True

    def __init__(self, connection: Connection, rejects: Rejects) -> None:
        self._connection = connection
        self._rejects = rejects
        self.reasons: Counter[Reason] = Counter()
        quarantine.STAGING.create(connection)

    def add_malformed(self, chunk: Chunk) -> None:
        """Refuse the chunk's records that have no columns."""
        self.add(chunk, [(line, Reason.MALFORMED_ROW) for line in chunk.malformed])

    def add(self, chunk: Chunk, refused: Sequence[tuple[int, Reason]]) -> None:
        """Refuse lines of a chunk, each with one reason."""
        rows = [(line, [reason.value]) for line, reason in refused]
        self.add_frame(chunk, pl.DataFrame(rows, schema=REFUSED, orient="row"))

    def add_frame(self, chunk: Chunk, refused: pl.DataFrame) -> None:
        """Refuse lines of a chunk: line, reasons."""
        if refused.is_empty():
            return
        originals = chunk.originals(refused["line"].to_list())
        texts = [name for name in chunk.rows.columns if name != "line"]
        fields = chunk.rows.select("line", pl.struct(texts).struct.json_encode().alias("fields"))
        kept = refused.with_columns(pl.Series("record", originals, dtype=pl.Binary)).join(
            fields, on="line", how="left", maintain_order="left"
        )
        quarantine.STAGING.copy(self._connection, _csv(kept))
        for line, reasons, record in kept.select("line", "reasons", "record").iter_rows():
            first = Reason(reasons[0])
            self.reasons[first] += 1
            self._rejects.add(line, first, record.decode("utf-8", errors="replace"))

    def keep(self, batch_id: int, options: Mapping[str, object]) -> None:
        """Quarantine what was staged; `options` tell how the source was read.

        Raises:
            ImportRefused: the file of refused rows cannot be written.
        """
        if self.reasons:
            quarantine.keep(self._connection, batch_id=batch_id, options=options)
        self._rejects.flush()


def _csv(rows: pl.DataFrame) -> bytes:
    return (
        rows.select(
            "line",
            pl.concat_str(pl.lit("{"), pl.col("reasons").list.join(","), pl.lit("}")),
            pl.concat_str(pl.lit("\\x"), pl.col("record").bin.encode("hex")).alias("record"),
            "fields",
        )
        .write_csv(include_header=False)
        .encode()
    )
