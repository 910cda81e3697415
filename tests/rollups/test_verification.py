"""Verification finds what does not agree with the rows: the very bucket, and nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from app.rollups import recomputation, verification
from app.rollups.catalogue import ROLLUPS
from app.rollups.refresh import refresh
from app.rollups.retention import retain
from app.rollups.verification import Skipped, Unverifiable
from app.storage.database import Connection, one_row
from tests.conftest import TestDatabase
from tests.query.market import minute_bars, store_bars, store_trades, us_day_trades
from tests.query.recompute import bucket
from tests.rollups.old_rows import (
    DAY,
    KEEP_10_DAYS,
    START,
    correct_trades,
    count,
    session,
    verified,
    weeks_of_trades,
)

TRADES = weeks_of_trades(30, days=16)
NOW = START + 30 * DAY
MATERIALIZED = """
SELECT format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name)
FROM timescaledb_information.continuous_aggregates
WHERE view_name = %s
"""


@pytest.fixture(scope="module")
def filled(embedded: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> TestDatabase:
    folder = tmp_path_factory.mktemp("files")
    with session(embedded.url) as connection:
        store_trades(connection, folder, "RIGHT", "24/7", TRADES)
        days = [START.date() + timedelta(days=number) for number in (0, 1, 4, 5, 6)]
        store_trades(connection, folder, "US", "XNAS", us_day_trades(31, days))
        for minutes in (1, 45, 1440):
            name, bars = f"BAR{minutes}", minute_bars(minutes, START, 200, minutes)
            interval = {1: "1m", 45: "45m", 1440: "1d"}[minutes]
            store_bars(connection, folder, name, "24/7", interval, bars)
        refresh(connection, now=NOW)
    return embedded


@pytest.fixture
def connection(filled: TestDatabase) -> Iterator[Connection]:
    with session(filled.url) as opened:
        yield opened


def instrument(connection: Connection, symbol: str) -> int:
    found = one_row(connection, "SELECT instrument_id FROM instrument WHERE symbol = %s", (symbol,))
    return int(found[0])


def materialized(connection: Connection, view: str) -> str:
    return str(one_row(connection, MATERIALIZED, (view,))[0])


def test_what_was_not_touched_is_right(connection: Connection) -> None:
    assert verified(connection) == ([], [])
    for rollup in ROLLUPS:
        assert count(connection, rollup.view) > 0


def test_plain_views_are_right(database: TestDatabase, tmp_path: Path) -> None:
    with session(database.url) as connection:
        store_trades(connection, tmp_path, "PLAIN", "24/7", TRADES[:300])
        store_bars(connection, tmp_path, "PLAINB", "24/7", "1m", minute_bars(32, START, 300, 1))
        refresh(connection, now=NOW)
        assert verified(connection) == ([], [])


COLUMNS = ("open", "high", "low", "close", "volume", "notional", "revision")
CHANGES = [
    *(("trade_candle_1m", column) for column in COLUMNS),
    *((rollup.view, column) for rollup in ROLLUPS[1:] for column in ("close", "revision")),
]


@pytest.mark.parametrize(("view", "column"), CHANGES)
def test_a_changed_column_is_found(view: str, column: str, connection: Connection) -> None:
    change = f"{column} + {1 if column == 'revision' else '0.000000001'}"
    table = materialized(connection, view)
    chosen = one_row(
        connection,
        f"SELECT instrument_id, session, trading_date, bucket, {column}::text FROM {table}"
        f" ORDER BY bucket, instrument_id LIMIT 1 OFFSET 5".encode(),
    )
    where = "instrument_id = %s AND session = %s AND trading_date = %s AND bucket = %s"
    update = f"UPDATE {table} SET {column} = {{}} WHERE {where}"
    try:
        assert connection.execute(update.format(change).encode(), chosen[:4]).rowcount == 1
        found, skipped = verified(connection)
    finally:
        connection.execute(update.format(chosen[4]).encode(), chosen[:4])
    assert skipped == []
    # A roll-up above another is recomputed from the rows: it is right.
    (difference,) = found
    assert (
        difference.view,
        difference.column,
        difference.instrument_id,
        difference.session,
        difference.trading_date,
        difference.bucket,
        difference.recomputed,
    ) == (view, column, *chosen)
    assert Decimal(difference.stored or 0) > Decimal(chosen[4])


def test_rows_that_go_behind_the_logs_back_are_missed_at_every_level(
    connection: Connection,
) -> None:
    gone = TRADES[100]
    saved = connection.execute(
        "DELETE FROM trade WHERE event_time = %s AND trade_id = %s"
        " RETURNING instrument_id, event_time, trade_id, price, size, session, trading_date,"
        " received_at, batch_id",
        (gone.time, gone.trade_id),
    ).fetchall()
    try:
        found, _ = verified(connection)
    finally:
        connection.execute(
            "INSERT INTO trade (instrument_id, event_time, trade_id, price, size, session,"
            " trading_date, received_at, batch_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            saved[0],
        )
    levels = {
        f"trade_candle_{each}": bucket(each, gone.time, gone.trading_date)
        for each in ("1m", "1h", "1d")
    }
    counts = {each.view: each for each in found if each.column == "trades"}
    assert {view: each.bucket for view, each in counts.items()} == levels
    assert all(
        int(each.stored or 0) == int(each.recomputed or 0) + 1
        for each in counts.values()
        if each.view != "trade_candle_1m"
    )
    assert {each.instrument_id for each in found} == {instrument(connection, "RIGHT")}
    assert verified(connection) == ([], [])


def test_a_bucket_that_is_not_there_and_one_too_many_are_found(connection: Connection) -> None:
    table = materialized(connection, "trade_candle_1h")
    first, second = connection.execute(
        f"SELECT bucket FROM {table} ORDER BY bucket LIMIT 2".encode()
    ).fetchall()
    empty = START - timedelta(hours=3)
    move = f"UPDATE {table} SET bucket = %s WHERE bucket = %s".encode()
    connection.execute("UPDATE latest SET first_time = %s WHERE first_time < %s", (empty, second))
    connection.execute(move, (empty, first[0]))
    try:
        found, _ = verified(connection)
    finally:
        connection.execute(move, (first[0], empty))
    missing = {each.column for each in found if each.bucket == first[0] and each.stored is None}
    extra = {each.column for each in found if each.bucket == empty and each.recomputed is None}
    assert missing == extra == set(recomputation.COLUMNS)
    assert {each.bucket for each in found} == {first[0], empty}


def test_only_the_asked_time_and_instruments_are_compared(connection: Connection) -> None:
    table = materialized(connection, "trade_candle_1m")
    right, other = instrument(connection, "RIGHT"), instrument(connection, "US")
    moment = TRADES[500].time
    minute = bucket("1m", moment, moment.date())
    change = f"UPDATE {table} SET volume = volume + %s WHERE bucket = %s AND instrument_id = %s"
    connection.execute(change.encode(), (1, minute, right))
    try:
        beside: list[dict[str, object]] = [
            {"end": minute},
            {"start": minute + timedelta(minutes=1)},
            {"instrument_ids": [other]},
            {"start": minute, "end": minute},
        ]
        for chosen in beside:
            assert verified(connection, **chosen) == ([], []), chosen
        within: list[dict[str, object]] = [
            {"start": minute, "end": minute + timedelta.resolution},
            {"start": moment, "end": moment + timedelta.resolution},
            {"instrument_ids": [right, other]},
        ]
        for chosen in within:
            found, _ = verified(connection, **chosen)
            assert [each.bucket for each in found] == [minute], chosen
    finally:
        connection.execute(change.encode(), (-1, minute, right))


def test_many_differences_come_in_parts_and_all_of_them(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = materialized(connection, "trade_candle_1m")
    a_day = {"start": START, "end": START + DAY, "rollups": ROLLUPS[:1]}
    rows = count(connection, table, "bucket < %s", START + DAY)
    connection.execute(f"UPDATE {table} SET volume = volume + 1, trades = trades + 1".encode())
    try:
        whole, _ = verified(connection, **a_day)
        monkeypatch.setattr(verification, "MAX_DIFFERENCES", 100)
        parts, _ = verified(connection, **a_day)
    finally:
        connection.execute(f"UPDATE {table} SET volume = volume - 1, trades = trades - 1".encode())
    assert len(whole) == 2 * rows
    assert parts == whole


def test_what_is_not_followed_yet_is_left_out_and_said(
    connection: Connection, tmp_path: Path
) -> None:
    changed, other = TRADES[200], TRADES[700]
    correct_trades(connection, tmp_path, "RIGHT", [replace(changed, price=changed.price * 2)])
    table = materialized(connection, "trade_candle_1m")
    minute = bucket("1m", other.time, other.trading_date)
    shift = f"UPDATE {table} SET volume = volume + %s WHERE bucket = %s".encode()
    connection.execute(shift, (1, minute))
    try:
        found, skipped = verified(connection)
        # The wrong bucket beside it is found all the same.
        assert [(each.view, each.bucket) for each in found] == [("trade_candle_1m", minute)]
        touched = bucket("1m", changed.time, changed.trading_date)
        assert skipped[0] == Skipped(
            view="trade_candle_1m",
            start=touched,
            end=touched + timedelta(minutes=1),
            reason=Unverifiable.UNFOLLOWED,
            instruments=1,
        )
        assert [each.view for each in skipped] == [f"trade_candle_{x}" for x in ("1m", "1h", "1d")]
    finally:
        connection.execute(shift, (-1, minute))
    refresh(connection, now=NOW)
    assert verified(connection) == ([], [])


def test_dropped_rows_cannot_be_compared_and_that_is_said(connection: Connection) -> None:
    """Last: it takes rows away."""
    retain(connection, KEEP_10_DAYS, now=NOW)
    found, skipped = verified(connection)
    assert found == []
    assert {each.reason for each in skipped} == {Unverifiable.DROPPED}
    minutes = [each for each in skipped if each.view == "trade_candle_1m"]
    assert minutes[-1].end == START + 14 * DAY
    assert all(one.end == two.start for one, two in zip(minutes, minutes[1:], strict=False))
