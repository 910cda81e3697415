"""Corporate actions come in from files: checked, once each, corrected only on demand."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from app.commands.database import OpenDatabase
from app.commands.importing import ImportRequest, as_text, import_command
from app.errors import ImportRefused
from app.ingestion.action_import import import_actions
from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.rejects import Rejects
from app.ingestion.release import release
from app.settings import Settings
from app.storage.batches import BatchKind
from app.storage.database import Connection
from tests.conftest import TestDatabase
from tests.ingestion.imports import fresh_symbol, load, new_instruments, write_text, writing

HEADER = "symbol,ex_date,action,number,ratio,amount,currency\n"


@pytest.fixture(scope="module")
def connection(database: TestDatabase) -> Iterator[Connection]:
    with writing(database.url) as opened:
        yield opened


@pytest.fixture
def symbol(connection: Connection, tmp_path: Path) -> str:
    made = fresh_symbol()
    path = write_text(tmp_path / "i.csv", f"symbol\n{made}\n")
    load(connection, path, kind="instruments", new=new_instruments())
    return made


def run(connection: Connection, path: Path, **options: Any) -> Receipt:
    delivery = Delivery(kind=BatchKind.ACTIONS, source=f"file:{path.name}", actor="test", **options)
    return import_actions(connection, path, delivery, Rejects(), lambda _: None)


def numbers(receipt: Receipt) -> tuple[int, int, int]:
    return receipt.counts.stored, receipt.counts.duplicate, receipt.counts.rejected


def stored(connection: Connection, symbol: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT ex_date::text, kind, number, new_shares, old_shares, amount, a.currency"
        " FROM corporate_action AS a JOIN instrument USING (instrument_id)"
        " WHERE symbol = %s ORDER BY 1, 2, 3",
        (symbol,),
    ).fetchall()


def test_actions_of_every_kind_are_stored(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    text = HEADER + (
        f"{symbol},2020-08-31,SPLIT,,4:1,,\n{symbol},2021-01-04,split,,1/3,,\n"
        f"{symbol},2020-08-07,Dividend,,,0.82,USD\n{symbol},2020-08-07,DIVIDEND,2,,1e-1,\n"
        f"{symbol},2022-02-02,spin-off,1,0.25,,\n{symbol},2022-02-03,SPIN_OFF,1,2,3.5,EUR\n"
    )
    assert numbers(run(connection, write_text(tmp_path / "a.csv", text))) == (6, 0, 0)
    assert stored(connection, symbol) == [
        ("2020-08-07", "DIVIDEND", 1, None, None, Decimal("0.82"), "USD"),
        ("2020-08-07", "DIVIDEND", 2, None, None, Decimal("0.1"), None),
        ("2020-08-31", "SPLIT", 1, 4, 1, None, None),
        ("2021-01-04", "SPLIT", 1, 1, 3, None, None),
        ("2022-02-02", "SPIN_OFF", 1, Decimal("0.25"), 1, None, None),
        ("2022-02-03", "SPIN_OFF", 1, 2, 1, Decimal("3.5"), "EUR"),
    ]


@pytest.mark.parametrize("ending", ["ndjson", "parquet"])
def test_other_files_bring_the_same(
    connection: Connection, symbol: str, tmp_path: Path, ending: str
) -> None:
    rows = [{"Ticker": symbol, "Date": "2021-03-04", "Type": "SPLIT", "split ratio": "3:2"}]
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert numbers(run(connection, path)) == (1, 0, 0)
    assert stored(connection, symbol) == [("2021-03-04", "SPLIT", 1, 3, 2, None, None)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("{},2020-02-30,SPLIT,,2,,", "BAD_DATE"),
        ("{},1850-02-03,SPLIT,,2,,", "BAD_DATE"),
        ("{},03/02/2020,SPLIT,,2,,", "BAD_DATE"),
        ("{},2020-02-03,MERGER,,2,,", "UNKNOWN_ACTION"),
        ("{},2020-02-03,SPLIT,0,2,,", "UNKNOWN_ACTION"),
        ("{},2020-02-03,SPLIT,,,,", "BAD_RATIO"),
        ("{},2020-02-03,SPLIT,,0,,", "BAD_RATIO"),
        ("{},2020-02-03,SPLIT,,-2,,", "BAD_RATIO"),
        ("{},2020-02-03,SPLIT,,2:0,,", "BAD_RATIO"),
        ("{},2020-02-03,SPLIT,,two,,", "BAD_RATIO"),
        ("{},2020-02-03,DIVIDEND,,2,1,", "BAD_RATIO"),
        ("{},2020-02-03,SPLIT,,2,1,", "BAD_AMOUNT"),
        ("{},2020-02-03,DIVIDEND,,,,", "BAD_AMOUNT"),
        ("{},2020-02-03,DIVIDEND,,,-1,", "BAD_AMOUNT"),
        ("{},2020-02-03,DIVIDEND,,,NaN,", "BAD_AMOUNT"),
        ("{},2020-02-03,SPIN_OFF,,,,", "BAD_AMOUNT"),
        ("{},2020-02-03,DIVIDEND,,,1,us dollars", "BAD_CURRENCY"),
        ("NOBODY.KNOWS,2020-02-03,DIVIDEND,,,1,USD", "UNKNOWN_SYMBOL"),
        (",2020-02-03,DIVIDEND,,,1,USD", "BAD_SYMBOL"),
        ("{},2020-02-03,DIVIDEND", "MALFORMED_ROW"),
    ],
)
def test_what_cannot_be_used_goes_to_quarantine_with_its_reason(
    connection: Connection, symbol: str, tmp_path: Path, record: str, reason: str
) -> None:
    good = f"{symbol},2019-01-02,SPLIT,,2,,\n"
    text = HEADER + good + record.format(symbol) + "\n"
    receipt = run(connection, write_text(tmp_path / "a.csv", text))
    assert numbers(receipt) == (1, 0, 1)
    assert receipt.reasons == {reason: 1}
    row = connection.execute(
        "SELECT quarantine_id, reasons, record, options->>'kind' FROM quarantine"
        " WHERE batch_id = %s",
        (receipt.batch_id,),
    ).fetchone()
    assert row is not None
    assert row[1:] == ([reason], record.format(symbol).encode(), "ACTIONS")
    # Released it would be a delivery of trades: it is corrected in its file, and imported again.
    done = release(connection, [row[0]], actor="test", overrides=frozenset(), note=None)
    assert (done.receipts, done.refused) == ([], {row[0]: [reason]})


def test_the_same_again_is_a_duplicate_and_another_value_a_contradiction(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    path = write_text(tmp_path / "a.csv", f"{HEADER}{symbol},2020-02-03,DIVIDEND,,,1.50,USD\n")
    assert numbers(run(connection, path)) == (1, 0, 0)
    assert numbers(run(connection, path)) == (0, 1, 0)
    other = write_text(
        tmp_path / "b.csv",
        f"{HEADER}{symbol},2020-02-03,DIVIDEND,,,1.6,USD\n{symbol},2020-02-03,DIVIDEND,,,1.5,USD\n",
    )
    receipt = run(connection, other)
    assert numbers(receipt) == (0, 1, 1)
    assert receipt.reasons == {"CONTRADICTS_STORED": 1}
    assert stored(connection, symbol)[0][5] == Decimal("1.50")


def test_two_of_a_kind_on_one_date_need_numbers(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    lines = f"{symbol},2020-02-03,DIVIDEND,,,1,USD\n{symbol},2020-02-03,DIVIDEND,,,2,USD\n"
    assert numbers(run(connection, write_text(tmp_path / "a.csv", HEADER + lines))) == (1, 0, 1)
    assert stored(connection, symbol)[0][5] == 1


def test_replace_corrects_by_the_last_line_and_is_audited_as_a_correction(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    first = write_text(tmp_path / "a.csv", f"{HEADER}{symbol},2020-02-03,DIVIDEND,,,1,USD\n")
    run(connection, first)
    lines = f"{symbol},2020-02-03,DIVIDEND,,,2,USD\n{symbol},2020-02-03,DIVIDEND,,,3,USD\n"
    receipt = run(connection, write_text(tmp_path / "b.csv", HEADER + lines), replace=True)
    assert numbers(receipt) == (1, 0, 1)
    assert stored(connection, symbol)[0][5] == 3
    row = connection.execute(
        "SELECT action, detail::json->>'kind' FROM audit WHERE subject = %s",
        (f"batch {receipt.batch_id}",),
    ).fetchone()
    assert row == ("CORRECTION", "ACTIONS")


def test_a_batch_touches_the_instruments_it_changed_over_all_their_time(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    path = write_text(tmp_path / "a.csv", f"{HEADER}{symbol},2020-02-03,SPLIT,,2,,\n")
    for expected in (1, 0):  # a duplicate changes nothing
        receipt = run(connection, path)
        rows = connection.execute(
            "SELECT first_time::text, last_time::text, kind FROM batch_range WHERE batch_id = %s",
            (receipt.batch_id,),
        ).fetchall()
        assert rows == [("1900-01-01 00:00:00+00", "2200-01-01 00:00:00+00", "ACTIONS")] * expected


def test_a_symbol_means_who_bore_it_on_the_ex_date(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    former = fresh_symbol()
    connection.execute(
        "INSERT INTO symbol_alias (symbol, valid_to, instrument_id)"
        " SELECT %s, '2021-06-01', instrument_id FROM instrument WHERE symbol = %s",
        (former, symbol),
    )
    lines = f"{former},2020-02-03,SPLIT,,2,,\n{former},2022-02-03,SPLIT,,2,,\n"
    receipt = run(connection, write_text(tmp_path / "a.csv", HEADER + lines))
    assert numbers(receipt) == (1, 0, 1)
    assert receipt.reasons == {"UNKNOWN_SYMBOL": 1}
    assert [row[0] for row in stored(connection, symbol)] == ["2020-02-03"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER, "there is no record in it"),
        ("symbol,action\nA,SPLIT\n", "there is no column for 'ex_date'"),
        (f"{HEADER}NOBODY.KNOWS,2020-01-02,SPLIT,,2,,\n", "no good record"),
    ],
)
def test_a_file_without_anything_good_is_refused(
    connection: Connection, tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(ImportRefused, match=words):
        run(connection, write_text(tmp_path / "a.csv", text))


def test_the_command_imports_actions(database: TestDatabase, symbol: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", "ex_date,action,amount\n2020-01-02,DIVIDEND,1\n")
    opened = OpenDatabase(
        url=database.url, embedded=False, settings=Settings(database_url=database.url)
    )
    delivery = Delivery(kind=BatchKind.ACTIONS, source="file:a.csv", actor="test", symbol=symbol)
    request = ImportRequest(path=path, delivery=delivery, new=new_instruments(), rejects=None)
    text = as_text(request, import_command(opened, request))
    assert text == "1 actions received: 1 stored, 0 duplicate, 0 rejected"
