"""An upload takes the same memory whatever its size, and nothing stays of it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx

from tests.commands.cli_process import running
from tests.conftest import TestDatabase
from tests.ingestion.uploads import CREATE, NDJSON, trade

MB = 1 << 20
BODY_MB = 200
# What an upload of any size may take more than a small one: blocks, their columns and copies.
MORE_MB = 160


def status_mb(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


def body(symbol: str, size: int, sent: list[int]) -> Iterator[bytes]:
    """Make trades of about a KB each until there are `size` bytes; counts them."""
    number = total = 0
    while total < size:
        lines = []
        for _ in range(1_000):
            note = f',"note":"{number % 97:0900}"}}\n'.encode()
            lines.append(trade(symbol, number).replace(b"}\n", note))
            number += 1
        piece = b"".join(lines)
        total += len(piece)
        yield piece
    sent.append(number)


def test_an_upload_of_any_size_takes_the_same_memory(
    native_database: TestDatabase, tmp_path: Path
) -> None:
    settings = {"database_url": native_database.url, "port": 0, "ingest_dir": tmp_path}
    with running("serve", **settings) as server:
        server.wait_for("serving on")
        url = f"{server.address()}/ingest/trades?{CREATE}"
        pid = server.process.pid
        with httpx.Client(timeout=120, headers=NDJSON) as client:

            def send(symbol: str, size: int) -> float:
                """Give the most memory that the server held meanwhile."""
                Path(f"/proc/{pid}/clear_refs").write_text("5")
                sent: list[int] = []
                response = client.post(url, content=body(symbol, size, sent))
                assert response.status_code == 200, response.text
                assert [response.json()["stored"]] == sent
                return status_mb(pid, "VmHWM")

            small = send("SMALL", 10 * MB)
            large = send("LARGE", BODY_MB * MB)
        assert large - small < MORE_MB, (small, large)
        # The spool has no name, and its room is given back.
        assert list(tmp_path.iterdir()) == []
        held = []
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile: held by nobody
                held.append(os.readlink(each))
        assert not [name for name in held if str(tmp_path) in name]
