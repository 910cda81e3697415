"""The newest price and the span of rows follow every write, in whatever order writes come."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.storage.database import Connection
from tests.conftest import TestDatabase
from tests.ingestion.imports import fresh_symbol, load, new_instruments, write_rows, writing

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
TRADES = ("symbol", "time", "price", "size", "trade_id")
BARS = ("symbol", "time", "open", "high", "low", "close", "volume")


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    with writing(database.url) as connection:
        yield connection


def latest(connection: Connection, symbol: str, minutes: int = 0) -> tuple[Any, ...]:
    row = connection.execute(
        """
        SELECT first_time, last_time, first_trading_date, last_trading_date, price, size
        FROM latest JOIN instrument USING (instrument_id)
        WHERE symbol = %s AND interval_minutes = %s
        """,
        (symbol, minutes),
    ).fetchone()
    assert row is not None
    return row


def trade(symbol: str, minute: int, price: int, trade_id: int = 0) -> tuple[object, ...]:
    return symbol, (NOON + timedelta(minutes=minute)).isoformat(), price, price * 10, trade_id


Trades = list[tuple[int, int, int]]  # minute, price, trade id
BATCHES = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.integers(0, 6), st.integers(1, 9), st.integers(0, 2)),
            min_size=1,
            max_size=6,
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=BATCHES)
def test_latest_is_what_a_search_would_find(
    connection: Connection, tmp_path: Path, batches: list[tuple[Trades, bool]]
) -> None:
    symbol = fresh_symbol()
    stored: dict[tuple[int, int], int] = {}
    for trades, replace in batches:
        rows = [trade(symbol, *each) for each in trades]
        rows.append(trade(symbol, 0, 5, 99))  # Good in any case, so that no batch is refused.
        path = write_rows(tmp_path / "t.csv", TRADES, rows)
        load(connection, path, replace=replace, create=new_instruments())
        for minute, price, trade_id in [*trades, (0, 5, 99)]:
            if replace:
                stored[minute, trade_id] = price
            stored.setdefault((minute, trade_id), price)
    newest = max(stored)
    assert latest(connection, symbol) == (
        NOON + timedelta(minutes=min(stored)[0]),
        NOON + timedelta(minutes=newest[0]),
        date(2024, 1, 2),
        date(2024, 1, 2),
        Decimal(stored[newest]),
        Decimal(stored[newest] * 10),
    )


def test_older_bars_widen_the_span_and_keep_the_price(
    connection: Connection, tmp_path: Path
) -> None:
    symbol = fresh_symbol()
    for day, close in ((10, 5), (3, 6), (7, 7)):
        row = (symbol, f"2024-01-{day:02}", 5, 9, 1, close, close * 100)
        path = write_rows(tmp_path / "b.csv", BARS, [row])
        load(connection, path, interval="1d", create=new_instruments())
    first, last = (datetime(2024, 1, day, tzinfo=UTC) for day in (3, 10))
    assert latest(connection, symbol, 1440) == (first, last, first.date(), last.date(), 5, 500)


@pytest.mark.parametrize(("day", "price"), [(10, Decimal("6.5")), (3, Decimal(5))])
def test_a_corrected_bar_changes_the_price_only_where_it_is_the_newest(
    day: int, price: Decimal, connection: Connection, tmp_path: Path
) -> None:
    symbol = fresh_symbol()
    rows = [(symbol, f"2024-01-{each:02}", 5, 9, 1, 5, 100) for each in (3, 10)]
    path = write_rows(tmp_path / "b.csv", BARS, rows)
    load(connection, path, interval="1d", create=new_instruments())
    corrected = [(symbol, f"2024-01-{day:02}", 5, 9, 1, "6.5", 100)]
    path = write_rows(tmp_path / "b.csv", BARS, corrected)
    assert load(connection, path, interval="1d", replace=True).counts.stored == 1
    assert latest(connection, symbol, 1440)[4] == price


def test_trades_and_each_interval_of_bars_have_their_own(
    connection: Connection, tmp_path: Path
) -> None:
    symbol = fresh_symbol()
    load(
        connection,
        write_rows(tmp_path / "t.csv", TRADES, [trade(symbol, 0, 7)]),
        create=new_instruments(),
    )
    path = write_rows(tmp_path / "b.csv", BARS, [(symbol, "2024-01-05", 1, 1, 1, 1, 1)])
    for interval in ("1m", "1h"):
        load(connection, path, interval=interval)
    assert [latest(connection, symbol, minutes)[4] for minutes in (0, 1, 60)] == [7, 1, 1]


def test_what_came_first_is_the_candle_source(connection: Connection, tmp_path: Path) -> None:
    symbol = fresh_symbol()
    bars = write_rows(tmp_path / "b.csv", BARS, [(symbol, "2024-01-05", 1, 1, 1, 1, 1)])
    trades = write_rows(tmp_path / "t.csv", TRADES, [trade(symbol, 0, 7)])
    load(connection, bars, interval="1m", create=new_instruments())
    load(connection, trades)
    row = connection.execute("SELECT candle_source FROM instrument WHERE symbol = %s", (symbol,))
    assert row.fetchone() == ("BARS",)
