"""A client that speaks the wire protocol byte by byte, to say what no driver would."""

import select
import socket
import struct
from types import TracebackType

TIMEOUT_S = 30.0


def startup(**settings: str) -> bytes:
    fields = {"user": "postgres", "database": "postgres", **settings}
    body = b"".join(f"{name}\0{value}\0".encode() for name, value in fields.items()) + b"\0"
    return struct.pack("!ii", len(body) + 8, 196608) + body


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def query(sql: str) -> bytes:
    return message(b"Q", sql.encode() + b"\0")


def parse(name: str, sql: str) -> bytes:
    return message(b"P", name.encode() + b"\0" + sql.encode() + b"\0" + b"\0\0")


def bind(portal: str = "", name: str = "") -> bytes:
    return message(b"B", portal.encode() + b"\0" + name.encode() + b"\0" + b"\0\0" * 3)


EXECUTE = message(b"E", b"\0" + b"\0" * 4)
SYNC = message(b"S")
FLUSH = message(b"H")


class WireClient:
    """A connection whose every byte the test decides."""

    def __init__(self, socket_path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(socket_path)
        self._buffer = b""

    def __enter__(self) -> "WireClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def start(self, **settings: str) -> list[tuple[str, bytes]]:
        self.send(startup(**settings))
        return self.until("Z")

    def receive(self) -> tuple[str, bytes] | None:
        """The next message, or None at the end of the stream."""
        while len(self._buffer) < 5 or len(self._buffer) < self._length():
            chunk = self._socket.recv(65536)
            if not chunk:
                return None
            self._buffer += chunk
        length = self._length()
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return chr(taken[0]), taken[5:]

    def until(self, kind: str) -> list[tuple[str, bytes]]:
        """All messages up to the first of a kind, or to the end of the stream."""
        seen = []
        while (received := self.receive()) is not None:
            seen.append(received)
            if received[0] == kind:
                break
        return seen

    def raw(self, count: int) -> bytes:
        return self._socket.recv(count)

    def is_connected(self) -> bool:
        """Whether the server has not closed yet, without reading what it sent."""
        poll = select.poll()
        poll.register(self._socket, select.POLLHUP)
        return not poll.poll(10)

    def is_closed_by_server(self) -> bool:
        """Read to the end: true once the server has closed."""
        try:
            while self._socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True
        return True

    def _length(self) -> int:
        return 1 + int(struct.unpack("!i", self._buffer[1:5])[0])


def codes(messages: list[tuple[str, bytes]]) -> list[str]:
    """The SQLSTATEs of the errors among messages."""
    found = []
    for kind, body in messages:
        if kind == "E":
            fields = {part[:1]: part[1:] for part in body.split(b"\0") if part}
            found.append(fields[b"C"].decode())
    return found


def rows(messages: list[tuple[str, bytes]]) -> list[bytes]:
    """The first value of each row among messages."""
    return [body[6:] for kind, body in messages if kind == "D"]
