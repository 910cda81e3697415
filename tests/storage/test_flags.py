from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import polars as pl
import pytest

from app.market.instrument import AssetClass
from app.market.schedule import exchange_of
from app.storage import bars, flags, instrument_writes, quotes, trades
from app.storage.batches import BatchKind, Counts, next_batch_id, record_batch
from app.storage.database import Connection
from app.storage.instrument_writes import InstrumentRecord, NewInstruments
from app.storage.staging import Staging
from app.validation.anomalies import Watch
from app.validation.anomaly_past import NUMBERS, RowKind
from tests.conftest import TestDatabase
from tests.ingestion.imports import fresh_symbol, writing

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TRADES, BARS, QUOTES = BatchKind.TRADES, BatchKind.BARS, BatchKind.QUOTES
Row = tuple[object, ...]


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    with writing(database.url) as connection:
        yield connection


@pytest.fixture
def instrument(connection: Connection) -> int:
    return new_instrument(connection)


def new_instrument(connection: Connection) -> int:
    new = NewInstruments(
        exchange=exchange_of("24/7"), asset_class=AssetClass.CRYPTO, currency="USD"
    )
    symbol = fresh_symbol()
    instrument_writes.upsert(connection, InstrumentRecord(symbol=symbol), new)
    (meaning,) = instrument_writes.meanings(connection, [symbol])
    return meaning.instrument_id


def trade(instrument_id: int, at: datetime, trade_id: int | None, price: str = "5") -> Row:
    return (instrument_id, at, trade_id, price, "2", 1, at.date())


def bar(instrument_id: int, at: datetime, price: str = "5") -> Row:
    return (instrument_id, at, price, price, price, price, "9", None, None, 1, at.date())


def quote(instrument_id: int, at: datetime, quote_id: int, bid: str | None = "5") -> Row:
    size = None if bid is None else "3"
    return (instrument_id, at, quote_id, bid, "6", size, "4", 1, at.date())


def stage(connection: Connection, staging: Staging, rows: list[Row]) -> None:
    staging.create(connection)
    lines = [",".join("" if value is None else str(value) for value in row) for row in rows]
    staging.copy(connection, "".join(f"{line}\n" for line in lines).encode())


def store(
    connection: Connection,
    kind: BatchKind,
    rows: list[Row],
    flagged: list[int] | None = None,
    *,
    minutes: int = 0,
    replace: bool = False,
) -> int:
    """Store rows, their lines counted from 1, and flags on some lines; give how many were kept."""
    module: Callable[..., object]
    with connection.transaction():
        numbered = [(line, *row) for line, row in enumerate(rows, 1)]
        module = {TRADES: trades, BARS: bars, QUOTES: quotes}[kind]  # type: ignore[assignment]
        stage(connection, module.STAGING, numbered)  # type: ignore[attr-defined]
        stage(
            connection,
            flags.STAGING,
            [(line, rows[line - 1][1], "ODD", "INFO", 9.5, 8) for line in flagged or []],
        )
        now = datetime.now(UTC)
        instruments = sorted({int(str(row[0])) for row in rows})
        if kind is BARS:
            source = bars.STAGING.table
            batch_id = next_batch_id(connection, instruments)
            stored = bars.insert(
                connection,
                interval_minutes=minutes,
                batch_id=batch_id,
                received_at=now,
                replace=replace,
            )
        else:
            of = trades if kind is TRADES else quotes
            source = of.ROWS.ready(connection, has_ids=rows[0][2] is not None)
            batch_id = next_batch_id(connection, instruments)
            stored = of.insert(
                connection, source, batch_id=batch_id, received_at=now, replace=replace
            )
        kept = flags.insert(connection, kind, source, interval_minutes=minutes, batch_id=batch_id)
        counts = Counts(
            stored=stored.stored, duplicate=stored.duplicate, rejected=len(stored.conflicts)
        )
        record_batch(
            connection,
            batch_id=batch_id,
            kind=kind,
            source="test",
            checksum=None,
            counts=counts,
            received_at=now,
            actor="test",
            flagged=kept,
        )
    return kept


def flagged_of(connection: Connection, instrument_id: int) -> list[tuple[object, ...]]:
    return connection.execute(
        """
        SELECT kind, interval_minutes, event_time, row_id, rule, severity, score, threshold
        FROM flag WHERE instrument_id = %s ORDER BY flag_id
        """,
        (instrument_id,),
    ).fetchall()


