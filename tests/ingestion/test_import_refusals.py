"""What cannot be imported leaves nothing behind."""

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import psycopg
import pytest

from app.errors import ImportRefused, TickgraphError
from app.ingestion import csv_table, file_import
from app.ingestion.rejects import rejects_to
from app.storage.batches import Counts
from app.storage.database import Connection
from app.storage.faults import StatementFailed
from tests.ingestion.imports import load, new_instruments, write_rows, write_text

TABLES = ("instrument", "trade", "bar", "batch", "batch_range", "latest", "exchange")
GOOD = "symbol,time,price,size\n" + "".join(
    f"LEFT.BEHIND,2024-01-02T12:00:{n % 60:02}.{n:06}Z,{n + 1},1\n" for n in range(2_000)
)


def everything(connection: Connection) -> list[int]:
    rows = [
        connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchone() for name in TABLES
    ]
    return [row[0] for row in rows if row is not None]


def gzip_cut(folder: Path) -> Path:
    path = folder / "t.csv.gz"
    path.write_bytes(gzip.compress(GOOD.encode())[:-20])
    return path


def parquet_cut(folder: Path) -> Path:
    path = folder / "t.parquet"
    lines = [line.split(",") for line in GOOD.splitlines()]
    pl.DataFrame(lines[1:], schema=lines[0], orient="row").write_parquet(path, row_group_size=100)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4_000] = b"\x00" * 4_000
    path.write_bytes(content)
    return path


def quote_left_open(folder: Path) -> Path:
    return write_text(folder / "t.csv", GOOD + '"A,1,1,1\n' + "1,2,3,4\n" * 20_000)


def line_too_long(folder: Path) -> Path:
    return write_text(folder / "t.csv", GOOD + "x" * 200_000 + "\n")


def only_bad_rows(folder: Path) -> Path:
    return write_text(folder / "t.csv", "symbol,time,price,size\nA,x,1,1\nB,2024-01-02,x,1\nC,1\n")


def no_rows(folder: Path) -> Path:
    return write_text(folder / "t.csv", "symbol,time,price,size\n")


def no_parquet_rows(folder: Path) -> Path:
    path = folder / "t.parquet"
    names = ("symbol", "time", "price", "size")
    pl.DataFrame(schema=dict.fromkeys(names, pl.String)).write_parquet(path)
    return path


def empty(folder: Path) -> Path:
    return write_text(folder / "t.csv", "")


def no_price(folder: Path) -> Path:
    return write_text(folder / "t.csv", "symbol,time,size\nA,2024-01-02,1\n")


def missing(folder: Path) -> Path:
    return folder / "missing.csv"


def missing_parquet(folder: Path) -> Path:
    return folder / "missing.parquet"


def a_folder(folder: Path) -> Path:
    return folder


def a_folder_like_parquet(folder: Path) -> Path:
    path = folder / "t.parquet"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (gzip_cut, "the compressed file is broken"),
        (parquet_cut, "the Parquet file cannot be read"),
        (quote_left_open, "line 2002: .*is a quote left open"),
        (line_too_long, "line 2002 is longer than"),
        (only_bad_rows, "the file has no good row: 3 refused"),
        (no_rows, "the file has no good row$"),
        (no_parquet_rows, "the file has no good row$"),
        (empty, "the file is empty"),
        (no_price, "there is no column for 'price'"),
        (missing, "missing.csv cannot be read: No such file or directory"),
        (missing_parquet, "missing.parquet cannot be read: .*[Nn]o such file"),
        (a_folder, "cannot be read: Is a directory"),
        (a_folder_like_parquet, "cannot be read"),
    ],
)
def test_a_file_that_fails_leaves_nothing_behind(
    make: Callable[[Path], Path],
    words: str,
    connection: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", 10_000)
    folder = tmp_path / "files"
    folder.mkdir()
    path, before = make(folder), everything(connection)
    with pytest.raises(ImportRefused, match=words):
        load(connection, path, create=new_instruments("XHKG", "FUND"))
    assert everything(connection) == before


def test_the_refusal_shows_the_first_reasons(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused) as refused:
        load(connection, only_bad_rows(tmp_path))
    lines = refused.value.message.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("  line 4: MALFORMED_ROW, ")
    assert lines[2].startswith("  line 2: BAD_TIME, ")
    assert lines[2].endswith("('A,x,1,1')")


def test_a_statement_that_fails_leaves_nothing_behind(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(connection)

    def fail(connection: Connection, **batch: object) -> None:
        connection.execute("INSERT INTO batch (batch_id, kind) VALUES (1, 'NO SUCH KIND')")

    monkeypatch.setattr(file_import, "record_batch", fail)
    with pytest.raises(psycopg.Error):
        load(
            connection,
            write_text(tmp_path / "t.csv", GOOD),
            create=new_instruments("XHKG", "FUND"),
        )
    assert everything(connection) == before


def test_an_interrupt_leaves_nothing_behind(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(connection)

    def interrupted(*args: object, **values: object) -> Counts:
        raise KeyboardInterrupt

    monkeypatch.setattr(file_import, "record_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(connection, write_text(tmp_path / "t.csv", GOOD), create=new_instruments())
    assert everything(connection) == before


def test_rejects_that_cannot_be_written_stop_the_import(
    connection: Connection, tmp_path: Path
) -> None:
    before = everything(connection)
    path = write_text(tmp_path / "t.csv", GOOD + "bad\n")
    with (
        pytest.raises(ImportRefused, match="/dev/full cannot be written: No space left"),
        rejects_to(Path("/dev/full")) as rejects,
    ):
        file_import.import_trades(
            connection,
            path,
            file_import.FileOptions(create=new_instruments()),
            rejects,
            lambda count: None,
        )
    assert everything(connection) == before


def test_a_check_of_the_database_is_a_fault_of_ours(connection: Connection, tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "i.csv",
        ("symbol", "time", "price", "size"),
        [("CHECKED", "2024-01-02", "1", "1")],
    )
    connection.execute("ALTER TABLE trade ADD CONSTRAINT no_one CHECK (price <> 1)")
    try:
        with pytest.raises((StatementFailed, psycopg.Error)) as failed:
            load(connection, path, create=new_instruments())
    finally:
        connection.execute("ALTER TABLE trade DROP CONSTRAINT no_one")
    assert not isinstance(failed.value, ImportRefused)
    assert not isinstance(failed.value, TickgraphError) or failed.value.code == "INTERNAL"
