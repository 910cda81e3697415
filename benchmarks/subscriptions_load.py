"""Thousands of cheap subscribers in one process: they find frames and revisions, and nothing else.

Run as a program: `python -m benchmarks.subscriptions_load PORT COUNT SYMBOLS QUERY`. It prints a
line of JSON when all have joined, and one for each line that it reads: `begin` forgets, `end` tells
what has come since, each message by its revision and its millisecond of arrival.
"""

import asyncio
import sys
import time
from collections import Counter
from typing import cast

import orjson
import uvloop

_UPGRADE = (
    b"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
_REVISION = b'"revision":'
_AT_ONCE = 200  # that are connecting


class Arrivals:
    """What came, of all subscribers of the process."""

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.joined = 0
        self.gone = 0
        self.errors: Counter[str] = Counter()
        self.at: Counter[tuple[int, int]] = Counter()  # (revision, millisecond)

    def told(self) -> bytes:
        """Write it."""
        return orjson.dumps(
            {
                "messages": self.messages,
                "bytes": self.bytes,
                "gone": self.gone,
                "errors": self.errors,
                "at": [[revision, ms, count] for (revision, ms), count in self.at.items()],
                "cpu_s": time.process_time(),
            }
        )

    def forget(self) -> None:
        """Begin anew."""
        self.messages = self.bytes = self.gone = 0
        self.errors.clear()
        self.at.clear()


class Subscriber(asyncio.Protocol):
    """One connection with one subscription."""

    def __init__(self, arrivals: Arrivals, symbols: list[str], query: str) -> None:
        self.joined = asyncio.get_running_loop().create_future()
        self._arrivals = arrivals
        self._left = b""
        self._upgraded = False
        payload = {"query": query, "variables": {"symbols": symbols}}
        self._subscribe = orjson.dumps({"id": "1", "type": "subscribe", "payload": payload})
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(_UPGRADE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it."""
        self._arrivals.gone += 1
        if not self.joined.done():
            self.joined.set_exception(ConnectionError(f"not joined: {self._left[:300]!r}"))

    def data_received(self, data: bytes) -> None:
        """Take whole frames; keep what is left."""
        if self._left:
            data = self._left + data
        if not self._upgraded:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._left = data
                return
            assert self._transport is not None
            assert data.startswith(b"HTTP/1.1 101"), data
            self._upgraded = True
            init = masked(0x81, b'{"type":"connection_init"}')
            self._transport.write(init + masked(0x81, self._subscribe))
            data = data[end + 4 :]
        self._left = self._frames(data)

    def _frames(self, data: bytes) -> bytes:
        arrivals, at, size = self._arrivals, 0, len(data)
        now_ms = int(time.time() * 1000)
        while at + 2 <= size:
            length = data[at + 1]
            start = at + 2
            if length == 126:
                start = at + 4
                length = int.from_bytes(data[at + 2 : start], "big")
            elif length == 127:
                start = at + 10
                length = int.from_bytes(data[at + 2 : start], "big")
            end = start + length
            if end > size or start > size:
                break
            if data[at] == 0x81:
                place = data.find(_REVISION, start, end)
                if place >= 0:
                    place += 11
                    revision = int(data[place : data.index(b",", place)])
                    arrivals.at[revision, now_ms] += 1
                    arrivals.messages += 1
                    arrivals.bytes += length
                    if not self.joined.done():
                        self.joined.set_result(None)
                elif b'"type":"connection_ack"' not in data[start:end]:
                    arrivals.errors[data[start:end].decode()[:200]] += 1
            elif data[at] == 0x89 and self._transport is not None:
                self._transport.write(masked(0x8A, data[start:end]))
            at = end
        return data[at:]


def masked(head: int, body: bytes) -> bytes:
    """Make a client's frame; the mask is of zeros."""
    size = len(body)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([head]) + length + bytes(4) + body


async def main(port: int, count: int, symbols: list[str], query: str) -> None:
    """Subscribe, then do as the standard input says."""
    arrivals = Arrivals()
    room = asyncio.Semaphore(_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def join(place: int) -> None:
        own = symbols[place % len(symbols)].split("+")
        async with room:
            _, subscriber = await loop.create_connection(
                lambda: Subscriber(arrivals, own, query), "127.0.0.1", port
            )
            async with asyncio.timeout(30):
                await subscriber.joined

    began = time.monotonic()
    await asyncio.gather(*(join(place) for place in range(count)))
    _say(orjson.dumps({"joined": count, "seconds": time.monotonic() - began}))
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        if line.strip() == b"begin":
            arrivals.forget()
        _say(arrivals.told())


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(","), sys.argv[4]))