def test_only_rows_that_the_batch_stored_are_flagged(
    connection: Connection, instrument: int
) -> None:
    at = [NOON + n * SECOND for n in range(6)]
    known = [trade(instrument, at[n], n) for n in (0, 1)]
    assert store(connection, TRADES, known) == 0
    rows = [
        trade(instrument, at[0], 0),  # known
        trade(instrument, at[1], 1, "7"),  # a contradiction
        trade(instrument, at[2], 2),
        trade(instrument, at[3], 3),
        trade(instrument, at[3], 3, "8"),  # a contradiction of the line before
        trade(instrument, at[4], 4),
        trade(instrument, at[4], 4),  # the same again
        trade(instrument, at[5], 5),
    ]
    assert store(connection, TRADES, rows, [1, 2, 3, 5, 6, 7, 6]) == 2
    said = ("ODD", "INFO", 9.5, 8.0)
    assert flagged_of(connection, instrument) == [
        ("TRADES", 0, at[2], 2, *said),
        ("TRADES", 0, at[4], 4, *said),
    ]


def test_corrections_are_flagged_and_what_loses_is_not(
    connection: Connection, instrument: int
) -> None:
    rows = [trade(instrument, NOON, 0), trade(instrument, NOON, 1)]
    store(connection, TRADES, rows)
    again = [
        trade(instrument, NOON, 0, "6"),
        trade(instrument, NOON, 1),
        trade(instrument, NOON, 0, "7"),
    ]
    assert store(connection, TRADES, again, [1, 2, 3], replace=True) == 1
    assert [row[3] for row in flagged_of(connection, instrument)] == [0]


def test_rows_without_ids_are_found_by_their_line(connection: Connection, instrument: int) -> None:
    rows = [trade(instrument, NOON, None, str(price)) for price in range(1, 5)]
    assert store(connection, TRADES, rows, [3]) == 1
    assert [row[3] for row in flagged_of(connection, instrument)] == [2]


def test_bars_and_quotes_are_flagged(connection: Connection, instrument: int) -> None:
    minute = timedelta(minutes=1)
    hourly = [bar(instrument, NOON, "4")]
    assert store(connection, BARS, hourly, [1], minutes=60) == 1
    rows = [bar(instrument, NOON + n * minute) for n in range(3)]
    assert store(connection, BARS, rows, [2], minutes=1) == 1
    sides = [quote(instrument, NOON, 0), quote(instrument, NOON, 7, None)]
    assert store(connection, QUOTES, sides, [1, 2]) == 2
    assert store(connection, QUOTES, sides, [1, 2]) == 0
    assert [row[:4] for row in flagged_of(connection, instrument)] == [
        ("BARS", 60, NOON, 0),
        ("BARS", 1, NOON + minute, 0),
        ("QUOTES", 0, NOON, 0),
        ("QUOTES", 0, NOON, 7),
    ]


def recent_ids(
    connection: Connection, kind: BatchKind, instrument: int, before: datetime, minutes: int = 0
) -> list[tuple[datetime, int]]:
    rows, _ = flags.recent(connection, kind, minutes, [instrument], before)
    return rows.sort("event_time", "row_id").select("event_time", "row_id").rows()


