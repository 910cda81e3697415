"""Server-sent events, as graphql-sse's distinct connections mode says: one operation a request."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import orjson
from graphql import GraphQLError
from starlette.types import Receive, Scope, Send

from app.errors import SlowConsumer, TickgraphError
from app.live.hub import Frame, Hub
from app.live.mailbox import Mailbox
from graphql_schema.errors import coded
from graphql_schema.live.operations import Subscribed

EVENT_STREAM = "text/event-stream"
_PING_S = 10.0
_STALLED_S = 8.0
_COMPLETE = b"event: complete\ndata:\n\n"
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class EventStream:
    """The response that follows a subscription until the client goes or the server closes."""

    def __init__(
        self, hub: Hub, asked: Subscribed, closing: asyncio.Event, receive: Receive
    ) -> None:
        self._hub = hub
        self._asked = asked
        self._closing = closing
        self._receive = receive
        self._mailbox = Mailbox(asked.after)
        self._woken = asyncio.Event()
        self._error: TickgraphError | None = None

    def add(self, frames: Sequence[Frame]) -> None:
        """Take what is new."""
        try:
            self._mailbox.put(frames)
        except SlowConsumer as error:
            self.fail(error)
        self._woken.set()

    def fail(self, error: TickgraphError) -> None:
        """End with an error."""
        self._error = self._error or error
        self._woken.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        asked = self._asked
        self._hub.join(asked.key, asked.topic, self, asked.after)
        watching = [
            asyncio.create_task(self._gone()),
            asyncio.create_task(self._closing.wait()),
        ]
        writing = asyncio.create_task(self._write(send))
        try:
            await asyncio.wait([writing, *watching], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(asked.key, self)
            for task in (writing, *watching):
                task.cancel()
            for task in (writing, *watching):
                with suppress(asyncio.CancelledError, TimeoutError, OSError):
                    await task
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(_STALLED_S):
                await send({"type": "http.response.body", "body": b""})

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await _sent(send, b":\n\n")
        while True:
            try:
                async with asyncio.timeout(_PING_S):
                    await self._woken.wait()
            except TimeoutError:
                await _sent(send, b":\n\n")
                continue
            self._woken.clear()
            while len(self._mailbox) and self._error is None:
                await _sent(send, _event(self._mailbox.take().body))
            if self._error is not None:
                error = GraphQLError(self._error.message, original_error=self._error)
                errors = [each.formatted for each in coded([error])]
                await _sent(send, _event(orjson.dumps({"errors": errors})) + _COMPLETE)
                return

    async def _gone(self) -> None:
        """Wait until the client goes; the request's body has been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


class OneResult:
    """The response to an operation that has one result, or errors: as events, too."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _event(self._body) + _COMPLETE})


async def _sent(send: Callable[[dict[str, object]], Awaitable[None]], body: bytes) -> None:
    """Send a piece; a client that takes nothing for long is let go."""
    async with asyncio.timeout(_STALLED_S):
        await send({"type": "http.response.body", "body": body, "more_body": True})


def _event(body: bytes) -> bytes:
    return b"event: next\ndata: %b\n\n" % body
