from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from app.errors import ImportRefused
from app.storage.database import Connection
from tests.ingestion.imports import (
    Outcome,
    instrument_of,
    load,
    new_instruments,
    write_rows,
    write_text,
)

HEADER = ("symbol", "name", "exchange", "asset_class", "currency", "tick_size")


def bring(
    connection: Connection,
    folder: Path,
    rows: Sequence[tuple[str, ...]],
    header: tuple[str, ...] = HEADER,
) -> Outcome:
    return load(connection, write_rows(folder / "i.csv", header, rows), kind="instruments")


def stored(connection: Connection, symbol: str) -> tuple[object, ...]:
    found = instrument_of(connection, symbol)
    assert found is not None
    return tuple(found[name] for name in HEADER[1:])


def test_instruments_come_in_once(connection: Connection, symbol: str, tmp_path: Path) -> None:
    rows = [
        (symbol, "Apple Inc.", "XNAS", "equity", "USD", "0.01"),
        (f"{symbol}.2", "Bitcoin, spot", "24/7", "CRYPTO", "USDT", "1e-7"),
    ]
    assert bring(connection, tmp_path, rows).numbers == (2, 2, 0, 0)
    assert stored(connection, symbol) == ("Apple Inc.", "XNAS", "EQUITY", "USD", Decimal("0.01"))
    assert stored(connection, f"{symbol}.2") == (
        "Bitcoin, spot",
        "24/7",
        "CRYPTO",
        "USDT",
        Decimal("0.0000001"),
    )
    assert bring(connection, tmp_path, rows).numbers == (2, 0, 2, 0)


