import hashlib
import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from app.errors import ImportRefused
from app.ingestion import parquet_table
from app.ingestion.file_import import open_table
from app.ingestion.parquet_table import open_parquet

MOMENT = datetime(2024, 1, 2, 14, 30, 0, 123456)  # noqa: DTZ001 - a column without a zone
US = pl.Datetime("us")


def texts(folder: Path, series: pl.Series) -> list[Any]:
    """Give a column as the text that it is read as."""
    path = folder / "t.parquet"
    pl.DataFrame({"x": series}).write_parquet(path)
    with open_parquet(path, lambda count: None) as table:
        chunks = list(table.chunks({"field": 0}))
    return [text for chunk in chunks for text in chunk.rows["field"].to_list()]


@pytest.mark.parametrize(
    ("series", "wanted"),
    [
        (pl.Series([MOMENT, None], dtype=US), ["2024-01-02T14:30:00.123456", None]),
        (pl.Series([MOMENT], dtype=pl.Datetime("ms")), ["2024-01-02T14:30:00.123000"]),
        (pl.Series([MOMENT], dtype=pl.Datetime("ns")), ["2024-01-02T14:30:00.123456"]),
        (pl.Series([MOMENT.replace(tzinfo=UTC)]), ["2024-01-02T14:30:00.123456Z"]),
        (
            pl.Series([MOMENT.replace(tzinfo=UTC)]).dt.convert_time_zone("Asia/Tokyo"),
            ["2024-01-02T14:30:00.123456Z"],
        ),
        (
            pl.Series([1_704_205_800_123_456_789], dtype=pl.Int64).cast(pl.Datetime("ns", "UTC")),
            ["2024-01-02T14:30:00.123456Z"],
        ),
        (pl.Series([date(2024, 1, 2), None]), ["2024-01-02", None]),
        (pl.Series([1, -5, None], dtype=pl.Int64), ["1", "-5", None]),
        (pl.Series([2**63], dtype=pl.UInt64), ["9223372036854775808"]),
        (pl.Series([0.1, 1e22, 1e-7, -0.0, None]), ["0.1", "1e+22", "1e-7", "-0.0", None]),
        (pl.Series([0.1], dtype=pl.Float32), ["0.1"]),
        (pl.Series([float("nan"), float("inf")]), ["NaN", "inf"]),
        (
            pl.Series([Decimal("12.500000000000000001"), None], dtype=pl.Decimal(38, 18)),
            ["12.500000000000000001", None],
        ),
        (pl.Series([" a ", "", "  ", None, "b"]), ["a", None, None, None, "b"]),
        (pl.Series(["x", "y"], dtype=pl.Categorical), ["x", "y"]),
        (pl.Series([None, None], dtype=pl.Null), [None, None]),
        (pl.Series([True]), ["true"]),
        (pl.Series([time(9, 30)]), ["09:30:00"]),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, pl.Series) else "",
)
def test_every_type_is_read_as_its_text(
    series: pl.Series, wanted: list[str | None], tmp_path: Path
) -> None:
    assert texts(tmp_path, series) == wanted


@pytest.mark.parametrize(
    "kind",
    [pl.Datetime("us"), pl.Datetime("ms"), pl.Datetime("us", "UTC"), pl.Datetime("ms", "UTC")],
    ids=str,
)
@pytest.mark.parametrize("value", [2**62, -(2**62), 2**63 - 1, -(2**63)])
def test_times_beyond_the_calendar_are_null(kind: pl.DataType, value: int, tmp_path: Path) -> None:
    series = pl.Series([value, 0], dtype=pl.Int64).cast(kind)
    first, second = texts(tmp_path, series)
    assert first is None
    assert second.startswith("1970-01-01T00:00:00")


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31)])
def test_dates_beyond_the_calendar_are_null(value: int, tmp_path: Path) -> None:
    assert texts(tmp_path, pl.Series([value, 0], dtype=pl.Int32).cast(pl.Date)) == [
        None,
        "1970-01-01",
    ]


