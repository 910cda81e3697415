from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from app.errors import ImportRefused
from app.storage.batches import CHANNEL, Counts
from app.storage.database import Connection
from tests.conftest import TestDatabase
from tests.ingestion.imports import fresh_symbol, load, new_instruments, write_rows, writing

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
HEADER = ("symbol", "time", "price", "size")


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    with writing(database.url) as connection:
        yield connection


def ranges(connection: Connection) -> dict[str, tuple[datetime, datetime]]:
    """Give what the newest batch says that it touched."""
    rows = connection.execute(
        """
        SELECT symbol, first_time, last_time
        FROM batch_range JOIN instrument USING (instrument_id)
        WHERE batch_id = (SELECT max(batch_id) FROM batch)
        """
    ).fetchall()
    return {symbol: (first, last) for symbol, first, last in rows}


def at(symbol: str, *minutes: int, price: int = 1) -> list[tuple[object, ...]]:
    return [(symbol, (NOON + timedelta(minutes=n)).isoformat(), price, 1) for n in minutes]


def test_received_is_the_sum_of_the_others() -> None:
    assert Counts(stored=5, duplicate=3, rejected=2).received == 10


def test_ranges_cover_the_stored_rows_and_nothing_else(
    connection: Connection, tmp_path: Path
) -> None:
    one, two = fresh_symbol(), fresh_symbol()

    def bring(rows: list[tuple[object, ...]], *, replace: bool = False) -> None:
        path = write_rows(tmp_path / "t.csv", HEADER, rows)
        load(connection, path, replace=replace, create=new_instruments())

    def minutes(first: int, last: int) -> tuple[datetime, datetime]:
        return NOON + timedelta(minutes=first), NOON + timedelta(minutes=last)

    bring([*at(one, 5, 3, 4), *at(two, 9)])
    assert ranges(connection) == {one: minutes(3, 5), two: minutes(9, 9)}
    bring([*at(one, 3, 4, 5, 7, 8), *at(two, 9), *at(one, -60, price=0)])
    assert ranges(connection) == {one: minutes(7, 8)}
    bring([*at(one, 3, 4, 5), *at(two, 9)])
    assert ranges(connection) == {}
    bring([*at(one, 3, 8), *at(one, 4, price=2), *at(two, 9)], replace=True)
    assert ranges(connection) == {one: minutes(4, 4)}


def test_rows_carry_the_batch_that_wrote_them_last(connection: Connection, tmp_path: Path) -> None:
    symbol = fresh_symbol()

    def bring(rows: list[tuple[object, ...]], *, replace: bool = False) -> int:
        path = write_rows(tmp_path / "t.csv", HEADER, rows)
        load(connection, path, replace=replace, create=new_instruments())
        row = connection.execute("SELECT max(batch_id) FROM batch").fetchone()
        assert row is not None
        return int(row[0])

    first = bring(at(symbol, 1, 2, 3))
    second = bring([*at(symbol, 2, price=5), *at(symbol, 3)], replace=True)
    assert second == first + 1
    rows = connection.execute(
        "SELECT batch_id FROM trade JOIN instrument USING (instrument_id)"
        " WHERE symbol = %s ORDER BY event_time",
        (symbol,),
    ).fetchall()
    assert rows == [(first,), (second,), (first,)]


def test_a_commit_tells_its_id_and_a_refusal_tells_nothing(
    database: TestDatabase, connection: Connection, tmp_path: Path
) -> None:
    symbol = fresh_symbol()
    with psycopg.connect(database.url, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}".encode())
        with pytest.raises(ImportRefused, match="there is no column"):
            load(connection, write_rows(tmp_path / "t.csv", HEADER[1:], []))
        path = write_rows(tmp_path / "t.csv", HEADER, at(symbol, 1))
        load(connection, path, create=new_instruments())
        newest = connection.execute("SELECT max(batch_id)::text FROM batch").fetchone()
        told = [note.payload for note in listener.notifies(timeout=10, stop_after=1)]
        told += [note.payload for note in listener.notifies(timeout=0.2)]
    assert newest is not None
    assert told == [newest[0]]


def test_a_failed_import_leaves_no_gap_in_the_ids(connection: Connection, tmp_path: Path) -> None:
    def newest() -> int:
        row = connection.execute("SELECT coalesce(max(batch_id), 0) FROM batch").fetchone()
        assert row is not None
        return int(row[0])

    before, symbol = newest(), fresh_symbol()
    path = write_rows(tmp_path / "t.csv", HEADER, at(symbol, 1))
    load(connection, path, create=new_instruments())
    with pytest.raises(ImportRefused, match="there is no record"):
        load(connection, write_rows(tmp_path / "t.csv", HEADER, []))
    load(connection, write_rows(tmp_path / "t.csv", HEADER, at(symbol, 2)))
    assert newest() == before + 2
