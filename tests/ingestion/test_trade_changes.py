"""Corrections and cancellations show in the next read, and in the trail."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.errors import BadInput, RecordRefused, UnknownSymbol, UnknownTrade
from app.ingestion.trade_changes import TradeName, cancel_trade, correct_trade
from app.storage.database import Connection
from tests.conftest import TestDatabase
from tests.ingestion.imports import fresh_symbol, load, new_instruments, write_rows, writing

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
HEADER = ("symbol", "time", "price", "size", "trade_id")


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    with writing(database.url) as connection:
        yield connection


@pytest.fixture
def symbol(connection: Connection, tmp_path: Path) -> str:
    """An instrument with trades 1, 2 and 3 at 12:00, 12:01 and 12:02, priced 10, 20 and 30."""
    name = fresh_symbol()
    rows = [
        (name, (NOON + timedelta(minutes=n)).isoformat(), 10 * (n + 1), 1, n + 1) for n in range(3)
    ]
    load(connection, write_rows(tmp_path / "t.csv", HEADER, rows), create=new_instruments())
    return name


def trade(symbol: str, number: int) -> TradeName:
    time = NOON + timedelta(minutes=number - 1)
    return TradeName(symbol=symbol, time=time, trade_id=number)


def candles(connection: Connection, symbol: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        """
        SELECT c.bucket, c.close, c.trades, c.revision
        FROM trade_candle_1m AS c JOIN instrument USING (instrument_id)
        WHERE symbol = %s ORDER BY bucket
        """,
        (symbol,),
    ).fetchall()


def latest(connection: Connection, symbol: str) -> tuple[Any, ...]:
    row = connection.execute(
        """
        SELECT price_time, price, size, last_time FROM latest JOIN instrument USING (instrument_id)
        WHERE symbol = %s
        """,
        (symbol,),
    ).fetchone()
    assert row is not None
    return row


def entry(connection: Connection, batch_id: int) -> tuple[str, str, dict[str, Any]]:
    row = connection.execute(
        "SELECT actor, action, detail FROM audit WHERE subject = %s", (f"batch {batch_id}",)
    ).fetchone()
    assert row is not None
    return row[0], row[1], json.loads(row[2])


def test_a_corrected_trade_says_the_new_with_a_higher_revision(
    connection: Connection, symbol: str
) -> None:
    before = candles(connection, symbol)
    receipt = correct_trade(
        connection,
        trade(symbol, 2),
        price=Decimal("21.5"),
        size=Decimal(7),
        actor="ann",
        note="typo",
    )
    assert receipt.counts.as_json() == {"received": 1, "stored": 1, "duplicate": 0, "rejected": 0}
    after = candles(connection, symbol)
    assert after[0] == before[0]
    assert after[1][1:] == (Decimal("21.5"), 1, receipt.batch_id)
    assert latest(connection, symbol)[1] == 30
    actor, action, detail = entry(connection, receipt.batch_id)
    assert (actor, action, detail["note"]) == ("ann", "CORRECTION", "typo")
    assert detail["before"] == {"price": "20", "size": "1", "cancelled": False}
    assert detail["after"] == {"price": "21.5", "size": "7", "cancelled": False}


def test_the_newest_price_follows_corrections_and_cancellations(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    def time(minute: int) -> datetime:
        return NOON + timedelta(minutes=minute)

    end = time(2)
    correct_trade(connection, trade(symbol, 3), price=Decimal(31), size=Decimal(2), actor="a")
    assert latest(connection, symbol) == (end, 31, 2, end)
    cancel_trade(connection, trade(symbol, 3), actor="a")
    assert latest(connection, symbol) == (time(1), 20, 1, end)
    cancel_trade(connection, trade(symbol, 1), actor="a")
    cancel_trade(connection, trade(symbol, 2), actor="a")
    assert latest(connection, symbol) == (None, None, None, end)
    late = write_rows(tmp_path / "l.csv", HEADER, [(symbol, NOON.isoformat(), 5, 6, 9)])
    load(connection, late)
    assert latest(connection, symbol) == (NOON, 5, 6, end)
    correct_trade(connection, trade(symbol, 2), price=Decimal(22), size=Decimal(1), actor="a")
    assert latest(connection, symbol) == (time(1), 22, 1, end)


def test_a_cancelled_trade_leaves_the_candles_and_keeps_the_revision(
    connection: Connection, symbol: str
) -> None:
    receipt = cancel_trade(connection, trade(symbol, 1), actor="bob")
    assert candles(connection, symbol)[0][1:] == (None, 0, receipt.batch_id)
    assert entry(connection, receipt.batch_id)[:2] == ("bob", "CANCELLATION")
    again = cancel_trade(connection, trade(symbol, 1), actor="bob")
    assert again.counts.as_json() == {"received": 1, "stored": 0, "duplicate": 1, "rejected": 0}
    assert candles(connection, symbol)[0][3] == receipt.batch_id


def test_a_cancelled_trade_that_is_sent_again_stays_cancelled(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    cancel_trade(connection, trade(symbol, 1), actor="bob")
    path = write_rows(tmp_path / "t.csv", HEADER, [(symbol, NOON.isoformat(), 10, 1, 1)])
    assert load(connection, path).numbers == (1, 0, 1, 0)
    assert candles(connection, symbol)[0][2] == 0
    assert load(connection, path, replace=True).numbers == (1, 1, 0, 0)
    assert candles(connection, symbol)[0][2] == 1


def test_what_cannot_be_changed_is_refused_and_changes_nothing(
    connection: Connection, symbol: str
) -> None:
    before = candles(connection, symbol), latest(connection, symbol)
    batches = connection.execute("SELECT count(*) FROM batch").fetchone()
    with pytest.raises(UnknownTrade, match="there is no trade"):
        correct_trade(connection, trade(symbol, 9), price=Decimal(1), size=Decimal(1), actor="a")
    with pytest.raises(UnknownSymbol, match="'NOBODY'"):
        cancel_trade(connection, trade("NOBODY", 1), actor="a")
    with pytest.raises(RecordRefused) as refused:
        correct_trade(connection, trade(symbol, 1), price=Decimal(0), size=Decimal(-1), actor="a")
    assert refused.value.details["reasons"] == ["NEGATIVE_SIZE"]
    with pytest.raises(BadInput, match="2\\^63"):
        TradeName(symbol=symbol, time=NOON, trade_id=1 << 63)
    assert (candles(connection, symbol), latest(connection, symbol)) == before
    assert connection.execute("SELECT count(*) FROM batch").fetchone() == batches
