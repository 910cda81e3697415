"""HTTP messages read and written with nothing made that they do not need."""

from functools import lru_cache

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from graphql_schema.media_types import preferred_media_type

_MAX_TYPES = 100


class BodyTooLarge(Exception):
    """The request's body is larger than allowed."""


class Json:
    """An answer that is bytes already: two messages, and nothing made that they do not need."""

    __slots__ = ("_body", "_content_type")

    def __init__(self, body: bytes, content_type: bytes) -> None:
        self._body, self._content_type = body, content_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        length = b"%d" % len(self._body)
        headers = [(b"content-length", length), (b"content-type", self._content_type)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})


def headers_of(scope: Scope) -> tuple[str, str]:
    """Give what the client accepts, and the type of its body, in one pass over the headers."""
    accept, body_type = b"", b""
    for name, value in scope["headers"]:
        if name == b"accept":
            accept = accept + b"," + value if accept else value
        elif name == b"content-type" and not body_type:
            body_type = value
    return accept.decode("latin-1"), body_type.decode("latin-1")


@lru_cache(maxsize=_MAX_TYPES)
def content_type(accept: str) -> bytes:
    """Give the Content-Type of an answer to who accepts this."""
    return f"{preferred_media_type(accept)}; charset=utf-8".encode()


async def body_of(receive: Receive, max_bytes: int) -> bytes:
    """Read a request's body, unless it grows too large."""
    pieces, left = [], max_bytes
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        left -= len(pieces[-1])
        if left < 0:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return b"".join(pieces)


def again(body: bytes, receive: Receive) -> Receive:
    """Receive a body that has been read already, and then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received