def test_the_last_nanosecond_is_no_time_beyond_the_calendar(tmp_path: Path) -> None:
    series = pl.Series([2**63 - 1], dtype=pl.Int64).cast(pl.Datetime("ns"))
    assert texts(tmp_path, series) == ["2262-04-11T23:47:16.854775"]


@pytest.mark.parametrize("slice_rows", [1, 3, 7, 100])
def test_lines_are_row_numbers_across_slices(
    slice_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_table, "SLICE_ROWS", slice_rows)
    path = tmp_path / "t.parquet"
    pl.DataFrame({"n": list(range(10))}).write_parquet(path, row_group_size=4)
    with open_parquet(path, lambda count: None) as table:
        rows = [row for chunk in table.chunks({"n": 0}) for row in chunk.rows.rows()]
    assert rows == [(number + 1, str(number)) for number in range(10)]


@pytest.mark.parametrize("slice_rows", [3, 100])
def test_originals_are_whole_rows_as_json(
    slice_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_table, "SLICE_ROWS", slice_rows)
    path = tmp_path / "t.parquet"
    pl.DataFrame(
        {
            " n ": pl.Series([0.1 + n for n in range(10)]),
            "t": pl.Series([MOMENT] * 10, dtype=US),
            "text": ["é"] * 9 + [None],
        }
    ).write_parquet(path)
    found: dict[int, dict[str, str | None]] = {}
    with open_parquet(path, lambda count: None) as table:
        for chunk in list(table.chunks({"field": 0})):
            lines = chunk.rows["line"].to_list()[::-1]
            found |= dict(zip(lines, map(orjson.loads, chunk.originals(lines)), strict=True))
    assert found[2] == {" n ": "1.1", "t": "2024-01-02T14:30:00.123456", "text": "é"}
    assert found[10]["text"] is None
    assert all(row[" n "] == f"{line - 1}.1" for line, row in found.items())


def test_columns_are_chosen_by_place_and_named_by_field(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({" Close ": [1], "x": [2], "open": [3]}).write_parquet(path)
    with open_parquet(path, lambda count: None) as table:
        assert table.header == ["Close", "x", "open"]
        (chunk,) = table.chunks({"open": 2, "close": 0})
    assert chunk.rows.to_dict(as_series=False) == {"line": [1], "open": ["3"], "close": ["1"]}


def test_checksum_and_progress_are_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"n": list(range(1000))}).write_parquet(path)
    seen: list[int] = []
    with open_parquet(path, seen.append) as table:
        list(table.chunks({"n": 0}))
        assert table.checksum == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sum(seen) == path.stat().st_size


@pytest.mark.parametrize("content", [b"", b"PAR1", b"symbol,time\nA,1\n", b"PAR1" * 100])
def test_what_is_no_parquet_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    with (
        pytest.raises(ImportRefused, match="the Parquet file cannot be read"),
        open_table(path, lambda count: None),
    ):
        pass


@pytest.mark.filterwarnings("ignore")
def test_broken_bytes_are_refused_or_read_and_never_fatal(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    start = datetime(2024, 1, 1, tzinfo=UTC)
    pl.DataFrame(
        {
            "time": [start + timedelta(seconds=n) for n in range(300)],
            "price": [float(n) for n in range(300)],
        }
    ).write_parquet(path)
    good, choice, refused = path.read_bytes(), random.Random(7), 0
    for attempt in range(60):
        broken = bytearray(good)
        if attempt % 2:
            broken = broken[: choice.randrange(len(broken))]
        else:
            for _ in range(3):
                broken[choice.randrange(len(broken))] = choice.randrange(256)
        path.write_bytes(broken)
        try:
            with open_table(path, lambda count: None) as table:
                list(table.chunks({"time": 0, "price": 1}))
        except ImportRefused:
            refused += 1
    assert refused >= 30
