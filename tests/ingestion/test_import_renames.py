"""Ticker changes come in with instruments: a former symbol names what was traded then."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.storage.database import Connection
from tests.conftest import TestDatabase
from tests.ingestion.imports import (
    fresh_symbol,
    instrument_of,
    load,
    new_instruments,
    trades_of,
    write_text,
    writing,
)
from tests.query.reading import reading

HEADER = "symbol,exchange,former_symbol,renamed_on\n"


@pytest.fixture(scope="module")
def connection(native_database: TestDatabase) -> Iterator[Connection]:
    with writing(native_database.url) as opened:
        yield opened


def numbers(connection: Connection, folder: Path, text: str) -> tuple[int, int, int, int]:
    return load(connection, write_text(folder / "i.csv", text), kind="instruments").numbers


def aliases(connection: Connection, symbol: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT a.symbol, valid_from::text, valid_to::text FROM symbol_alias AS a"
        " JOIN instrument AS i USING (instrument_id) WHERE i.symbol = %s ORDER BY valid_to",
        (symbol,),
    ).fetchall()


def test_a_renamed_instrument_keeps_its_rows_under_both_symbols(
    connection: Connection, tmp_path: Path
) -> None:
    old, new = fresh_symbol(), fresh_symbol()
    path = write_text(tmp_path / "t.csv", f"symbol,time,price,size\n{old},2022-06-08T15:00Z,1,1\n")
    load(connection, path, create=new_instruments("XNAS", "EQUITY"))
    before = instrument_of(connection, old)
    assert before is not None
    renaming = f"{HEADER}{new},,{old},2022-06-09\n"
    assert numbers(connection, tmp_path, renaming) == (1, 1, 0, 0)
    assert instrument_of(connection, old) is None
    after = instrument_of(connection, new)
    assert after is not None
    assert after["instrument_id"] == before["instrument_id"]
    assert aliases(connection, new) == [(old, "-infinity", "2022-06-09 04:00:00+00")]
    assert numbers(connection, tmp_path, renaming) == (1, 0, 1, 0)
    lines = f"{old},2022-06-08T16:00Z,2,1\n{old},2022-06-10T16:00Z,3,1\n{new},2022-06-10T16:00Z,4,1"
    path = write_text(tmp_path / "t.csv", f"symbol,time,price,size\n{lines}\n")
    assert load(connection, path).reasons == {3: "UNKNOWN_SYMBOL"}
    assert [int(row[2]) for row in trades_of(connection, new)] == [1, 2, 4]


def test_several_changes_follow_each_other(connection: Connection, tmp_path: Path) -> None:
    first, second, third = (fresh_symbol() for _ in range(3))
    lines = f"{third},24/7,{first},2010-01-04\n{third},24/7,{second},2020-01-06\n"
    assert numbers(connection, tmp_path, HEADER + lines) == (2, 2, 0, 0)
    assert aliases(connection, third) == [
        (first, "-infinity", "2010-01-04 00:00:00+00"),
        (second, "2010-01-04 00:00:00+00", "2020-01-06 00:00:00+00"),
    ]


@pytest.mark.parametrize(
    ("former", "renamed_on", "reason"),
    [
        ("OLD.ONE", "", "BAD_DATE"),
        ("", "2020-01-02", "BAD_SYMBOL"),
        ("SAME", "2020-01-02", "BAD_SYMBOL"),
    ],
)
def test_half_a_change_is_refused(
    connection: Connection, tmp_path: Path, former: str, renamed_on: str, reason: str
) -> None:
    text = f"{HEADER}SAME,24/7,{former},{renamed_on}\nGOOD.{reason},24/7,,\n"
    path = write_text(tmp_path / "i.csv", text)
    assert load(connection, path, kind="instruments").reasons == {2: reason}


async def test_readers_find_both_symbols_at_once(
    connection: Connection, native_database: TestDatabase, tmp_path: Path
) -> None:
    old, new = fresh_symbol(), fresh_symbol()
    numbers(connection, tmp_path, f"{HEADER}{old},24/7,,\n")
    async with reading(native_database.url) as market:
        assert (await market.instruments.by_symbols([old, new])).keys() == {old}
        numbers(connection, tmp_path, f"{HEADER}{new},24/7,{old},2022-06-09\n")
        found = await market.instruments.by_symbols([old, new])
        assert {each: row.symbol for each, row in found.items()} == {old: new, new: new}
