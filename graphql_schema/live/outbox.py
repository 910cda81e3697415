"""Write frames of events to one WebSocket: at once where it takes them, in order where not.

Events go past the server's send, straight to the transport: a text frame of bytes that are ready is
a header and a copy, 5 times cheaper than a message through the protocol's layers, and thousands go
out a second. Where the server shows no transport, they go the ordinary way.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from app.errors import SlowConsumer
from app.live.events import Mark
from app.live.hub import Frame
from app.live.mailbox import Mailbox

# What may lie in the transport before a socket counts as slow, and how long it may stay so.
HIGH_WATER = 128 << 10
STALLED_S = 6.0
# What the kernel keeps for a socket: it would take megabytes, and be long in telling of a client
# that has stopped reading.
_KERNEL_BYTES = 128 << 10
_LOOK_S = 0.05


class Wire(Protocol):
    """What is needed of the server's side of a socket."""

    transport: asyncio.WriteTransport
    close_sent: bool


def bound_kernel(wire: Wire) -> None:
    """Let the kernel keep little for a socket that events are written to."""
    own = wire.transport.get_extra_info("socket")
    if own is not None:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BYTES)


class Box:
    """One operation's events on their way to a socket."""

    def __init__(
        self, head: bytes, on_slow: Callable[[SlowConsumer], None], after: Mark | None
    ) -> None:
        self.head = head
        self.mailbox = Mailbox(after)
        self.on_slow = on_slow


class Outbox:
    """All operations of one socket; nothing waits here while the socket takes what it is sent."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: dict[Box, None] = {}
        self._draining: asyncio.Task[None] | None = None

    def send(self, box: Box, frames: list[Frame]) -> None:
        """Write frames, or keep them until the socket takes more."""
        transport = self._wire.transport
        if transport.is_closing() or self._wire.close_sent:
            return
        if not self._waiting and transport.get_write_buffer_size() < HIGH_WATER:
            head = box.head
            transport.write(b"".join([_text_frame(head, frame.body) for frame in frames]))
            if frames:
                box.mailbox.taken = frames[-1].mark
            return
        try:
            box.mailbox.put(frames)
        except SlowConsumer as error:
            self.forget(box)
            box.on_slow(error)
            return
        self._waiting[box] = None
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    def forget(self, box: Box) -> None:
        """Send nothing more of an operation."""
        self._waiting.pop(box, None)

    async def close(self) -> None:
        """Leave no task behind."""
        if self._draining is not None:
            self._draining.cancel()
            with suppress(asyncio.CancelledError):
                await self._draining

    async def _drain(self) -> None:
        """Write what waits as the socket takes it; end a socket that takes nothing for long."""
        transport, loop = self._wire.transport, asyncio.get_running_loop()
        moved, before = loop.time(), transport.get_write_buffer_size()
        try:
            while not transport.is_closing():
                size = transport.get_write_buffer_size()
                # Also what waits no more may lie here: nobody else looks whether it is taken.
                if not self._waiting and size < HIGH_WATER:
                    return
                if size < before or size < HIGH_WATER:
                    moved = loop.time()
                if loop.time() - moved > STALLED_S:
                    transport.abort()
                    return
                self._write_some()
                before = transport.get_write_buffer_size()
                await asyncio.sleep(_LOOK_S)
        finally:
            self._draining = None

    def _write_some(self) -> None:
        transport = self._wire.transport
        while self._waiting and transport.get_write_buffer_size() < HIGH_WATER:
            box = next(iter(self._waiting))
            transport.write(_text_frame(box.head, box.mailbox.take().body))
            del self._waiting[box]
            if len(box.mailbox):
                self._waiting[box] = None  # behind the others: each has its turn


def _text_frame(head: bytes, body: bytes) -> bytes:
    """Make a WebSocket text frame (RFC 6455) of a `next` message."""
    length = len(head) + len(body) + 1
    if length < 126:
        size = bytes((0x81, length))
    elif length < 1 << 16:
        size = b"\x81\x7e" + length.to_bytes(2, "big")
    else:
        size = b"\x81\x7f" + length.to_bytes(8, "big")
    return b"%b%b%b}" % (size, head, body)
