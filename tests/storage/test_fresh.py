"""Large deliveries of new rows are stored without looking keys up, and none is met twice."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.storage import fresh
from app.storage.database import Connection, one_row
from tests.conftest import TestDatabase
from tests.ingestion.imports import (
    bars_of,
    fresh_symbol,
    load,
    new_instruments,
    trades_of,
    write_rows,
    writing,
)

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
HEADER = ("symbol", "time", "price", "size", "trade_id")
BARS = ("symbol", "time", "open", "high", "low", "close", "volume")


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    with writing(database.url) as connection:
        yield connection


@pytest.fixture(autouse=True)
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Take a few rows for many; gives how rows were tried to be inserted."""
    monkeypatch.setattr(fresh, "MIN_ROWS", 3)
    found: list[str] = []

    def noted(connection: Connection, statement: bytes, values: Any = None) -> Any:
        if b"INSERT INTO" in statement:
            careful = b"ON CONFLICT (instrument_id, event_time" in statement
            careful |= b"ON CONFLICT (instrument_id, interval_minutes, bar_start" in statement
            found.append("careful" if careful else "plain")
        return one_row(connection, statement, values)

    monkeypatch.setattr(fresh, "one_row", noted)
    return found


def trades(symbol: str, first: int, last: int, price: int = 1) -> list[tuple[object, ...]]:
    return [
        (symbol, (NOON + timedelta(seconds=n)).isoformat(), price, 1, n)
        for n in range(first, last + 1)
    ]


def test_newer_rows_are_inserted_plainly_and_older_ones_carefully(
    connection: Connection, tmp_path: Path, tried: list[str]
) -> None:
    symbol = fresh_symbol()

    def bring(rows: list[tuple[object, ...]]) -> tuple[int, int, int, int]:
        path = write_rows(tmp_path / "t.csv", HEADER, rows)
        return load(connection, path, create=new_instruments()).numbers

    assert bring(trades(symbol, 0, 9)) == (10, 10, 0, 0)
    assert bring(trades(symbol, 10, 19)) == (10, 10, 0, 0)
    assert tried == ["plain"] * 2
    assert bring(trades(symbol, 15, 24)) == (10, 5, 5, 0)
    assert bring([*trades(symbol, 0, 3, price=2), *trades(symbol, 4, 4)]) == (5, 0, 1, 4)
    assert tried == ["plain", "plain", "careful", "careful"]
    assert [row[1] for row in trades_of(connection, symbol)] == list(range(25))


def test_a_key_twice_among_new_rows_is_met_carefully(
    connection: Connection, tmp_path: Path, tried: list[str]
) -> None:
    symbol = fresh_symbol()
    rows = [*trades(symbol, 0, 4), *trades(symbol, 3, 3), *trades(symbol, 4, 4, price=9)]
    path = write_rows(tmp_path / "t.csv", HEADER, rows)
    assert load(connection, path, create=new_instruments()).numbers == (7, 5, 1, 1)
    assert tried == ["plain", "careful"]
    assert len(trades_of(connection, symbol)) == 5


def test_bars_are_stored_alike(connection: Connection, tmp_path: Path, tried: list[str]) -> None:
    symbol = fresh_symbol()
    rows = [(symbol, (NOON + timedelta(hours=n)).isoformat(), 1, 2, 1, 2, n) for n in range(10)]
    path = write_rows(tmp_path / "b.csv", BARS, rows)
    loaded = load(connection, path, interval="1h", create=new_instruments())
    assert (loaded.numbers, tried) == ((10, 10, 0, 0), ["plain"])
    assert load(connection, path, interval="1h").numbers == (10, 0, 10, 0)
    assert len(bars_of(connection, symbol)) == 10
