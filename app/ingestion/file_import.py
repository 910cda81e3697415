"""Import one file of trades or bars: read, check, stage, store, log; all of it or nothing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from app.errors import ImportRefused
from app.ingestion.columns import BAR_FIELDS, TRADE_FIELDS, Fields, find_columns
from app.ingestion.csv_table import open_csv
from app.ingestion.parquet_table import open_parquet
from app.ingestion.records import Prepared, prepare_bars, prepare_trades
from app.ingestion.rejects import Rejects
from app.ingestion.symbols import Symbols
from app.ingestion.table import Chunk, Table
from app.market.interval import Interval, Unit
from app.storage import bars, trades
from app.storage.batches import BatchKind, Counts, next_batch_id, record_batch
from app.storage.database import Connection
from app.storage.instrument_writes import NewInstruments
from app.storage.staging import Staging, Stored
from app.validation.reasons import Reason

OnRead = Callable[[int], None]
NO_GOOD_ROW = "the file has no good row"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """How a file is to be read; `symbol` is that of every row where the file has no such column."""

    symbol: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "UTC"
    create: NewInstruments | None = None
    replace: bool = False


def import_trades(
    connection: Connection, path: Path, options: FileOptions, rejects: Rejects, on_read: OnRead
) -> Counts:
    """Store the trades of a CSV or Parquet file as one batch.

    Raises:
        ImportRefused: the file cannot be read, lacks a column or has no good row; nothing is
            stored.
    """

    def prepare(rows: pl.DataFrame, symbols: Symbols) -> Prepared:
        return prepare_trades(rows, symbols, options.timezone)

    def store(received_at: datetime, staged: _Staged) -> tuple[int, Stored]:
        source = trades.prepare(connection, has_ids="trade_id" in staged.places)
        batch_id = next_batch_id(connection, staged.instrument_ids)
        return batch_id, trades.insert(
            connection,
            source,
            batch_id=batch_id,
            received_at=received_at,
            replace=options.replace,
        )

    job = _Job(kind=BatchKind.TRADES, fields=TRADE_FIELDS, staging=trades.STAGING)
    return _run(job, connection, path, options, rejects, on_read, prepare, store)


def import_bars(
    connection: Connection,
    path: Path,
    interval: Interval,
    options: FileOptions,
    rejects: Rejects,
    on_read: OnRead,
) -> Counts:
    """Store the bars of a CSV or Parquet file as one batch; `interval` is theirs.

    Raises:
        ImportRefused: bars cannot have that interval, or the file cannot be read, lacks a column
            or has no good row; nothing is stored.
    """
    minutes = bar_minutes(interval)

    def prepare(rows: pl.DataFrame, symbols: Symbols) -> Prepared:
        return prepare_bars(rows, symbols, options.timezone, interval)

    def store(received_at: datetime, staged: _Staged) -> tuple[int, Stored]:
        batch_id = next_batch_id(connection, staged.instrument_ids)
        return batch_id, bars.insert(
            connection,
            interval_minutes=minutes,
            batch_id=batch_id,
            received_at=received_at,
            replace=options.replace,
        )

    job = _Job(kind=BatchKind.BARS, fields=BAR_FIELDS, staging=bars.STAGING)
    return _run(job, connection, path, options, rejects, on_read, prepare, store)


def bar_minutes(interval: Interval) -> int:
    """Give a vendor bar interval in minutes: whole minutes up to one day.

    Raises:
        ImportRefused: it is shorter, longer, or no whole number of minutes.
    """
    if interval.unit is Unit.DAY and interval.count == 1:
        return 1440
    if interval.unit is Unit.SECOND and interval.count % 60 == 0 and interval.count < 86_400:
        return interval.count // 60
    raise ImportRefused(f"bars of {interval} cannot be stored: whole minutes up to 1d can")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    kind: BatchKind
    fields: Fields
    staging: Staging


@dataclass(frozen=True, slots=True, kw_only=True)
class _Staged:
    places: Mapping[str, int]
    instrument_ids: list[int]


def _run(
    job: _Job,
    connection: Connection,
    path: Path,
    options: FileOptions,
    rejects: Rejects,
    on_read: OnRead,
    prepare: Callable[[pl.DataFrame, Symbols], Prepared],
    store: Callable[[datetime, _Staged], tuple[int, Stored]],
) -> Counts:
    received_at = datetime.now(UTC)
    constant = frozenset() if options.symbol is None else frozenset({"symbol"})
    with open_table(path, on_read) as table, connection.transaction():
        places = find_columns(table.header, job.fields, given=options.columns, constant=constant)
        job.staging.create(connection)
        symbols = Symbols(connection, options.create)
        touching: set[int] = set()
        for chunk in table.chunks(places):
            prepared = prepare(_rows(chunk, options.symbol), symbols)
            for line, record in chunk.malformed:
                rejects.add(line, Reason.MALFORMED_ROW, record)
            rejects.add_frame(prepared.refused)
            if prepared.staged.height:
                job.staging.copy(connection, _csv(prepared.staged))
                touching.update(prepared.staged["instrument_id"].unique())
        if not touching:
            raise ImportRefused(rejects.summary(NO_GOOD_ROW))
        staged = _Staged(places=places, instrument_ids=sorted(touching))
        batch_id, stored = store(received_at, staged)
        for line, record in stored.conflicts:
            rejects.add(line, Reason.CONTRADICTS_STORED, record)
        if not stored.stored + stored.duplicate:
            raise ImportRefused(rejects.summary(NO_GOOD_ROW))
        rejects.flush()
        counts = Counts(stored=stored.stored, duplicate=stored.duplicate, rejected=rejects.count)
        record_batch(
            connection,
            batch_id=batch_id,
            kind=job.kind,
            source=f"file:{path.name}",
            checksum=table.checksum,
            counts=counts,
            received_at=received_at,
        )
    return counts


@contextmanager
def open_table(path: Path, on_read: OnRead) -> Iterator[Table]:
    """Open a file by its ending: .parquet, otherwise CSV (also .gz).

    Raises:
        ImportRefused: it is not there, or not of that kind.
    """
    opened = open_parquet if path.suffix.lower() in {".parquet", ".pq"} else open_csv
    try:
        with opened(path, on_read) as table:
            yield table
    except OSError as error:
        raise ImportRefused(f"{path.name} cannot be read: {error.strerror or error}") from error


def _rows(chunk: Chunk, symbol: str | None) -> pl.DataFrame:
    if symbol is None:
        return chunk.rows
    return chunk.rows.with_columns(pl.lit(symbol).alias("symbol"))


def _csv(rows: pl.DataFrame) -> bytes:
    return rows.write_csv(include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ").encode()
