"""Several writers at once, on a server with several backends."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.ingestion import pipeline
from app.storage.batches import CHANNEL, next_batch_id, record_batch
from app.storage.database import Connection
from tests.conftest import TestDatabase
from tests.ingestion.imports import (
    Outcome,
    fresh_symbol,
    load,
    new_instruments,
    trades_of,
    write_rows,
    writing,
)

HEADER = ("symbol", "time", "price", "size")
NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def connection(native_database: TestDatabase) -> Iterator[Connection]:
    with writing(native_database.url) as connection:
        yield connection


def rows_of(symbols: Sequence[str], count: int) -> list[tuple[str, ...]]:
    return [
        (symbol, (NOON + timedelta(seconds=n)).isoformat(), f"{n + 1}", "1")
        for n in range(count)
        for symbol in symbols
    ]


def together(url: str, paths: Sequence[Path], **options: Any) -> list[Outcome]:
    """Import files at the same time, each over a connection of its own."""
    barrier = threading.Barrier(len(paths))

    def run(path: Path) -> Outcome:
        with writing(url) as connection:
            barrier.wait(30)
            return load(connection, path, **options)

    with ThreadPoolExecutor(len(paths)) as pool:
        return list(pool.map(run, paths))


def test_one_file_imported_by_many_at_once_is_stored_once(
    native_database: TestDatabase, connection: Connection, tmp_path: Path
) -> None:
    symbols = [fresh_symbol() for _ in range(20)]
    paths = [write_rows(tmp_path / f"{n}.csv", HEADER, rows_of(symbols, 50)) for n in range(6)]
    outcomes = together(native_database.url, paths, create=new_instruments())
    assert sorted(outcome.counts.stored for outcome in outcomes) == [0] * 5 + [1_000]
    assert all(outcome.counts.received == 1_000 for outcome in outcomes)
    assert [len(trades_of(connection, symbol)) for symbol in symbols] == [50] * 20


def test_files_that_make_the_same_instruments_in_other_orders_do_not_block_each_other(
    native_database: TestDatabase, connection: Connection, tmp_path: Path
) -> None:
    symbols = [fresh_symbol() for _ in range(40)]
    paths = [
        write_rows(tmp_path / f"{n}.csv", HEADER, rows_of(symbols[:: 1 if n % 2 else -1], 1))
        for n in range(6)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.ingestion.csv_table.BLOCK_BYTES", 100)
        outcomes = together(native_database.url, paths, create=new_instruments())
    assert sum(outcome.counts.stored for outcome in outcomes) == 40
    assert [len(trades_of(connection, symbol)) for symbol in symbols] == [1] * 40


def test_instruments_and_trades_at_once_do_not_block_each_other(
    native_database: TestDatabase, tmp_path: Path
) -> None:
    symbols = [fresh_symbol() for _ in range(30)]
    trades = [write_rows(tmp_path / f"t{n}.csv", HEADER, rows_of(symbols, 2)) for n in range(3)]
    listed = [
        write_rows(tmp_path / f"i{n}.csv", ("symbol", "name"), [(s, "N") for s in symbols[::-1]])
        for n in range(3)
    ]
    barrier = threading.Barrier(6)

    def run(path: Path) -> int:
        with writing(native_database.url) as connection:
            barrier.wait(30)
            if path in trades:
                return load(connection, path, create=new_instruments()).counts.stored
            load(connection, path, kind="instruments")
            return 0

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(run, trades + listed)) == 60


def test_an_instrument_that_another_import_has_just_made_keeps_its_attributes(
    native_database: TestDatabase,
    connection: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    symbol = fresh_symbol()
    path = write_rows(tmp_path / "t.csv", HEADER, rows_of([symbol], 1))
    staged, go_on = threading.Event(), threading.Event()

    def hold(connection: Connection, **batch: Any) -> None:
        staged.set()
        assert go_on.wait(30)
        record_batch(connection, **batch)

    monkeypatch.setattr(pipeline, "record_batch", hold)

    def first() -> None:
        with writing(native_database.url) as opened:
            load(opened, path, create=new_instruments("XNYS", "EQUITY"))

    def second() -> None:
        other = write_rows(tmp_path / "u.csv", HEADER, rows_of([symbol], 2))
        with writing(native_database.url) as opened:
            load(opened, other, create=new_instruments("24/7", "CRYPTO"))

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert staged.wait(30)
        two = pool.submit(second)
        _until(connection, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
        go_on.set()
        one.result(30)
        two.result(30)
    row = connection.execute(
        "SELECT exchange, asset_class FROM instrument WHERE symbol = %s", (symbol,)
    ).fetchone()
    assert row == ("XNYS", "EQUITY")
    assert len(trades_of(connection, symbol)) == 2


def test_batch_ids_grow_in_the_order_of_commits(
    native_database: TestDatabase, connection: Connection, tmp_path: Path
) -> None:
    before = _newest(connection)
    seen: list[list[int]] = []
    stop = threading.Event()

    def watch() -> None:
        with psycopg.connect(native_database.url, autocommit=True) as watcher:
            while not stop.is_set():
                rows = watcher.execute(
                    "SELECT batch_id FROM batch WHERE batch_id > %s ORDER BY batch_id", (before,)
                ).fetchall()
                seen.append([row[0] for row in rows])

    symbols = [fresh_symbol() for _ in range(8)]
    paths = [
        write_rows(tmp_path / f"{n}.csv", HEADER, rows_of([symbol], 40))
        for n, symbol in enumerate(symbols)
    ]
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(3):
            together(native_database.url, paths, create=new_instruments())
    finally:
        stop.set()
        watcher.join()
    # Whoever has seen batch n has seen every batch below it: no look ever has a gap.
    assert all(look == list(range(before + 1, before + 1 + len(look))) for look in seen)
    assert _newest(connection) == before + 24
    times = connection.execute("SELECT committed_at FROM batch ORDER BY batch_id").fetchall()
    assert times == sorted(times)


def test_every_commit_tells_the_listeners_its_id(
    native_database: TestDatabase, connection: Connection, tmp_path: Path
) -> None:
    before = _newest(connection)
    symbols = [fresh_symbol() for _ in range(4)]
    paths = [
        write_rows(tmp_path / f"{n}.csv", HEADER, rows_of([symbol], 5))
        for n, symbol in enumerate(symbols)
    ]
    with psycopg.connect(native_database.url, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}".encode())
        together(native_database.url, paths, create=new_instruments())
        told = [note.payload for note in listener.notifies(timeout=10, stop_after=4)]
    assert told == [str(before + n) for n in (1, 2, 3, 4)]


def test_a_writer_waits_for_the_one_that_has_the_lock_and_not_for_its_staging(
    native_database: TestDatabase,
    connection: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = _newest(connection)
    symbol, other = fresh_symbol(), fresh_symbol()
    for name in (symbol, other):
        make = write_rows(tmp_path / "make.csv", HEADER, rows_of([name], 1))
        load(connection, make, create=new_instruments())
    slow = write_rows(tmp_path / "slow.csv", HEADER, rows_of([symbol], 10))
    fast = write_rows(tmp_path / "fast.csv", HEADER, rows_of([other], 10))
    staged, go_on = threading.Event(), threading.Event()

    def slowly(opened: Connection, touching: Sequence[int] | None) -> int:
        if not staged.is_set():
            staged.set()
            assert go_on.wait(30)
        return next_batch_id(opened, touching)

    monkeypatch.setattr(pipeline, "next_batch_id", slowly)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_load_over, native_database.url, slow)
        assert staged.wait(30)
        assert load(connection, fast).counts.stored == 9
        assert _newest(connection) == before + 3
        go_on.set()
        assert waiting.result(30).counts.stored == 9
    assert _newest(connection) == before + 4


def test_ids_are_right_where_transactions_are_repeatable_read_by_default(
    native_database: TestDatabase, tmp_path: Path
) -> None:
    with psycopg.connect(native_database.url, autocommit=True) as session:
        session.execute("ALTER ROLE postgres SET default_transaction_isolation = 'serializable'")
    try:
        paths = [
            write_rows(tmp_path / f"{n}.csv", HEADER, rows_of([fresh_symbol()], 20))
            for n in range(4)
        ]
        outcomes = together(native_database.url, paths, create=new_instruments())
    finally:
        with psycopg.connect(native_database.url, autocommit=True) as session:
            session.execute("ALTER ROLE postgres RESET default_transaction_isolation")
    assert [outcome.counts.stored for outcome in outcomes] == [20] * 4


def _load_over(url: str, path: Path) -> Outcome:
    with writing(url) as connection:
        return load(connection, path)


def _newest(connection: Connection) -> int:
    row = connection.execute("SELECT coalesce(max(batch_id), 0) FROM batch").fetchone()
    assert row is not None
    return int(row[0])


def _until(
    connection: Connection, question: str, clock: Callable[[], datetime] = datetime.now
) -> None:
    give_up = clock() + timedelta(seconds=30)
    while connection.execute(question.encode()).fetchone() != (True,):
        assert clock() < give_up, question
