import csv
import gzip
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import ImportRefused
from app.ingestion import csv_table
from app.ingestion.blocks import MAX_LINE_BYTES
from app.ingestion.csv_table import open_csv

PLACES = {"a": 0, "b": 1, "c": 2}
Rows = list[tuple[int, tuple[str | None, ...]]]


def read(path: Path, places: Mapping[str, int] = PLACES) -> tuple[list[str], Rows, list[int]]:
    """Give the header, good rows with their lines, and the lines of malformed rows."""
    rows: Rows = []
    malformed: list[int] = []
    with open_csv(path, lambda count: None) as table:
        for chunk in table.chunks(places):
            rows += [(row[0], row[1:]) for row in chunk.rows.rows()]
            malformed += chunk.malformed
        return table.header, rows, malformed


def originals(path: Path) -> dict[int, bytes]:
    """Give the bytes of every record, good or malformed, each asked for when the next are read."""
    found: dict[int, bytes] = {}
    with open_csv(path, lambda count: None) as table:
        waiting: list[tuple[Sequence[int], Callable[[Sequence[int]], list[bytes]]]] = []
        for chunk in table.chunks(PLACES):
            lines = [*chunk.rows["line"], *chunk.malformed][::-1]
            waiting.append((lines, chunk.originals))
        for asked, ask in waiting:
            found |= dict(zip(asked, ask(asked), strict=True))
    return found


