"""GraphQL over WebSocket: what strawberry's own adapter lacks for orjson."""

from collections.abc import Mapping

from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected


class TextSocket(ASGIWebSocketAdapter):
    """Sends text frames, as the graphql-transport-ws protocol says; bytes would be binary ones."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Write one message."""
        try:
            await self.ws.send_text(self.view.encode_json_string(message))
        except WebSocketDisconnect as error:
            raise WebSocketDisconnected from error
