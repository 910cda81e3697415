"""Speak HTTP to the door of records by hand: slowly, in parts, or not to the end."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

NDJSON = {"content-type": "application/x-ndjson"}
CREATE = "create=true&asset_class=CRYPTO"
COUNTS = ("received", "stored", "duplicate", "rejected")


def trade(symbol: str, number: int) -> bytes:
    """Give a trade as a line; each number is a millisecond of its own."""
    seconds, milliseconds = divmod(number, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    time = f"2026-11-02T{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}Z"
    price = f"{100 + number % 7}.{number % 100:02}"
    line = f'{{"symbol":"{symbol}","time":"{time}","price":{price},"size":1,"trade_id":{number}}}\n'
    return line.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        """Give the code of a refusal, which must have the door's shape."""
        assert set(self.body) == {"error"}, self.body
        code: str = self.body["error"]["code"]
        assert self.body["error"]["message"]
        return code


class Upload:
    """One connection with one request on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def begin(cls, base: str, path: str, headers: dict[str, str]) -> Self:
        """Send the head of a chunked POST, or one with the content-length that is given."""
        address = urlsplit(base)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        upload = cls(reader, writer)
        lower = {name.lower() for name in headers}
        if "content-length" not in lower:
            headers = headers | {"transfer-encoding": "chunked"}
        lines = [f"POST {path} HTTP/1.1", f"host: {address.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        await upload.raw(("\r\n".join(lines) + "\r\n\r\n").encode())
        return upload

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def chunk(self, data: bytes) -> None:
        """Send a chunk; an empty one is the end."""
        await self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read a status and headers."""
        async with asyncio.timeout(60):
            first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        pairs = (line.partition(": ") for line in lines if line)
        return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}

    async def answer(self) -> Answer:
        """Read the whole answer, and close."""
        status, headers = await self.head()
        async with asyncio.timeout(60):
            body = await self._reader.readexactly(int(headers["content-length"]))
        await self.close()
        return Answer(status=status, headers=headers, body=json.loads(body))

    async def close(self) -> None:
        """Go away properly."""
        self._writer.close()
        await self._writer.wait_closed()

    def abort(self) -> None:
        """Go away with a reset."""
        self._writer.transport.abort()