@pytest.fixture(params=[7, 64, 8 << 20], ids=["tiny blocks", "small blocks", "one block"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make rows straddle blocks, or not."""
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", request.param)


def file_of(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n1,2,3\n4,5,6\n",
        "a,b,c\n1,2,3\n4,5,6",
        "a,b,c\r\n1,2,3\r\n4,5,6\r\n",
        "\ufeffa,b,c\n1,2,3\n4,5,6\n",
        "a;b;c\n1;2;3\n4;5;6\n",
        "a\tb\tc\n1\t2\t3\n4\t5\t6\n",
        "a|b|c\n1|2|3\n4|5|6\n",
        " a , b ,c\n 1 ,2, 3\n4,5,6\n",
        '"a","b","c"\n"1","2","3"\n4,5,6\n',
        "a,b,c\n1,2,3\r4,5,6\n",
    ],
)
def test_the_usual_forms_give_the_same_rows(text: str, tmp_path: Path) -> None:
    assert read(file_of(tmp_path, text)) == (
        ["a", "b", "c"],
        [(2, ("1", "2", "3")), (3, ("4", "5", "6"))],
        [],
    )


def test_a_delimiter_inside_a_quoted_name_does_not_count(tmp_path: Path) -> None:
    header, rows, _ = read(file_of(tmp_path, '"a,a,a,a";b;c\n1;2;3\n'))
    assert header == ["a,a,a,a", "b", "c"]
    assert rows == [(2, ("1", "2", "3"))]


@pytest.mark.usefixtures("blocks")
def test_a_header_may_have_a_line_break_in_quotes(tmp_path: Path) -> None:
    header, rows, _ = read(file_of(tmp_path, '"a\nx",b,c\n1,2,3\n'))
    assert header == ["a\nx", "b", "c"]
    assert rows == [(3, ("1", "2", "3"))]


@pytest.mark.usefixtures("blocks")
def test_quoted_fields_keep_delimiters_quotes_and_line_breaks(tmp_path: Path) -> None:
    text = 'a,b,c\n1,"x, ""y""\nz",3\n4,5,6\n"7\n\n8",9,"\r\n"\n10,11,12\n'
    _, rows, malformed = read(file_of(tmp_path, text))
    assert rows == [
        (2, ("1", 'x, "y"\nz', "3")),
        (4, ("4", "5", "6")),
        (5, ("7\n\n8", "9", None)),
        (9, ("10", "11", "12")),
    ]
    assert malformed == []


@pytest.mark.usefixtures("blocks")
def test_an_inch_mark_inside_a_field_opens_no_quote(tmp_path: Path) -> None:
    text = 'a,b,c\n1,5" pipe,3\n' + "4,5,6\n" * 20
    _, rows, _ = read(file_of(tmp_path, text))
    assert rows[0] == (2, ("1", '5" pipe', "3"))
    assert rows[1:] == [(line, ("4", "5", "6")) for line in range(3, 23)]


@pytest.mark.usefixtures("blocks")
def test_blank_lines_are_no_rows_and_still_lines(tmp_path: Path) -> None:
    text = "\n\r\na,b,c\n\n1,2,3\n\n\n4,5,6\n\n"
    assert read(file_of(tmp_path, text)) == (
        ["a", "b", "c"],
        [(5, ("1", "2", "3")), (8, ("4", "5", "6"))],
        [],
    )


@pytest.mark.usefixtures("blocks")
def test_blank_lines_of_one_column_are_no_rows(tmp_path: Path) -> None:
    _, rows, _ = read(file_of(tmp_path, "a\n1\n\n2\n"), {"a": 0})
    assert rows == [(2, ("1",)), (4, ("2",))]


@pytest.mark.usefixtures("blocks")
def test_ragged_rows_are_malformed_with_their_lines(tmp_path: Path) -> None:
    text = "a,b,c\n1,2,3\n1,2\n4,5,6\n1,2,3,4\n7\n8,9,10\n"
    _, rows, malformed = read(file_of(tmp_path, text))
    assert [line for line, _ in rows] == [2, 4, 7]
    assert malformed == [3, 5, 6]


def test_ragged_rows_that_make_up_for_each_other_are_malformed(tmp_path: Path) -> None:
    _, rows, malformed = read(file_of(tmp_path, "a,b,c\n1,2\n1,2,3,4\n5,6,7\n"))
    assert [line for line, _ in rows] == [4]
    assert malformed == [2, 3]


CLEAN = [b"1,2,3", b" 4 ,,6", b"7,8,9", b"1,2,\xff\xfe", "é,2,3".encode()]
BROKEN = [
    b"1,2,3",
    b"1,2",
    b'"a\n\nb",2,3',
    b"x",
    b'1,"a ""b"", c",3',
    b"1,2,3,4",
    b'"7\r\n8",2,3',
    b"\xff,2,3",
    b"1,2,3",
]


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("unfinished", [False, True])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
@pytest.mark.parametrize("records", [CLEAN, BROKEN], ids=["clean", "ragged"])
def test_originals_are_the_bytes_of_each_record(
    records: list[bytes], name: str, unfinished: bool, ending: bytes, tmp_path: Path
) -> None:
    content = ending.join([b"a,b,c", *records]) + (b"" if unfinished else ending)
    path = file_of(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)
    wanted, line = {}, 2
    for record in records:
        wanted[line] = record
        line += record.count(b"\n") + 1
    assert originals(path) == wanted


@pytest.mark.usefixtures("blocks")
def test_originals_of_lines_that_end_in_cr_alone_and_of_blank_ones(tmp_path: Path) -> None:
    content = b"a,b,c\n1,2,3\r4,5\r\n\n7,8,9\n"
    wanted = {2: b"1,2,3", 3: b"4,5", 5: b"7,8,9"}
    assert originals(file_of(tmp_path, content)) == wanted


@pytest.mark.usefixtures("blocks")
def test_empty_fields_and_white_space_are_null(tmp_path: Path) -> None:
    _, rows, _ = read(file_of(tmp_path, 'a,b,c\n, ,3\n"",\t,6\n'))
    assert rows == [(2, (None, None, "3")), (3, (None, None, "6"))]


@pytest.mark.usefixtures("blocks")
def test_what_is_no_utf8_shows_as_the_replacement_character(tmp_path: Path) -> None:
    _, rows, _ = read(file_of(tmp_path, b"a,b,c\n1,\xff\xfe,3\n4,5,6\n"))
    assert rows == [(2, ("1", "\ufffd\ufffd", "3")), (3, ("4", "5", "6"))]


@pytest.mark.usefixtures("blocks")
def test_nul_bytes_stay_in_their_field(tmp_path: Path) -> None:
    _, rows, _ = read(file_of(tmp_path, 'a,b,c\n1,x\x00y,3\n"4",5\x00,6\n'))
    assert rows == [(2, ("1", "x\x00y", "3")), (3, ("4", "5\x00", "6"))]


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("block_bytes", [100, 8 << 20])
def test_a_line_as_long_as_allowed_is_read(
    quote: str, block_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", block_bytes)
    long = "x" * (MAX_LINE_BYTES - 5 - 2 * len(quote))
    _, rows, _ = read(file_of(tmp_path, f"a,b,c\n1,2,3\n1,2,{quote}{long}{quote}\n4,5,6\n"))
    assert [(line, len(row[2] or "")) for line, row in rows] == [(2, 1), (3, len(long)), (4, 1)]


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("block_bytes", [100, 8 << 20])
def test_a_longer_line_is_refused_by_its_number(
    quote: str, block_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", block_bytes)
    long = "x" * MAX_LINE_BYTES
    with pytest.raises(ImportRefused, match=f"line 3 is longer than {MAX_LINE_BYTES} bytes"):
        read(file_of(tmp_path, f"a,b,c\n1,2,3\n1,2,{quote}{long}{quote}\n4,5,6\n"))


def test_a_quote_left_open_is_refused_by_its_line(tmp_path: Path) -> None:
    text = 'a,b,c\n1,2,3\n4,"5,6\n' + "1,2,3\n" * 40_000
    with pytest.raises(ImportRefused, match=r"line 3: .*is a quote left open\?"):
        read(file_of(tmp_path, text))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b" \n\t\n", b",,\n", b'""\n'])
@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_a_file_without_a_header_is_empty(content: bytes, name: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)
    with pytest.raises(ImportRefused, match="the file is empty"):
        read(path)


def test_a_header_alone_gives_no_rows(tmp_path: Path) -> None:
    assert read(file_of(tmp_path, "a,b,c\n")) == (["a", "b", "c"], [], [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b,c\n1,2,3\n".encode("utf-16"), "UTF-16"),
        (b"a,b,c\r1,2,3\r4,5,6\r", "end in CR alone"),
        (b"x" * (MAX_LINE_BYTES + 1), "the header is longer than"),
        (b'"' + b"x\n" * MAX_LINE_BYTES, "the header is longer than"),
    ],
)
def test_headers_that_cannot_be_read_are_refused(
    content: bytes, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ImportRefused, match=words):
        read(file_of(tmp_path, content))


TABLE = b"a,b,c\n" + b"".join(b"%d,%d,%d\n" % (n, n * n, n**3) for n in range(5_000))


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("name", ["t.csv.gz", "t.GZ"])
def test_gzip_gives_what_the_plain_file_gives(name: str, tmp_path: Path) -> None:
    table = TABLE[:3_000].rpartition(b"\n")[0]
    assert read(file_of(tmp_path, gzip.compress(table), name)) == read(file_of(tmp_path, table))


def test_gzip_of_several_members_is_one_file(tmp_path: Path) -> None:
    parts = gzip.compress(TABLE[:1_000]) + gzip.compress(TABLE[1_000:])
    assert read(file_of(tmp_path, parts, "t.csv.gz")) == read(file_of(tmp_path, TABLE))


@pytest.mark.parametrize(
    "broken",
    [
        gzip.compress(TABLE)[:-400],
        gzip.compress(TABLE)[:-4],
        b"a,b,c\n1,2,3\n",
        gzip.compress(TABLE)[:2_000] + b"\xff" * 200 + gzip.compress(TABLE)[2_200:],
    ],
    ids=["truncated", "without its length", "not gzip", "overwritten"],
)
def test_broken_gzip_is_refused(broken: bytes, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="the compressed file is broken"):
        read(file_of(tmp_path, broken, "t.csv.gz"))


@pytest.mark.parametrize("zipped", [False, True])
def test_checksum_and_progress_are_of_the_bytes_on_disk(zipped: bool, tmp_path: Path) -> None:
    content = gzip.compress(TABLE) if zipped else TABLE
    path = file_of(tmp_path, content, "t.csv.gz" if zipped else "t.csv")
    seen: list[int] = []
    with open_csv(path, seen.append) as table:
        for _ in table.chunks(PLACES):
            pass
        assert table.checksum == hashlib.sha256(content).hexdigest()
    assert sum(seen) == len(content)


FIELD = st.text(alphabet=st.sampled_from(list("abcXYZ019.-+ \"',;|\t\n\r\x00é€\u2028")), max_size=8)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(st.lists(FIELD, min_size=1, max_size=5), max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    ending=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    block_bytes=st.sampled_from([3, 10, 40, 1 << 20]),
    unfinished=st.booleans(),
)
def test_rows_and_lines_are_those_of_the_csv_module(
    tmp_path: Path,
    rows: list[list[str]],
    delimiter: str,
    ending: str,
    quoting: int,
    block_bytes: int,
    unfinished: bool,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ending, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(["a", "b", "c"])
    writer.writerows(rows)
    whole = text.getvalue()
    if unfinished:
        whole = whole.removesuffix(ending)
    path = file_of(tmp_path, whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_table, "BLOCK_BYTES", block_bytes)
        _, good, malformed = read(path)
        kept = originals(path)

    reader = csv.reader(io.StringIO(whole, newline=""), delimiter=delimiter)
    wanted: Rows = []
    wanted_malformed = []
    next(reader)
    while True:
        line = reader.line_num + 1
        row = next(reader, None)
        if row is None:
            break
        if len(row) == 3:
            wanted.append((line, tuple(field.strip(" \t\r\n\u2028") or None for field in row)))
        elif row:
            wanted_malformed.append(line)
    assert good == wanted
    assert malformed == wanted_malformed
    lines = path.read_bytes().splitlines(keepends=True)
    for line, record in kept.items():
        count = len(record.splitlines()) or 1
        assert b"".join(lines[line - 1 : line - 1 + count]).rstrip(b"\r\n") == record
    assert sorted(kept) == sorted([line for line, _ in good] + malformed)
