"""Refused records stay verbatim until somebody releases or discards them."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.errors import BadInput, ImportRefused, RangeTooLarge
from app.ingestion.release import MAX_RECORDS, NOT_PENDING, discard, release
from app.storage.database import Connection
from app.validation.reasons import Reason
from tests.conftest import TestDatabase
from tests.ingestion.imports import (
    fresh_symbol,
    load,
    new_instruments,
    trades_of,
    write_text,
    writing,
)


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    with writing(database.url) as connection:
        yield connection


def quarantined(connection: Connection, batch_id: int | None = None) -> list[tuple[Any, ...]]:
    """Give (id, position, reasons, record) of a batch's refused records, of the last one's."""
    return connection.execute(
        """
        SELECT quarantine_id, position, reasons, convert_from(record, 'UTF8')
        FROM quarantine
        WHERE batch_id = coalesce(%s, (SELECT max(batch_id) FROM batch))
        ORDER BY position
        """,
        (batch_id,),
    ).fetchall()


def test_refused_records_are_kept_as_they_came(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    lines = [
        "note,symbol,time,price,size",
        f'"a ""good"" one",{symbol},2024-01-02T12:00:00Z,1,1',
        f'"two\nlines",{symbol},2024-01-02T12:00:01Z, 1e400 ,1',
        f"short,{symbol}",
        f"x,{symbol},never,-1,-2",
    ]
    path = write_text(tmp_path / "t.csv", "\r\n".join(lines) + "\r\n")
    assert load(connection, path, create=new_instruments()).numbers == (4, 1, 0, 3)
    assert [row[1:] for row in quarantined(connection)] == [
        (3, ["BAD_NUMBER"], lines[2]),
        (5, ["MALFORMED_ROW"], lines[3]),
        (6, ["BAD_TIME", "NEGATIVE_SIZE"], lines[4]),
    ]


def test_a_file_without_a_good_record_is_kept_whole(connection: Connection, tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "symbol,time,price,size\nNOBODY,x,1,1\n")
    with pytest.raises(ImportRefused, match="no good record"):
        load(connection, path)
    assert [row[1:3] for row in quarantined(connection)] == [(2, ["BAD_TIME"])]


def test_a_record_is_released_when_what_it_lacked_is_there(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    header = "symbol,time,price,size,trade_id\n"
    known = write_text(tmp_path / "k.csv", f"{header}{symbol},2024-01-02T12:00:00Z,1,1,1\n")
    load(connection, known, create=new_instruments())
    other = f"{symbol}.B"
    text = f"{header}{symbol},2024-01-02T12:00:01Z,1,1,2\n{other},2024-01-02T12:00:01Z,2.50,1,7\n"
    load(connection, write_text(tmp_path / "t.csv", text))
    ((key, *_),) = quarantined(connection)
    first = release(connection, [key, 1 << 40], actor="ann")
    assert (first.receipts, first.refused) == (
        [],
        {key: ["UNKNOWN_SYMBOL"], 1 << 40: [NOT_PENDING]},
    )
    made = write_text(tmp_path / "m.csv", f"{header}{other},2024-01-01,1,1,1\n")
    load(connection, made, create=new_instruments())
    second = release(connection, [key], actor="ann", note="it is listed now")
    (receipt,) = second.receipts
    assert (second.refused, receipt.counts.stored, receipt.counts.rejected) == ({}, 1, 0)
    assert [row[1:3] for row in trades_of(connection, other)] == [(1, 1), (7, Decimal("2.5"))]
    row = connection.execute(
        "SELECT state, decided_by, note, released_batch_id FROM quarantine"
        " WHERE quarantine_id = %s",
        (key,),
    ).fetchone()
    assert row == ("RELEASED", "ann", "it is listed now", receipt.batch_id)
    assert release(connection, [key], actor="ann").refused == {key: [NOT_PENDING]}
    entry = connection.execute(
        "SELECT actor, action, detail FROM audit WHERE subject = %s", (f"batch {receipt.batch_id}",)
    ).fetchone()
    assert entry is not None
    assert entry[:2] == ("ann", "RELEASE")
    assert json.loads(entry[2])["quarantine_ids"] == [key]


def test_an_override_waives_a_rule_and_is_recorded(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    header = "symbol,time,price,size\n"
    text = f"{header}{symbol},2024-01-02T12:00:00Z,1,1\n{symbol},2024-01-02T12:00:00Z,-3,1\n"
    load(connection, write_text(tmp_path / "t.csv", text), create=new_instruments())
    ((key, _, reasons, _),) = quarantined(connection)
    assert reasons == ["PRICE_NOT_POSITIVE"]
    with pytest.raises(BadInput, match="BAD_NUMBER cannot be overridden"):
        release(connection, [key], actor="bob", overrides=[Reason.BAD_NUMBER])
    released = release(connection, [key], actor="bob", overrides=[Reason.PRICE_NOT_POSITIVE])
    assert released.refused == {}
    # Without an id it takes the next number of its instant, and hides nothing.
    assert [row[1:3] for row in trades_of(connection, symbol)] == [(0, 1), (1, -3)]
    assert connection.execute(
        "SELECT overrides FROM quarantine WHERE quarantine_id = %s", (key,)
    ).fetchone() == (["PRICE_NOT_POSITIVE"],)


def test_a_contradiction_is_released_as_a_correction(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    header = "symbol,time,price,size,trade_id\n"
    for price in ("1", "2"):
        text = f"{header}{symbol},2024-01-02T12:00:00Z,{price},1,1\n{symbol},2024-01-03,9,1,2\n"
        load(connection, write_text(tmp_path / "t.csv", text), create=new_instruments())
    ((key, _, reasons, record),) = quarantined(connection)
    assert (reasons, record) == (["CONTRADICTS_STORED"], f"{symbol},2024-01-02T12:00:00Z,2,1,1")
    assert release(connection, [key], actor="a").refused == {key: ["CONTRADICTS_STORED"]}
    done = release(connection, [key], actor="a", overrides=[Reason.CONTRADICTS_STORED])
    assert done.receipts[0].counts.stored == 1
    assert [row[2] for row in trades_of(connection, symbol)] == [2, 9]


def test_discarded_records_stay_readable_and_are_decided_once(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    text = f"symbol,time,price,size\n{symbol},2024-01-02,1,1\n{symbol},x,1,1\nshort\n"
    load(connection, write_text(tmp_path / "t.csv", text), create=new_instruments())
    keys = [row[0] for row in quarantined(connection)]
    assert discard(connection, [*keys, 1 << 40], actor="ann", note="noise") == keys
    assert discard(connection, keys, actor="ann") == []
    assert len(quarantined(connection)) == 2
    assert release(connection, keys, actor="ann").refused == {key: [NOT_PENDING] for key in keys}
    entry = connection.execute(
        "SELECT action, detail FROM audit ORDER BY sequence DESC LIMIT 1"
    ).fetchone()
    assert entry is not None
    assert entry[0] == "DISCARD"
    assert json.loads(entry[1]) == {"quarantine_ids": keys, "note": "noise"}


def test_unreadable_records_stay_and_bars_keep_their_interval(
    connection: Connection, tmp_path: Path
) -> None:
    symbol, other = fresh_symbol(), fresh_symbol()
    header = "symbol,time,open,high,low,close,volume\n"
    text = f"{header}{symbol},2024-01-02T12:00:00Z,1,2,1,2,5\n"
    load(connection, write_text(tmp_path / "b.csv", text), interval="1h", create=new_instruments())
    text += f"{other},2024-01-02T13:00:00,1,2,1,2,5\nshort\n"
    path = write_text(tmp_path / "b.csv", text)
    load(connection, path, interval="1h", timezone="America/New_York")
    keys = [row[0] for row in quarantined(connection)]
    made = write_text(tmp_path / "m.csv", f"{header}{other},2024-01-01T12:00:00Z,1,2,1,2,5\n")
    load(connection, made, interval="1h", create=new_instruments())
    released = release(connection, keys, actor="ann")
    assert list(released.refused.values()) == [["MALFORMED_ROW"]]
    starts = connection.execute(
        "SELECT bar_start::text, interval_minutes FROM bar JOIN instrument USING (instrument_id)"
        " WHERE symbol = %s ORDER BY bar_start",
        (other,),
    ).fetchall()
    assert starts[-1] == ("2024-01-02 18:00:00+00", 60)


def test_too_many_at_once_are_refused(connection: Connection) -> None:
    with pytest.raises(RangeTooLarge, match="at most"):
        release(connection, range(MAX_RECORDS + 1), actor="ann")
