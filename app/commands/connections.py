"""Connections end when their peer takes nothing.

Uvicorn closes a connection by waiting until its peer has taken what is left. One that is there but
reads no more would keep its connection, and all that waits for it, for ever.
"""

from asyncio import TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_STALLED_S = 8.0  # in which a peer must take something
_FULL = 1 << 20  # bytes that a peer has not taken, behind which pings are not answered
_LAST_WORDS_S = 1.0  # in which it must take what is left


class HttpConnection(HttpToolsProtocol):
    """Lets go of a client that takes nothing of its response."""

    _looking: TimerHandle | None = None

    def pause_writing(self) -> None:
        """Begin to look: nothing more is written until there is room."""
        super().pause_writing()
        self._look_again(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """There is room: look no more."""
        super().resume_writing()
        self._look_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        self._look_no_more()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End; who does not take what is left is not waited for."""
        super().shutdown()
        if self._looking is not None:
            self._look_no_more()
            self._looking = self.loop.call_later(_LAST_WORDS_S, self.transport.abort)

    def _look_again(self, before: int) -> None:
        self._looking = self.loop.call_later(_STALLED_S, self._look, before)

    def _look(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._look_again(left)
        else:
            self.transport.abort()

    def _look_no_more(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None


class SocketConnection(WebSocketsSansIOProtocol):
    """Lets go of a peer that does not answer, or does not take the last of what it is sent."""

    def handle_ping(self) -> None:
        """Answer, unless the peer takes no answers: those would heap up."""
        if self.transport.get_write_buffer_size() > _FULL:
            self.conn.data_to_send()
        else:
            super().handle_ping()

    def keepalive_timeout(self) -> None:
        """Let go: it did not answer a ping."""
        super().keepalive_timeout()
        self._let_go(_LAST_WORDS_S)

    def shutdown(self) -> None:
        """End; who does not take what is left is not waited for."""
        super().shutdown()
        self._let_go(_LAST_WORDS_S)

    async def run_asgi(self) -> None:
        """Run the application on this socket; a socket does not outlive it by much."""
        await super().run_asgi()
        closing = 0.0 if self.close_timer is None else self.close_timeout
        self._let_go(closing + _LAST_WORDS_S)

    def _let_go(self, after_s: float) -> None:
        if not self.disconnected:
            self.loop.call_later(after_s, self.transport.abort)
