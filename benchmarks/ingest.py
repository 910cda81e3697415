"""How much slower is an import of trades, with all that it checks and logs, than a bare COPY?"""

import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import psycopg

from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.rejects import Rejects
from app.market.instrument import AssetClass
from app.market.schedule import exchange_of
from app.storage.batches import BatchKind
from app.storage.database import connect
from app.storage.instrument_writes import NewInstruments
from app.storage.migrate import migrate
from benchmarks.measure import in_turns, spread, timed
from benchmarks.report import Result
from tests.parts.postgres import native_timescaledb

TRADES = 1_000_000
SYMBOLS = 20
ROUNDS = 3
COPY = (
    "COPY trade (instrument_id, event_time, trade_id, price, size, session, trading_date,"
    " received_at, batch_id) FROM STDIN (FORMAT csv)"
)


def run() -> Result:
    """Import a CSV file of a million trades, and COPY its rows, in turns into an empty table."""
    with TemporaryDirectory() as folder, native_timescaledb(Path(folder) / "pg") as server:
        url = server.create_database("ingest")
        migrate(url)
        rows = _rows()
        path = Path(folder) / "trades.csv"
        rows.select("symbol", "time", "price", "size", "trade_id").write_csv(path)
        ready = rows.select(
            pl.col("instrument_id"),
            "time",
            "trade_id",
            "price",
            "size",
            pl.lit(1).alias("session"),
            pl.lit("2026-11-02").alias("trading_date"),
            pl.lit("2026-11-02T00:00:00Z").alias("received_at"),
            pl.lit(1).alias("batch_id"),
        ).write_csv(include_header=False)
        stages: list[dict[str, float]] = []
        contenders = {
            "bare COPY": lambda: _bare(url, ready.encode()),
            "import": lambda: _import(url, path, stages),
        }
        found = in_turns(contenders, ROUNDS)
    ratios = [ours / bare for bare, ours in zip(found["bare COPY"], found["import"], strict=True)]
    return Result(
        name="Import of trades",
        question=str(__doc__),
        data=f"{TRADES:,} trades of {SYMBOLS} instruments over four days, CSV, into an empty"
        " hypertable with its unique key and time index; native server, fsync on",
        columns=("what", "seconds", "rows/s"),
        rows=[
            (name, spread(seconds), f"{TRADES / statistics.median(seconds):,.0f}")
            for name, seconds in found.items()
        ],
        findings=[
            f"rows per second against the bare COPY: {1 / statistics.median(ratios):.2f}x"
            f" (each round: {', '.join(f'{1 / ratio:.2f}' for ratio in ratios)})",
            f"of the import's time, by stage: {_shares(stages, found['import'])}",
        ],
    )


def _shares(stages: list[dict[str, float]], totals: list[float]) -> str:
    """Write each stage's share of the time, as medians over the rounds."""
    shares = {
        name: statistics.median(
            each[name] / total for each, total in zip(stages, totals, strict=True)
        )
        for name in stages[0]
    }
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())


def _rows() -> pl.DataFrame:
    number = pl.int_range(TRADES, dtype=pl.Int64)
    return pl.select(
        (number % SYMBOLS + 1).alias("instrument_id"),
        pl.format("S{}", number % SYMBOLS).alias("symbol"),
        (pl.datetime(2026, 11, 2, time_zone="UTC") + pl.duration(milliseconds=number * 370))
        .dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .alias("time"),
        (100 + (number % 997) * 0.01).round(2).cast(pl.String).alias("price"),
        (1 + number % 5).alias("size"),
        number.alias("trade_id"),
    )


def _bare(url: str, csv: bytes) -> float:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE trade")

        def copy() -> None:
            with connection.cursor().copy(COPY) as copying:
                copying.write(csv)

        return timed(copy)


def _import(url: str, path: Path, stages: list[dict[str, float]]) -> float:
    create = NewInstruments(
        exchange=exchange_of("24/7"), asset_class=AssetClass.CRYPTO, currency="USD"
    )
    with connect(url, timeout_s=10, statement_timeout_s=600) as connection:
        connection.execute("TRUNCATE trade, latest")
        delivery = Delivery(
            kind=BatchKind.TRADES, source=f"file:{path.name}", actor="benchmark", create=create
        )

        def store() -> None:
            receipt = import_file(connection, path, delivery, Rejects(), lambda _: None)
            stages.append(dict(receipt.seconds))

        return timed(store)
