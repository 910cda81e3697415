"""Quotes from a file to the table and back: sides, ids, duplicates, corrections, the log."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from app.ingestion import csv_table
from app.storage.database import Connection
from app.validation.reasons import Reason
from tests.ingestion.imports import (
    instrument_of,
    load,
    new_instruments,
    quotes_of,
    write_rows,
)

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
HEADER = ("symbol", "time", "bid", "bid_size", "ask", "ask_size")
Row = tuple[str, ...]


def rows_of(symbol: str, count: int) -> list[Row]:
    return [
        (symbol, (NOON + timedelta(seconds=n)).isoformat(), f"{10 + n}.25", "1", f"{11 + n}", "2.5")
        for n in range(count)
    ]


def test_a_file_of_quotes_comes_in_once(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = rows_of(symbol, 50)
    path = write_rows(tmp_path / "q.csv", HEADER, rows)
    outcome = load(connection, path, kind="QUOTES", create=new_instruments())
    assert outcome.numbers == (50, 50, 0, 0)
    wanted = [(datetime.fromisoformat(row[1]), 0, *map(Decimal, row[2:])) for row in rows]
    assert quotes_of(connection, symbol) == wanted
    assert load(connection, path, kind="QUOTES").numbers == (50, 0, 50, 0)
    assert quotes_of(connection, symbol) == wanted


def test_usual_names_and_typed_parquet_come_in(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    path = tmp_path / "q.parquet"
    pl.DataFrame(
        {
            "t": [NOON, NOON],
            "bp": [1.1, None],
            "bs": pl.Series([3, None], dtype=pl.Int64),
            "ap": [1.2, 1.3],
            "as": [4, 5],
            "id": [7, 8],
        }
    ).write_parquet(path)
    outcome = load(connection, path, kind="QUOTES", symbol=symbol, create=new_instruments())
    assert outcome.numbers == (2, 2, 0, 0)
    assert quotes_of(connection, symbol) == [
        (NOON, 7, Decimal("1.1"), 3, Decimal("1.2"), 4),
        (NOON, 8, None, None, Decimal("1.3"), 5),
    ]
    assert load(connection, path, kind="QUOTES", symbol=symbol).numbers == (2, 0, 2, 0)


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        (("1", "1", "2", "1"), None),
        (("2", "1", "2", "1"), None),
        (("1", "0", "2", "0"), None),
        (("1", "1", "", ""), None),
        (("", "", "2", "1"), None),
        (("2.01", "1", "2", "1"), "CROSSED_QUOTE"),
        (("", "", "", ""), "EMPTY_QUOTE"),
        (("1", "", "", ""), None),
        (("1", "1", "", "1"), "HALF_SIDE"),
        (("x", "1", "2", "1"), "BAD_NUMBER"),
        (("1", "1", "2", "NaN"), "BAD_NUMBER"),
        (("1", "-1", "2", "1"), "NEGATIVE_SIZE"),
        (("0", "1", "2", "1"), "PRICE_NOT_POSITIVE"),
        (("", "", "-2", "1"), "PRICE_NOT_POSITIVE"),
    ],
)
def test_quotes_are_checked(
    quote: Row, reason: str | None, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    late = (NOON + timedelta(hours=1)).isoformat()
    path = write_rows(tmp_path / "q.csv", HEADER, [*rows_of(symbol, 1), (symbol, late, *quote)])
    outcome = load(connection, path, kind="QUOTES", create=new_instruments())
    assert outcome.reasons == ({} if reason is None else {3: reason})
    assert len(quotes_of(connection, symbol)) == (2 if reason is None else 1)


def test_what_is_wrong_with_a_quote_may_be_waived_where_it_can_be_stored(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    quotes = [("3", "1", "2", "1"), ("-1", "1", "2", "1"), ("1", "", "", "1"), ("", "", "", "")]
    rows = [(symbol, NOON.isoformat(), *quote) for quote in quotes]
    path = write_rows(tmp_path / "q.csv", HEADER, rows)
    waived = frozenset(Reason)
    outcome = load(connection, path, kind="QUOTES", create=new_instruments(), waived=waived)
    assert outcome.reasons == {4: "HALF_SIDE", 5: "EMPTY_QUOTE"}
    assert [int(row[2]) for row in quotes_of(connection, symbol)] == [3, -1]


def test_quotes_of_futures_may_be_below_zero(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = [(symbol, NOON.isoformat(), "-37.64", "1", "-37.63", "1")]
    path = write_rows(tmp_path / "q.csv", HEADER, rows)
    new = new_instruments("24/7", "FUTURE")
    assert load(connection, path, kind="QUOTES", create=new).numbers == (1, 1, 0, 0)


def test_quotes_of_one_instant_without_ids_keep_their_order(
    connection: Connection, symbol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", 50)
    rows = [(symbol, NOON.isoformat(), f"{n + 1}", "1", "", "") for n in range(20)]
    path = write_rows(tmp_path / "q.csv", HEADER, rows)
    outcome = load(connection, path, kind="QUOTES", create=new_instruments())
    assert outcome.numbers == (20, 20, 0, 0)
    assert [row[1:3] for row in quotes_of(connection, symbol)] == [(n, n + 1) for n in range(20)]
    assert load(connection, path, kind="QUOTES").numbers == (20, 0, 20, 0)


def test_quote_ids_tell_quotes_apart(connection: Connection, symbol: str, tmp_path: Path) -> None:
    (row,) = rows_of(symbol, 1)
    ids = ("5", "5", "05", "4", "", "-1", str(2**63), str(2**63 - 1))
    path = write_rows(tmp_path / "q.csv", (*HEADER, "quote_id"), [(*row, each) for each in ids])
    outcome = load(connection, path, kind="QUOTES", create=new_instruments())
    assert outcome.numbers == (8, 3, 2, 3)
    assert outcome.reasons == dict.fromkeys((6, 7, 8), "BAD_QUOTE_ID")
    assert [each[1] for each in quotes_of(connection, symbol)] == [4, 5, 2**63 - 1]


@pytest.mark.parametrize("place", [2, 3, 4, 5])
@pytest.mark.parametrize("with_ids", [True, False])
def test_a_contradiction_is_refused_and_replace_corrects_it(
    with_ids: bool, place: int, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    header = (*HEADER, "quote_id") if with_ids else HEADER
    rows = [(*row, "9") if with_ids else row for row in rows_of(symbol, 3)]
    path = write_rows(tmp_path / "q.csv", header, rows)
    load(connection, path, kind="QUOTES", create=new_instruments())
    before = quotes_of(connection, symbol)
    changed = list(rows[1])
    changed[place] = "11.5"
    path = write_rows(tmp_path / "q.csv", header, [rows[0], changed, rows[2]])
    outcome = load(connection, path, kind="QUOTES")
    assert outcome.numbers == (3, 0, 2, 1)
    assert outcome.reasons == {3: "CONTRADICTS_STORED"}
    assert quotes_of(connection, symbol) == before
    assert load(connection, path, kind="QUOTES", replace=True).numbers == (3, 1, 2, 0)
    assert quotes_of(connection, symbol)[1][place] == Decimal("11.5")
    assert load(connection, path, kind="QUOTES").numbers == (3, 0, 3, 0)


def test_a_side_that_goes_is_a_contradiction_too(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    (row,) = rows_of(symbol, 1)
    path = write_rows(tmp_path / "q.csv", HEADER, [row, *rows_of(f"{symbol}.2", 1)])
    load(connection, path, kind="QUOTES", create=new_instruments())
    rows = [(*row[:2], "", "", *row[4:]), *rows_of(f"{symbol}.2", 1)]
    path = write_rows(tmp_path / "q.csv", HEADER, rows)
    assert load(connection, path, kind="QUOTES").reasons == {2: "CONTRADICTS_STORED"}
    assert load(connection, path, kind="QUOTES", replace=True).numbers == (2, 1, 1, 0)
    assert quotes_of(connection, symbol)[0][2:] == (None, None, 11, Decimal("2.5"))


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_a_file_that_contradicts_itself_keeps_the_first_line_or_corrects_by_the_last(
    known: bool, replace: bool, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    header = (*HEADER, "quote_id")
    row = (*rows_of(symbol, 1)[0], "1")
    if known:
        path = write_rows(tmp_path / "q.csv", header, [row])
        load(connection, path, kind="QUOTES", create=new_instruments())
    other = (*row[:3], "7", *row[4:])
    path = write_rows(tmp_path / "q.csv", header, [row, other, row, other])
    outcome = load(connection, path, kind="QUOTES", replace=replace, create=new_instruments())
    if replace:
        assert outcome.numbers == (4, 1, 1, 2)
    else:
        assert outcome.numbers == ((4, 0, 2, 2) if known else (4, 1, 1, 2))
    lines = (2, 4) if replace else (3, 5)
    assert outcome.reasons == dict.fromkeys(lines, "CONTRADICTS_STORED")
    assert [each[3] for each in quotes_of(connection, symbol)] == [7 if replace else 1]


def test_quotes_leave_candles_and_latest_prices_alone(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "q.csv", HEADER, rows_of(symbol, 3))
    load(connection, path, kind="QUOTES", create=new_instruments("XNYS", "EQUITY"))
    made = instrument_of(connection, symbol)
    assert made is not None
    assert made["candle_source"] is None
    values = (made["instrument_id"],)
    assert connection.execute(
        """
        SELECT kind, first_time, last_time, b.stored
        FROM batch_range AS r JOIN batch AS b USING (batch_id, kind)
        WHERE instrument_id = %s
        """,
        values,
    ).fetchall() == [("QUOTES", NOON, NOON + timedelta(seconds=2), 3)]
    latest = "SELECT count(*) FROM latest WHERE instrument_id = %s"
    assert connection.execute(latest, values).fetchone() == (0,)
    assert connection.execute(
        "SELECT DISTINCT session, trading_date::text FROM quote WHERE instrument_id = %s", values
    ).fetchall() == [(0, "2024-01-02")]
