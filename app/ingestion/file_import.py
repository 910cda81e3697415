"""Import one file of trades, bars or quotes: CSV (also .gz), Parquet or NDJSON."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePath

from app.errors import ImportRefused
from app.ingestion.csv_table import open_csv
from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.ndjson_table import open_ndjson
from app.ingestion.parquet_table import open_parquet
from app.ingestion.pipeline import deliver
from app.ingestion.rejects import Rejects
from app.ingestion.table import Table
from app.storage.database import Connection

OnRead = Callable[[int], None]

_FORMATS: dict[str, Callable[[Path, OnRead], AbstractContextManager[Table]]] = {
    ".parquet": open_parquet,
    ".pq": open_parquet,
    ".ndjson": open_ndjson,
    ".jsonl": open_ndjson,
}


def import_file(
    connection: Connection, path: Path, delivery: Delivery, rejects: Rejects, on_read: OnRead
) -> Receipt:
    """Store a file as one batch; refused records go to quarantine and to `rejects`.

    Raises:
        ImportRefused: the file cannot be read or lacks a column, and nothing is kept; or it has no
            good record, and all of them are in quarantine.
    """
    receipt = deliver(connection, lambda: open_table(path, on_read), delivery, rejects)
    if not receipt.counts.stored + receipt.counts.duplicate:
        raise nothing_good(receipt.batch_id, rejects)
    return receipt


def nothing_good(batch_id: int, rejects: Rejects) -> ImportRefused:
    """Say that a batch has refused records only."""
    return ImportRefused(rejects.summary(f"no good record (batch {batch_id})"))


@contextmanager
def open_table(path: Path, on_read: OnRead) -> Iterator[Table]:
    """Open a file by its ending: .parquet, .pq, .ndjson or .jsonl, otherwise CSV; text also .gz.

    Raises:
        ImportRefused: it is not there, or not of that kind.
    """
    ending = PurePath(path.name.lower().removesuffix(".gz")).suffix
    try:
        with _FORMATS.get(ending, open_csv)(path, on_read) as table:
            yield table
    except OSError as error:
        raise ImportRefused(f"{path.name} cannot be read: {error.strerror or error}") from error
