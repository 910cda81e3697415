import gzip
import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import ImportRefused
from app.ingestion import ndjson_table
from app.ingestion.blocks import MAX_LINE_BYTES
from app.ingestion.file_import import open_table
from app.ingestion.ndjson_lines import MAX_KEYS
from app.ingestion.ndjson_table import open_ndjson
from app.storage.database import Connection
from tests.ingestion.imports import load, new_instruments, trades_of

Rows = list[tuple[int, dict[str, str | None]]]


def read(path: Path, fields: Mapping[str, str] | None = None) -> tuple[list[str], Rows, list[int]]:
    """Give the header, rows with their lines, and malformed lines; `fields` name keys."""
    rows: Rows = []
    malformed: list[int] = []
    with open_ndjson(path, lambda count: None) as table:
        named = fields or {key: key for key in table.header}
        places = {field: table.header.index(key) for field, key in named.items()}
        for chunk in table.chunks(places):
            rows += [(row.pop("line"), row) for row in chunk.rows.iter_rows(named=True)]
            malformed += chunk.malformed
    return table.header, rows, malformed


@pytest.fixture(params=[7, 64, 8 << 20], ids=["tiny blocks", "small blocks", "one block"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make records straddle blocks, or not."""
    monkeypatch.setattr(ndjson_table, "BLOCK_BYTES", request.param)


def file_of(folder: Path, content: str | bytes, name: str = "t.ndjson") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    "text",
    [
        '{"a":"1","b":"2"}\n{"a":"4","b":"5"}\n',
        '{"a":"1","b":"2"}\n{"a":"4","b":"5"}',
        '{"a":"1","b":"2"}\r\n{"a":"4","b":"5"}\r\n',
        '\ufeff{"a":"1","b":"2"}\n{"a":"4","b":"5"}\n',
        ' { "a" : "1" , "b":\t"2" } \n{"b":"5","a":"4"}\n',
        '{"a":1,"b":2}\n{"a":4,"b":5}\n',
        '{"a":1,"b":"2"}\n{"a":"4","b":5}\n',
        '{"\\u0061":1,"b":2}\n{"a":4,"b":5}\n',
    ],
)
def test_the_usual_forms_give_the_same_rows(text: str, tmp_path: Path) -> None:
    assert read(file_of(tmp_path, text)) == (
        ["a", "b"],
        [(1, {"a": "1", "b": "2"}), (2, {"a": "4", "b": "5"})],
        [],
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.50", "1.50"),
        ("0.1234567890123456789", "0.1234567890123456789"),
        (
            "100000000000000000000000.000000000000000001",
            "100000000000000000000000.000000000000000001",
        ),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"),
        ("18446744073709551616", "18446744073709551616"),
        ("-5", "-5"),
        ("1e-7", "1e-7"),
        ("1E400", "1E400"),
        ("-0.0", "-0.0"),
        ('"1.50"', "1.50"),
        ('" x "', " x "),
        ('""', ""),
        ('"\\u20ac\\n\\"\\\\\\ud83d\\ude00"', '€\n"\\😀'),
        ('"é€"', "é€"),
        ('"\\u0000"', "\0"),
        ("null", None),
    ],
)
def test_values_keep_their_digits_and_characters(
    value: str, text: str | None, tmp_path: Path
) -> None:
    lines = f'{{"a":{value},"b":1}}\n' + f'{{"a":{value}}}\n' + '{"a":"z"}\n'
    _, rows, malformed = read(file_of(tmp_path, lines))
    assert [row["a"] for _, row in rows] == [text, text, "z"]
    assert [row["b"] for _, row in rows] == ["1", None, None]
    assert malformed == []


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    "line",
    [
        *('{"a":1', '{"a":1,}', '{"a" 1}', '{"a":1}}', '{"a":1} {"a":2}', "nonsense", "{"),
        *("[1]", '["a"]', "5", "null", "true", '"a"'),
        *('{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}', '{"b":NaN}'),
        *('{"a":01}', '{"a":1.}', '{"a":.5}', '{"a":+1}', '{"a":1e}', "{'a':1}", '{"a":0x10}'),
        *('{"a":true}', '{"a":false}', '{"a":[1]}', '{"a":{"b":1}}', '{"a":[]}'),
        *('{"a":1,"a":2}', '{"a":1,"b":2,"a":1}', '{"a":1,"\\u0061":2}', '{"a" :1, "a" :1}'),
        *('{"a":null,"a":1}', '{"a":"\\ud800"}', '{"a":"\\udc00x"}', '{"a":"\\x"}', '{"a":"\t"}'),
        "[" * 100_000,
        '{"b":' + "[" * 50_000 + "]" * 50_000 + "}",
        b'{"a":"\xff"}',
        b'{"b":"\xff"}',
        b'{"a":1,"\xff":1}',
        b'{"a":"\xed\xa0\x80"}',
        b"\xff",
        b"\x00",
    ],
    ids=lambda line: str(line)[:30],
)
def test_what_is_no_object_of_texts_is_malformed(line: str | bytes, tmp_path: Path) -> None:
    own = line.encode() if isinstance(line, str) else line
    path = file_of(tmp_path, b'{"a":1}\n\n' + own + b'\r\n{"a":"2"}\n' + own)
    with open_table(path, lambda count: None) as table:
        chunks = list(table.chunks({"f": table.header.index("a")}))
    good = [row for chunk in chunks for row in chunk.rows.rows()]
    assert good == [(1, "1"), (4, "2")]
    assert [line for chunk in chunks for line in chunk.malformed] == [3, 5]
    originals = [each for chunk in chunks for each in chunk.originals(chunk.malformed)]
    assert originals == [own, own]


def test_values_that_no_field_uses_may_be_anything(tmp_path: Path) -> None:
    text = '{"a":1,"more":{"a":[true]},"flag":false}\n{"a":2,"note":"\\"a\\":\\"a\\"","x":"a"}\n'
    _, rows, malformed = read(file_of(tmp_path, text), {"f": "a"})
    assert [row for _, row in rows] == [{"f": "1"}, {"f": "2"}]
    assert malformed == []


def test_two_fields_may_use_one_key(tmp_path: Path) -> None:
    _, rows, _ = read(file_of(tmp_path, '{"a":1}\n'), {"f": "a", "g": "a"})
    assert rows == [(1, {"f": "1", "g": "1"})]


@pytest.mark.parametrize("key", ['a"b', "a\\b", "a\tb", "", "é", "f0", "line"])
def test_any_key_may_be_a_fields(key: str, tmp_path: Path) -> None:
    text = json.dumps({key: "x", "z": 1}) + "\n" + json.dumps({"z": 2}) + "\n"
    header, rows, malformed = read(file_of(tmp_path, text), {"f": key})
    assert header == [key, "z"]
    assert rows == [(1, {"f": "x"}), (2, {"f": None})]
    twice = f"{{{json.dumps(key)}: 1, {json.dumps(key)}: 2}}"
    assert read(file_of(tmp_path, f"{text}{twice}\n"), {"f": key})[2] == [3]
    assert malformed == []


@pytest.mark.usefixtures("blocks")
def test_blank_lines_are_no_records_and_still_lines(tmp_path: Path) -> None:
    text = '\n\r\n{"a":1}\n  \n{"a":2}\n\n'
    assert read(file_of(tmp_path, text)) == (["a"], [(3, {"a": "1"}), (5, {"a": "2"})], [])


@pytest.mark.usefixtures("blocks")
def test_a_key_that_comes_late_is_in_the_header(tmp_path: Path) -> None:
    text = '{"a":1}\n' * 500 + '{"b":7,"a":2}\n'
    header, rows, _ = read(file_of(tmp_path, text))
    assert header == ["a", "b"]
    assert rows[-1] == (501, {"a": "2", "b": "7"})


def test_too_many_keys_are_refused(tmp_path: Path) -> None:
    text = "".join(f'{{"k{number}":1}}\n' for number in range(MAX_KEYS + 1))
    with pytest.raises(ImportRefused, match="more than 1000 different keys"):
        read(file_of(tmp_path, text))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "there is no record in it"),
        (b"\n \r\n\n", "there is no record in it"),
        (b"\xef\xbb\xbf", "there is no record in it"),
        (b"[1]\n{\n", "no line is a JSON object"),
        ('{"a":1}\n'.encode("utf-16"), "UTF-16"),
        (b'{"a":1}\n{"a":"' + b"x" * MAX_LINE_BYTES + b'"}\n', "line 2 is longer than"),
    ],
)
@pytest.mark.parametrize("name", ["t.ndjson", "t.jsonl.gz"])
def test_sources_without_records_are_refused(
    content: bytes, words: str, name: str, tmp_path: Path
) -> None:
    path = file_of(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)
    with pytest.raises(ImportRefused, match=words):
        read(path)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("name", ["t.ndjson", "t.JSONL", "t.ndjson.gz", "t.jsonl.GZ"])
def test_the_ending_tells_ndjson_and_the_hash_is_of_the_disk(name: str, tmp_path: Path) -> None:
    text = b"".join(b'{"a":%d}\n' % number for number in range(500))
    content = gzip.compress(text) if name.lower().endswith("gz") else text
    seen: list[int] = []
    with open_table(file_of(tmp_path, content, name), seen.append) as table:
        assert table.header == ["a"]
        assert sum(chunk.rows.height for chunk in table.chunks({"a": 0})) == 500
        assert table.checksum == hashlib.sha256(content).hexdigest()
    assert sum(seen) == len(content)


def test_broken_gzip_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"a":1}\n' * 9_000)
    with pytest.raises(ImportRefused, match="the compressed file is broken"):
        read(file_of(tmp_path, whole[:-9], "t.ndjson.gz"))


VALUE = st.one_of(
    st.none(),
    st.text(alphabet=st.sampled_from(list('ab019.-" \\/\t\n\0é€😀"')), max_size=6),
    st.integers(-(10**30), 10**30),
    st.decimals(allow_nan=False, allow_infinity=False).map(lambda value: Number(value)),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
)
RECORD = st.dictionaries(st.sampled_from(["a", "b", "\\", 'q"', "é"]), VALUE, max_size=4)


class Number:
    """A number that is written with its own digits."""

    def __init__(self, value: Decimal) -> None:
        self.text = f"{value:f}" if abs(value.adjusted()) < 40 else f"{value:.5e}"
        if "." not in self.text and "e" not in self.text:
            self.text += ".0"


def written(value: Any) -> str:
    return value.text if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def text_of(value: Any) -> str | None:
    return value.text if isinstance(value, Number) else None if value is None else str(value)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    records=st.lists(st.one_of(RECORD, st.sampled_from(["", "5", "{"])), min_size=1, max_size=12),
    block_bytes=st.sampled_from([3, 10, 40, 1 << 20]),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_records_come_back(
    tmp_path: Path, records: list[Any], block_bytes: int, ending: str
) -> None:
    lines = [
        each
        if isinstance(each, str)
        else "{"
        + ", ".join(f"{written(key)}: {written(value)}" for key, value in each.items())
        + "}"
        for each in [{"a": "0", "b": "0"}, *records]
    ]
    path = file_of(tmp_path, ending.join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ndjson_table, "BLOCK_BYTES", block_bytes)
        header, rows, malformed = read(path, {"a": "a", "b": "b"})
    wanted: Rows = [(1, {"a": "0", "b": "0"})]
    bad = []
    keys: dict[str, None] = {"a": None, "b": None}
    for line, record in enumerate(records, 2):
        if isinstance(record, str):
            bad += [line] if record else []
            continue
        keys |= dict.fromkeys(record)
        if any(isinstance(record.get(key), bool | list) for key in "ab"):
            bad.append(line)
        else:
            wanted.append((line, {key: text_of(record.get(key)) for key in "ab"}))
    assert header == list(keys)
    assert rows == wanted
    assert malformed == bad


def test_a_file_is_imported_to_its_last_digit(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    path = file_of(
        tmp_path,
        f'{{"ticker":"{symbol}","ts":1704205800123,"px":10.123456789012345678,"qty":1e3,"id":1}}\n'
        f'{{"ticker":"{symbol}","ts":1704205801123,"px":true,"qty":1,"id":2}}\n'
        f'{{"ticker":"{symbol}","ts":1704205802123,"px":"-","qty":1,"id":3}}\n',
        "trades.ndjson",
    )
    outcome = load(connection, path, create=new_instruments())
    assert outcome.numbers == (3, 1, 0, 2)
    assert outcome.reasons == {2: "MALFORMED_ROW", 3: "BAD_NUMBER"}
    ((_, trade_id, price, size),) = trades_of(connection, symbol)
    assert (trade_id, price, size) == (1, Decimal("10.123456789012345678"), 1000)
