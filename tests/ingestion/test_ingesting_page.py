"""The examples of docs/ingesting.md, run as they stand there."""

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest

from app.ingestion.http_door import PIECE_TIMEOUT_S
from app.ingestion.http_parameters import MAX_KEY
from app.ingestion.spool import PIECE_BYTES
from tests.conftest import TestDatabase
from tests.ingestion.uploads import trade
from tests.serving import on_port

PAGE = (Path(__file__).parents[2] / "docs" / "ingesting.md").read_text()
EXAMPLES = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_the_examples_do_what_they_say(native_database: TestDatabase, tmp_path: Path) -> None:
    lines = [trade("DOC.BTC", number) for number in range(5_000)]
    (tmp_path / "trades.ndjson").write_bytes(b"".join(lines))

    async def run(example: str) -> dict[str, int]:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", example),
            cwd=tmp_path,
            env={"TICKGRAPH": base, "PATH": "/usr/bin:/bin"},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        answer: dict[str, int] = json.loads(out)
        return answer

    async with on_port(native_database.url) as base:
        receipts = [await run(example) for example in EXAMPLES]
        again = await run(EXAMPLES[1])
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert receipts[0] == json.loads(shown)
    assert receipts[1]["stored"] == 5_000
    assert again == receipts[1]
    assert (receipts[2]["received"], receipts[2]["stored"]) == (1, 1)


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"1 to {MAX_KEY} visible" in PAGE
    assert (PIECE_TIMEOUT_S, PIECE_BYTES) == (120, 1 << 20)
    assert "less than 1 MiB came in two minutes" in PAGE
