"""What cannot be imported leaves nothing behind."""

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import psycopg
import pytest

from app.errors import ImportRefused, TickgraphError
from app.ingestion import csv_table, pipeline
from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.rejects import rejects_to
from app.storage.batches import BatchKind, Counts
from app.storage.database import Connection
from app.storage.faults import StatementFailed
from tests.ingestion.imports import load, new_instruments, write_rows, write_text

TABLES = ("instrument", "trade", "bar", "quote", "batch", "batch_range", "latest", "exchange")
ASIDE = ("TRADES", "PENDING")
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
        (no_rows, "there is no record in it$"),
        (no_parquet_rows, "there is no record in it$"),
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
    quarantined = connection.execute("SELECT count(*) FROM quarantine").fetchone()
    with pytest.raises(ImportRefused, match=words):
        load(connection, path, create=new_instruments("XHKG", "FUND"))
    assert everything(connection) == before
    assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == quarantined


def test_only_bad_rows_are_a_failure_and_all_in_quarantine(
    connection: Connection, tmp_path: Path
) -> None:
    before = everything(connection)
    with pytest.raises(ImportRefused, match=r"no good record \(batch (\d+)\): 3 refused"):
        load(connection, only_bad_rows(tmp_path), create=new_instruments("XHKG", "FUND"))
    batch = TABLES.index("batch")
    after = everything(connection)
    assert after[batch] == before[batch] + 1
    assert after[:batch] + after[batch + 1 :] == before[:batch] + before[batch + 1 :]
    kept = connection.execute(
        """
        SELECT q.position, q.reasons, q.record, q.fields, q.options ->> 'kind', q.state
        FROM quarantine AS q JOIN batch AS b USING (batch_id)
        WHERE b.batch_id = (SELECT max(batch_id) FROM batch) AND (b.stored, b.rejected) = (0, 3)
        ORDER BY q.position
        """
    ).fetchall()
    fields = {"symbol": "B", "time": "2024-01-02", "price": "x", "size": "1"}
    assert kept == [
        (2, ["BAD_TIME"], b"A,x,1,1", {**fields, "symbol": "A", "time": "x", "price": "1"}, *ASIDE),
        (3, ["BAD_NUMBER"], b"B,2024-01-02,x,1", fields, *ASIDE),
        (4, ["MALFORMED_ROW"], b"C,1", None, *ASIDE),
    ]


def test_a_record_shows_all_its_reasons_of_one_look_and_counts_under_the_first(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    path = write_rows(
        tmp_path / "t.csv",
        ("symbol", "time", "price", "size"),
        [(symbol, "soon", "x", "-1"), (symbol, "2024-01-02", "1", "1")],
    )
    outcome = load(connection, path, create=new_instruments())
    assert outcome.reasons == {2: "BAD_TIME"}
    reasons = connection.execute(
        "SELECT reasons FROM quarantine WHERE batch_id = (SELECT max(batch_id) FROM batch)"
    ).fetchall()
    assert reasons == [(["BAD_TIME", "BAD_NUMBER", "NEGATIVE_SIZE"],)]


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

    monkeypatch.setattr(pipeline, "record_batch", fail)
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

    monkeypatch.setattr(pipeline, "record_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(connection, write_text(tmp_path / "t.csv", GOOD), create=new_instruments())
    assert everything(connection) == before


def test_rejects_that_cannot_be_written_stop_the_import(
    connection: Connection, tmp_path: Path
) -> None:
    before = everything(connection)
    path = write_text(tmp_path / "t.csv", GOOD + "bad\n")
    delivery = Delivery(
        kind=BatchKind.TRADES, source="file:t.csv", actor="test", create=new_instruments()
    )
    with (
        pytest.raises(ImportRefused, match="/dev/full cannot be written: No space left"),
        rejects_to(Path("/dev/full")) as rejects,
    ):
        import_file(connection, path, delivery, rejects, lambda count: None)
    assert everything(connection) == before


def test_a_check_of_the_database_is_a_fault_of_ours(connection: Connection, tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "i.csv",
        ("symbol", "time", "price", "size"),
        [("CHECKED", "2024-01-02", "1717", "1")],
    )
    connection.execute("ALTER TABLE trade ADD CONSTRAINT no_one CHECK (price <> 1717)")
    try:
        with pytest.raises((StatementFailed, psycopg.Error)) as failed:
            load(connection, path, create=new_instruments())
    finally:
        connection.execute("ALTER TABLE trade DROP CONSTRAINT no_one")
    assert not isinstance(failed.value, ImportRefused)
    assert not isinstance(failed.value, TickgraphError) or failed.value.code == "INTERNAL"