def test_the_last_rows_before_a_time_are_given(connection: Connection, instrument: int) -> None:
    rows = [trade(instrument, NOON + n // 2 * SECOND, n, f"{n + 1}.25") for n in range(200)]
    store(connection, TRADES, rows)
    end = NOON + 100 * SECOND
    last = [(NOON + n // 2 * SECOND, n) for n in range(200 - flags.DEPTH, 200)]
    assert recent_ids(connection, TRADES, instrument, end) == last
    # Years later it is the same, and another instrument has nothing.
    assert recent_ids(connection, TRADES, instrument, end + timedelta(days=2000)) == last
    assert recent_ids(connection, TRADES, new_instrument(connection), end) == []
    found, unseen = flags.recent(connection, TRADES, 0, [instrument], end)
    assert unseen == {}
    assert set(found.columns) == {
        *("instrument_id", "event_time", "trading_date", "row_id"),
        *NUMBERS[RowKind.TRADES],
    }
    assert found.sort("row_id")["price"][-1] == 200.25


def test_what_is_between_the_past_and_the_newest_rows_is_told(
    connection: Connection, instrument: int
) -> None:
    rows = [trade(instrument, NOON + n * SECOND, n) for n in range(300)]
    store(connection, TRADES, rows)
    at = {n: NOON + n * SECOND for n in range(300)}
    micro = timedelta(microseconds=1)

    def told(before: datetime) -> tuple[list[int], dict[int, tuple[datetime, datetime]]]:
        found, unseen = flags.recent(connection, TRADES, 0, [instrument], before)
        return sorted(found["row_id"]), unseen

    newest = list(range(300 - flags.DEPTH, 300))
    assert told(at[100]) == (
        [*range(35, 100), *newest],
        {instrument: (at[100] + micro, at[235])},
    )
    assert told(at[235]) == (list(range(170, 300)), {})
    assert told(at[290]) == (list(range(225, 300)), {})
    assert told(NOON - SECOND) == (newest, {instrument: (NOON + micro, at[235])})


def test_rows_are_looked_for_further_back_where_they_are_rare(
    connection: Connection, instrument: int
) -> None:
    week = timedelta(days=7)
    rows = [trade(instrument, NOON + n * week, n) for n in range(90)]
    store(connection, TRADES, rows)
    found = recent_ids(connection, TRADES, instrument, NOON + 100 * week)
    assert [row_id for _, row_id in found] == list(range(90 - flags.DEPTH, 90))


def test_cancelled_trades_and_other_intervals_are_no_past(
    connection: Connection, instrument: int
) -> None:
    store(connection, TRADES, [trade(instrument, NOON + n * SECOND, n) for n in range(5)])
    connection.execute(
        "UPDATE trade SET cancelled = true WHERE instrument_id = %s AND trade_id = 3",
        (instrument,),
    )
    found = recent_ids(connection, TRADES, instrument, NOON + 10 * SECOND)
    assert [row_id for _, row_id in found] == [0, 1, 2, 4]
    day = timedelta(days=1)
    store(connection, BARS, [bar(instrument, NOON + n * day) for n in range(90)], minutes=720)
    store(connection, BARS, [bar(instrument, NOON)], minutes=1)
    later = NOON + 1000 * day
    assert len(recent_ids(connection, BARS, instrument, later, 720)) == flags.DEPTH
    assert len(recent_ids(connection, BARS, instrument, later, 1)) == 1
    assert recent_ids(connection, BARS, instrument, later, 5) == []


def test_quotes_of_one_side_come_back_with_nulls(connection: Connection, instrument: int) -> None:
    rows = [quote(instrument, NOON + n * SECOND, n, None if n % 2 else "5") for n in range(90)]
    store(connection, QUOTES, rows)
    found, unseen = flags.recent(connection, QUOTES, 0, [instrument], NOON + 100 * SECOND)
    assert unseen == {}
    assert found.height == flags.DEPTH
    assert found["bid"].null_count() == found.filter(pl.col("row_id") % 2 == 1).height
    assert found["bid_size"].null_count() == found["bid"].null_count()


def test_few_chunks_are_read(connection: Connection, instrument: int) -> None:
    week = timedelta(days=7)
    rows = [
        trade(instrument, NOON + chunk * week + n * SECOND, chunk * 100 + n)
        for chunk in range(40)
        for n in range(80)
    ]
    store(connection, TRADES, rows)
    plans = []

    class Explaining:
        def execute(self, statement: bytes | str, values: dict[str, object]) -> object:
            text = statement.decode() if isinstance(statement, bytes) else statement
            if "LATERAL" in text:
                explained = connection.execute(f"EXPLAIN (ANALYZE) {text}".encode(), values)
                plans.append("\n".join(line for (line,) in explained))
            return connection.execute(text.encode(), values)

    flags.recent(Explaining(), TRADES, 0, [instrument], NOON + 30 * week)  # type: ignore[arg-type]
    assert len(plans) == 2
    for plan in plans:
        chunks = {
            word
            for line in plan.splitlines()
            if "never executed" not in line
            for word in line.split()
            if word.startswith("_hyper_") and word.endswith("_chunk")
        }
        assert 1 <= len(chunks) <= 2, plan


def test_a_watch_with_the_database_behind_it_goes_on(
    connection: Connection, instrument: int
) -> None:
    def rows(first: int, last: int, price: str) -> list[Row]:
        return [
            trade(instrument, NOON + n * SECOND, n, f"{price}.{n % 10}") for n in range(first, last)
        ]

    store(connection, TRADES, rows(0, 100, "100"))
    frame = pl.DataFrame(
        [(n, *row) for n, row in enumerate(rows(100, 120, "150"), 2)],
        schema=[
            "line",
            "instrument_id",
            "event_time",
            "row_id",
            "price",
            "size",
            "session",
            "date",
        ],
        orient="row",
    ).select(
        pl.exclude("date", "event_time"),
        pl.col("event_time").cast(pl.Datetime("us", "UTC")),
        pl.col("date").alias("trading_date"),
        pl.lit("CRYPTO").alias("asset_class"),
    )
    watch = Watch(RowKind.TRADES, partial(flags.recent, connection, TRADES, 0))
    found = watch.judge(frame)
    assert found.select("line", "rule", "row_id").rows() == [(2, "PRICE_JUMP", 100)]
    staged = found.select(name for name, _ in flags.STAGING.columns)
    assert staged.width == len(flags.STAGING.columns)
    assert Decimal(str(found["threshold"][0])) == 10
