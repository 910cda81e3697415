"""Batch ids grow in the order of commits, through whichever doors the batches come at once."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

from app.ingestion.streams import Pace
from tests.conftest import TestDatabase
from tests.ingestion.imports import (
    fresh_symbol,
    load,
    new_instruments,
    trades_of,
    write_rows,
    writing,
)
from tests.ingestion.streaming import Draining, Feed, drain, trade_fields
from tests.parts.redis import RedisServer

HEADER = ("symbol", "time", "price", "size", "trade_id")
TIMES = 6


def test_ids_grow_in_the_order_of_commits_of_streams_files_and_corrections(
    native_database: TestDatabase, server: RedisServer, tmp_path: Path
) -> None:
    url, shared = native_database.url, fresh_symbol()
    looks: list[list[int]] = []
    stop = threading.Event()

    def watch() -> None:
        with psycopg.connect(url, autocommit=True) as watcher:
            while not stop.is_set():
                rows = watcher.execute("SELECT batch_id FROM batch ORDER BY batch_id").fetchall()
                looks.append([batch_id for (batch_id,) in rows])

    def stream() -> None:
        feed = Feed(server.url, uuid.uuid4().hex)
        feed.add(*trade_fields(shared, TIMES), *trade_fields(fresh_symbol(), TIMES))
        drain(url, Draining(feed), pace=Pace(batch=2, linger_s=0))

    def import_file(price: Callable[[int], int], **options: Any) -> None:
        with writing(url) as connection:
            for turn in range(TIMES):
                rows = [
                    (each["symbol"], each["time"], price(turn), each["size"], each["trade_id"])
                    for each in trade_fields(shared, 4, start=4)
                ]
                path = tmp_path / f"{uuid.uuid4().hex}.csv"
                write_rows(path, HEADER, [*rows, *_of_its_own()])
                load(connection, path, create=new_instruments(), **options)

    works = [
        stream,
        stream,
        lambda: import_file(lambda turn: 7),
        lambda: import_file(lambda turn: 7),
        lambda: import_file(lambda turn: turn + 1, replace=True),
        lambda: import_file(lambda turn: turn + 100, replace=True),
    ]
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(len(works)) as pool:
            for work in [pool.submit(work) for work in works]:
                work.result(120)
    finally:
        stop.set()
        watcher.join()
    # Whoever has seen batch n has seen every batch below it: no look ever has a gap.
    assert all(look == list(range(1, 1 + len(look))) for look in looks)
    with writing(url) as connection:
        batches = connection.execute(
            "SELECT batch_id, committed_at FROM batch ORDER BY batch_id"
        ).fetchall()
        assert len(batches) == 2 * TIMES + 4 * TIMES
        assert [row[1] for row in batches] == sorted(row[1] for row in batches)
        assert len(trades_of(connection, shared)) == 8


def _of_its_own() -> list[tuple[str, ...]]:
    """Give rows that no other batch has, so that each batch stores something."""
    return [
        (each["symbol"], each["time"], each["price"], each["size"], each["trade_id"])
        for each in trade_fields(fresh_symbol(), 2)
    ]