def test_what_a_new_instruments_file_does_not_say_is_as_given(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    path = write_text(tmp_path / "i.csv", f"symbol,name,exchange\n{symbol},,\n")
    load(connection, path, kind="instruments", new=new_instruments("XLON", "ETF"))
    assert stored(connection, symbol) == (None, "XLON", "ETF", "USD", None)


def test_what_a_known_instruments_file_does_not_say_is_kept(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    bring(connection, tmp_path, [(symbol, "Old", "XNYS", "ETF", "EUR", "0.5")])
    outcome = bring(connection, tmp_path, [(symbol, "New")], ("symbol", "name"))
    assert outcome.numbers == (1, 1, 0, 0)
    assert stored(connection, symbol) == ("New", "XNYS", "ETF", "EUR", Decimal("0.5"))
    assert bring(connection, tmp_path, [(symbol,)], ("symbol",)).numbers == (1, 0, 1, 0)
    outcome = bring(connection, tmp_path, [(symbol, "", "", "FUND", "", "")])
    assert stored(connection, symbol) == ("New", "XNYS", "FUND", "EUR", Decimal("0.5"))


def test_a_symbol_on_several_lines_is_as_the_last_says_and_stays_so(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = [
        (symbol, "First", "XNYS", "ETF", "EUR", "0.5"),
        (symbol, "Second", "", "", "", ""),
        (symbol, "", "XLON", "", "", ""),
    ]
    assert bring(connection, tmp_path, rows).numbers == (3, 1, 2, 0)
    assert stored(connection, symbol) == ("Second", "XLON", "ETF", "EUR", Decimal("0.5"))
    assert bring(connection, tmp_path, rows).numbers == (3, 0, 3, 0)


def dates(connection: Connection, symbol: str) -> object:
    return connection.execute(
        "SELECT listed_on::text, delisted_on::text FROM instrument WHERE symbol = %s", (symbol,)
    ).fetchone()


def test_dates_of_listing_come_in_and_are_kept(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    header = ("symbol", "listed_on", "delisted_on")
    assert bring(connection, tmp_path, [(symbol, "2020-02-29", "")], header).numbers[1] == 1
    assert dates(connection, symbol) == ("2020-02-29", None)
    assert bring(connection, tmp_path, [(symbol, "", "2024-01-02")], header).numbers[1] == 1
    assert bring(connection, tmp_path, [(symbol, "", "")], header).numbers == (1, 0, 1, 0)
    assert dates(connection, symbol) == ("2020-02-29", "2024-01-02")


@pytest.mark.parametrize(
    ("listed", "delisted", "good"),
    [
        ("2024-01-02", "2024-01-02", True),
        ("2024-01-03", "2024-01-02", False),
        ("2023-02-29", "", False),
        ("20240102", "", False),
        ("2024-W01-1", "", False),
        ("", "soon", False),
    ],
)
def test_dates_of_listing_are_checked(
    listed: str, delisted: str, good: bool, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = [(symbol, listed, delisted), (f"{symbol}.2", "", "")]
    outcome = bring(connection, tmp_path, rows, ("symbol", "listed_on", "delisted_on"))
    assert outcome.reasons == ({} if good else {2: "BAD_DATE"})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("", "n", "XNYS", "ETF", "USD", "1"), "BAD_SYMBOL"),
        (("S" * 65, "n", "XNYS", "ETF", "USD", "1"), "BAD_SYMBOL"),
        (("S\x00", "n", "XNYS", "ETF", "USD", "1"), "BAD_SYMBOL"),
        (("S\nS", "n", "XNYS", "ETF", "USD", "1"), "BAD_SYMBOL"),
        (("BAD", "n\x00", "XNYS", "ETF", "USD", "1"), "BAD_NAME"),
        (("BAD", "n" * 201, "XNYS", "ETF", "USD", "1"), "BAD_NAME"),
        (("BAD", "n", "XXXX", "ETF", "USD", "1"), "UNKNOWN_EXCHANGE"),
        (("BAD", "n", "xnys", "ETF", "USD", "1"), "UNKNOWN_EXCHANGE"),
        (("BAD", "n", "XNYS", "HOUSE", "USD", "1"), "UNKNOWN_ASSET_CLASS"),
        (("BAD", "n", "XNYS", "ETF", "us", "1"), "BAD_CURRENCY"),
        (("BAD", "n", "XNYS", "ETF", "US DOLLARS", "1"), "BAD_CURRENCY"),
        (("BAD", "n", "XNYS", "ETF", "USD", "0"), "BAD_NUMBER"),
        (("BAD", "n", "XNYS", "ETF", "USD", "-1"), "BAD_NUMBER"),
        (("BAD", "n", "XNYS", "ETF", "USD", "NaN"), "BAD_NUMBER"),
        (("BAD", "n", "XNYS", "ETF", "USD", "1e999999999"), "BAD_NUMBER"),
        (("BAD", "n", "XNYS", "ETF", "USD", "1_000"), "BAD_NUMBER"),
    ],
)
def test_instruments_are_checked(
    row: tuple[str, ...], reason: str, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    outcome = bring(connection, tmp_path, [row, (symbol, "", "", "", "", "")])
    assert outcome.numbers == (2, 1, 0, 1)
    assert outcome.rejected[0].reason == reason
    assert instrument_of(connection, "BAD") is None


def test_parquet_instruments_come_in(connection: Connection, symbol: str, tmp_path: Path) -> None:
    path = tmp_path / "i.parquet"
    frame = pl.DataFrame(
        {"Ticker": [symbol], "Description": ["X"], "Tick": [0.01], "MIC": ["XNYS"]}
    )
    frame.write_parquet(path)
    assert load(connection, path, kind="instruments").numbers == (1, 1, 0, 0)
    assert stored(connection, symbol) == ("X", "XNYS", "CRYPTO", "USD", Decimal("0.01"))


def test_a_file_without_an_instrument_stores_nothing(
    connection: Connection, tmp_path: Path
) -> None:
    before = connection.execute("SELECT count(*) FROM batch").fetchone()
    with pytest.raises(ImportRefused, match="there is no record in it$"):
        load(connection, write_text(tmp_path / "i.csv", "symbol\n"), kind="instruments")
    assert connection.execute("SELECT count(*) FROM batch").fetchone() == before


def test_a_file_without_a_good_instrument_keeps_its_records_in_quarantine(
    connection: Connection, tmp_path: Path
) -> None:
    before = connection.execute("SELECT count(*) FROM instrument").fetchone()
    path = write_text(tmp_path / "i.csv", "symbol,tick_size\n,1\nA,-1\nB\n")
    with pytest.raises(ImportRefused, match="no good record .*: 3 refused"):
        load(connection, path, kind="instruments")
    assert connection.execute("SELECT count(*) FROM instrument").fetchone() == before
    kept = connection.execute(
        """
        SELECT position, reasons, record, fields, options ->> 'kind'
        FROM quarantine
        WHERE batch_id = (SELECT max(batch_id) FROM batch WHERE kind = 'INSTRUMENTS')
        ORDER BY position
        """
    ).fetchall()
    assert kept == [
        (2, ["BAD_SYMBOL"], b",1", {"symbol": None, "tick_size": "1"}, "INSTRUMENTS"),
        (3, ["BAD_NUMBER"], b"A,-1", {"symbol": "A", "tick_size": "-1"}, "INSTRUMENTS"),
        (4, ["MALFORMED_ROW"], b"B", None, "INSTRUMENTS"),
    ]


def test_the_batch_of_instruments_touches_no_range(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    bring(connection, tmp_path, [(symbol, "", "", "", "", "")])
    assert connection.execute(
        """
        SELECT kind, stored, (SELECT count(*) FROM batch_range AS r WHERE r.batch_id = b.batch_id)
        FROM batch AS b ORDER BY batch_id DESC LIMIT 1
        """
    ).fetchone() == ("INSTRUMENTS", 1, 0)
