import gzip
import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from app.errors import ImportRefused
from app.ingestion import csv_table
from app.storage.database import Connection
from tests.ingestion.imports import (
    load,
    new_instruments,
    trades_of,
    write_rows,
    write_text,
)

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
HEADER = ("symbol", "time", "price", "size")


def rows_of(symbol: str, count: int, *, start: datetime = NOON) -> list[tuple[str, str, str, str]]:
    return [
        (symbol, (start + timedelta(seconds=n)).isoformat(), f"{100 + n}.25", f"{n}")
        for n in range(count)
    ]


def stored_as(
    rows: list[tuple[str, str, str, str]],
) -> list[tuple[datetime, int, Decimal, Decimal]]:
    return [
        (datetime.fromisoformat(time), 0, Decimal(price), Decimal(size))
        for _, time, price, size in rows
    ]


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet"])
def test_a_file_comes_in_once(
    form: str, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = rows_of(symbol, 100)
    path = write_rows(tmp_path / "t.csv", HEADER, rows)
    if form == "csv.gz":
        zipped = tmp_path / "t.csv.gz"
        zipped.write_bytes(gzip.compress(path.read_bytes()))
        path = zipped
    if form == "parquet":
        path = tmp_path / "t.parquet"
        pl.DataFrame(rows, schema=list(HEADER), orient="row").write_parquet(path)
    assert load(connection, path, create=new_instruments()).numbers == (100, 100, 0, 0)
    assert trades_of(connection, symbol) == stored_as(rows)
    assert load(connection, path).numbers == (100, 0, 100, 0)
    assert trades_of(connection, symbol) == stored_as(rows)


def test_a_typed_parquet_file_comes_in_exactly(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.parquet"
    times = [NOON + timedelta(microseconds=n) for n in range(3)]
    pl.DataFrame(
        {
            "sym": [symbol, symbol, None],
            "ts": pl.Series(times).dt.cast_time_unit("ns").dt.convert_time_zone("Asia/Tokyo"),
            "px": pl.Series([Decimal("0.1"), Decimal("1.23456789"), Decimal(1)]),
            "qty": [0.1, 3.0, 1.0],
            "tid": pl.Series([7, 2**63 - 1, 1], dtype=pl.UInt64),
        }
    ).write_parquet(path)
    outcome = load(connection, path, create=new_instruments())
    assert outcome.numbers == (3, 2, 0, 1)
    assert outcome.reasons == {3: "BAD_SYMBOL"}
    assert trades_of(connection, symbol) == [
        (times[0], 7, Decimal("0.1"), Decimal("0.1")),
        (times[1], 2**63 - 1, Decimal("1.23456789"), Decimal(3)),
    ]


def test_overlapping_files_store_each_trade_once(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = rows_of(symbol, 30)
    first = write_rows(tmp_path / "first.csv", HEADER, rows[:20])
    second = write_rows(tmp_path / "second.csv", HEADER, rows[10:])
    load(connection, first, create=new_instruments())
    assert load(connection, second).numbers == (20, 10, 10, 0)
    assert trades_of(connection, symbol) == stored_as(rows)


def test_a_symbol_can_be_given_for_every_row(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "t.csv", HEADER[1:], [row[1:] for row in rows_of(symbol, 5)])
    outcome = load(connection, path, symbol=symbol, create=new_instruments())
    assert outcome.numbers == (5, 5, 0, 0)
    assert trades_of(connection, symbol) == stored_as(rows_of(symbol, 5))


def test_columns_can_be_mapped(connection: Connection, symbol: str, tmp_path: Path) -> None:
    header = ("Name", "When", "Last Price", "price", "Shares")
    rows = [(row[0], row[1], row[2], "junk", row[3]) for row in rows_of(symbol, 5)]
    path = write_rows(tmp_path / "t.csv", header, rows)
    columns = {"symbol": "Name", "time": "When", "price": "Last Price", "size": "Shares"}
    outcome = load(connection, path, columns=columns, create=new_instruments())
    assert outcome.numbers == (5, 5, 0, 0)
    assert trades_of(connection, symbol) == stored_as(rows_of(symbol, 5))


def test_times_without_a_zone_are_read_in_the_given_one(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    text = (
        f"symbol,time,price,size\n{symbol},2024-07-01 09:30:00,1,1\n"
        f"{symbol},2024-07-01T09:30:01Z,1,1\n{symbol},2024-11-03 01:30:00,1,1\n"
    )
    path = write_text(tmp_path / "t.csv", text)
    outcome = load(connection, path, timezone="America/New_York", create=new_instruments())
    assert outcome.reasons == {4: "BAD_TIME"}
    assert [row[0] for row in trades_of(connection, symbol)] == [
        datetime(2024, 7, 1, 9, 30, 1, tzinfo=UTC),
        datetime(2024, 7, 1, 13, 30, tzinfo=UTC),
    ]


def test_trades_of_one_instant_without_ids_keep_their_order(
    connection: Connection, symbol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", 50)
    times = [NOON, NOON + timedelta(seconds=1), NOON]
    rows = [(symbol, times[n % 3].isoformat(), f"{n + 1}", "1") for n in range(30)]
    path = write_rows(tmp_path / "t.csv", HEADER, rows)
    assert load(connection, path, create=new_instruments()).numbers == (30, 30, 0, 0)
    stored = trades_of(connection, symbol)
    assert [int(price) for time, _, price, _ in stored if time == NOON] == [
        n + 1 for n in range(30) if n % 3 != 1
    ]
    assert [trade_id for time, trade_id, *_ in stored if time == NOON] == list(range(20))
    assert load(connection, path).numbers == (30, 0, 30, 0)
    assert trades_of(connection, symbol) == stored


def test_equal_trades_of_one_instant_without_ids_are_all_kept(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "t.csv", HEADER, [(symbol, NOON.isoformat(), "5", "1")] * 4)
    assert load(connection, path, create=new_instruments()).numbers == (4, 4, 0, 0)
    assert load(connection, path).numbers == (4, 0, 4, 0)


def test_trade_ids_tell_trades_apart(connection: Connection, symbol: str, tmp_path: Path) -> None:
    time = NOON.isoformat()
    rows = [
        (symbol, time, "10", "1", "5"),
        (symbol, time, "10", "1", "5"),
        (symbol, time, "11", "1", "5"),
        (symbol, time, "12", "1", "4"),
        (symbol, time, "13", "1", ""),
        (symbol, time, "13", "1", "-1"),
        (symbol, time, "13", "1", str(2**63)),
        (symbol, time, "13", "1", "x9"),
        (symbol, time, "13", "1", str(2**63 - 1)),
    ]
    path = write_rows(tmp_path / "t.csv", (*HEADER, "trade_id"), rows)
    outcome = load(connection, path, create=new_instruments())
    assert outcome.numbers == (9, 3, 1, 5)
    assert outcome.reasons == {
        4: "CONTRADICTS_STORED",
        6: "MISSING_TRADE_ID",
        7: "BAD_TRADE_ID",
        8: "BAD_TRADE_ID",
        9: "BAD_TRADE_ID",
    }
    assert [(trade_id, int(price)) for _, trade_id, price, _ in trades_of(connection, symbol)] == [
        (4, 12),
        (5, 10),
        (2**63 - 1, 13),
    ]


@pytest.mark.parametrize("with_ids", [True, False])
def test_a_contradiction_is_refused_and_replace_corrects_it(
    with_ids: bool, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    header = (*HEADER, "trade_id") if with_ids else HEADER
    rows = [(*row, "9") if with_ids else row for row in rows_of(symbol, 4)]
    path = write_rows(tmp_path / "t.csv", header, rows)
    load(connection, path, create=new_instruments())
    before = trades_of(connection, symbol)
    changed = [(*row[:2], "77", *row[3:]) if n == 2 else row for n, row in enumerate(rows)]
    path = write_rows(tmp_path / "changed.csv", header, changed)
    outcome = load(connection, path)
    assert outcome.numbers == (4, 0, 3, 1)
    (refused,) = outcome.rejected
    assert (refused.line, refused.reason) == (4, "CONTRADICTS_STORED")
    assert refused.record == ",".join(changed[2])
    assert trades_of(connection, symbol) == before
    assert load(connection, path, replace=True).numbers == (4, 1, 3, 0)
    assert [row[2] for row in trades_of(connection, symbol)] == [
        Decimal("77") if n == 2 else row[2] for n, row in enumerate(before)
    ]
    assert load(connection, path, replace=True).numbers == (4, 0, 4, 0)


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_that_contradicts_itself_keeps_the_first_line_or_corrects_by_the_last(
    replace: bool, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = [(symbol, NOON.isoformat(), price, "1", "1") for price in ("1", "2", "1", "1.0", "3")]
    path = write_rows(tmp_path / "t.csv", (*HEADER, "trade_id"), rows)
    outcome = load(connection, path, replace=replace, create=new_instruments())
    assert outcome.numbers == ((5, 1, 0, 4) if replace else (5, 1, 2, 2))
    lines = (2, 3, 4, 5) if replace else (3, 6)
    assert outcome.reasons == dict.fromkeys(lines, "CONTRADICTS_STORED")
    assert [row[2] for row in trades_of(connection, symbol)] == [Decimal(3 if replace else 1)]


@pytest.mark.parametrize("replace", [False, True])
def test_a_known_key_twice_in_a_file(
    replace: bool, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    def bring(*prices: str) -> tuple[tuple[int, ...], list[int]]:
        rows = [(symbol, NOON.isoformat(), price, "1", "1") for price in prices]
        path = write_rows(tmp_path / "t.csv", (*HEADER, "trade_id"), rows)
        outcome = load(connection, path, replace=replace, create=new_instruments())
        return outcome.numbers, sorted(outcome.reasons)

    assert bring("1") == ((1, 1, 0, 0), [])
    assert bring("1", "1") == ((2, 0, 2, 0), [])
    if replace:
        assert bring("1", "2") == ((2, 1, 0, 1), [2])
        assert bring("2", "1", "2") == ((3, 0, 2, 1), [3])
    else:
        assert bring("1", "2") == ((2, 0, 1, 1), [3])
        assert bring("2", "1", "2") == ((3, 0, 1, 2), [2, 4])
    assert [row[2] for row in trades_of(connection, symbol)] == [Decimal(2 if replace else 1)]


def test_the_batch_says_where_its_rows_came_from(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = [*rows_of(symbol, 3), (symbol, "x", "1", "1")]
    path = write_rows(tmp_path / "the file.csv", HEADER, rows)
    load(connection, path, create=new_instruments())
    batch = connection.execute(
        "SELECT kind, source, checksum, received, stored, duplicate, rejected"
        " FROM batch ORDER BY batch_id DESC LIMIT 1"
    ).fetchone()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert batch == ("TRADES", "file:the file.csv", digest, 4, 3, 0, 1)


def test_a_file_of_duplicates_only_is_no_failure_and_of_contradictions_only_is_one(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "t.csv", HEADER, rows_of(symbol, 2))
    load(connection, path, create=new_instruments())
    assert load(connection, path).numbers == (2, 0, 2, 0)
    text = path.read_text().replace(".25", ".75")
    with pytest.raises(ImportRefused, match="no good record .*: 2 refused"):
        load(connection, write_text(path, text))
