import hashlib
import json
from typing import Any

import pytest

from app.ingestion import rows_table as module
from app.ingestion.rows_table import rows_table


@pytest.fixture(params=[1, 2, 1_000], autouse=True)
def _slices(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", request.param)


def read(*arguments: Any, **more: Any) -> tuple[list[str], list[Any], list[int], list[bytes]]:
    with rows_table(*arguments, **more) as table:
        chunks = list(table.chunks({name: place for place, name in enumerate(table.header)}))
        rows = [row for chunk in chunks for row in chunk.rows.rows()]
        malformed = [line for chunk in chunks for line in chunk.malformed]
        originals = [
            original
            for chunk in chunks
            for original in chunk.originals(sorted([*chunk.rows["line"], *chunk.malformed]))
        ]
        joined = b"".join(each + b"\n" for each in originals)
        assert table.checksum == hashlib.sha256(joined).hexdigest()
    return table.header, rows, malformed, originals


def test_records_have_their_places_and_every_field() -> None:
    records: list[dict[str, str | None]] = [{"a": "1"}, {"b": " 2 ", "a": None}, {}]
    header, rows, malformed, originals = read(records)
    assert header == ["a", "b"]
    assert rows == [(1, "1", None), (2, None, " 2 "), (3, None, None)]
    assert malformed == []
    assert [json.loads(each) for each in originals] == records


def test_given_originals_are_kept_and_none_is_malformed() -> None:
    header, rows, malformed, originals = read(
        [{"a": "1"}, None], [b"x", b"\xff"], fields=["z", "a"]
    )
    assert header == ["z", "a"]
    assert rows == [(1, None, "1")]
    assert malformed == [2]
    assert originals == [b"x", b"\xff"]


def test_no_records_are_no_rows() -> None:
    assert read([]) == ([], [], [], [])
