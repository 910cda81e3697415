"""The page about quotes: its example gives the answer that it shows."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.rejects import Rejects
from app.storage.batches import BatchKind
from tests.conftest import TestDatabase
from tests.graphql_schema.market import writing
from tests.query.market import new_instruments
from tests.serving import in_process

PAGE = Path(__file__).parents[3] / "docs" / "quotes.md"


def blocks(language: str) -> Sequence[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return found


async def test_the_example_gives_its_answer(native_database: TestDatabase, tmp_path: Path) -> None:
    with writing(native_database.url) as connection:
        for kind, text in zip((BatchKind.QUOTES, BatchKind.TRADES), blocks("csv"), strict=True):
            path = tmp_path / "rows.csv"
            path.write_text(text)
            delivery = Delivery(
                kind=kind, source="file:rows.csv", actor="test", create=new_instruments("XNYS")
            )
            counts = import_file(connection, path, delivery, Rejects(), lambda _: None).counts
            assert counts.stored == 5
    (query,), (answer,) = blocks("graphql"), blocks("json")
    async with in_process(native_database.url) as api:
        assert await api.ask(query) == json.loads(answer)
