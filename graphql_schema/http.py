"""GraphQL over HTTP as its specification says, on top of strawberry's view.

What strawberry 0.341 leaves open: the answer's media type follows `Accept`, a document that never
ran is a 400 in `application/graphql-response+json`, and every refusal is JSON with a code.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from graphql_schema.context import Context
from graphql_schema.schema import Schema

RESPONSE_JSON = "application/graphql-response+json"
PLAIN_JSON = "application/json"
_INIT_TIMEOUT = timedelta(seconds=10)


class BodyTooLarge(Exception):
    """The request's body is larger than allowed."""


class GraphQLView(GraphQL[Context, None]):
    """The /graphql endpoint for queries over HTTP and operations over WebSocket."""

    def __init__(self, schema: Schema, context: Context, *, max_body_bytes: int) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=_INIT_TIMEOUT,
        )
        self._context = context
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; refusals are JSON."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        request = Request(scope, _bounded(receive, self._max_body_bytes))
        try:
            response = await self.run(request)
        except BodyTooLarge:
            words = f"the request body is larger than {self._max_body_bytes} bytes"
            response = refusal(413, "BODY_TOO_LARGE", words)
        except HTTPException as error:
            response = refusal(error.status_code, "BAD_REQUEST", error.reason or "Bad request")
            if error.status_code == 405:
                response.headers["Allow"] = "GET, POST"
        await response(scope, receive, send)

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        """Give the process's context; each operation gets its own loaders from it."""
        return self._context

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        """Begin the answer with the media type that the client prefers."""
        response = await super().get_sub_response(request)
        response.media_type = preferred_media_type(request.headers.getlist("accept"))
        return response

    def create_response(
        self,
        response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse],
        sub_response: Response,
    ) -> Response:
        """Write the answer; without data for a document that never ran."""
        status = sub_response.status_code or 200
        if isinstance(response_data, dict) and _never_ran(response_data):
            del response_data["data"]
            if sub_response.media_type == RESPONSE_JSON:
                status = 400
        return Response(
            self.encode_json(response_data),
            status_code=status,
            headers={"content-type": f"{sub_response.media_type}; charset=utf-8"},
        )

    def encode_json(self, data: object) -> bytes:
        """Write JSON."""
        return orjson.dumps(data)

    def decode_json(self, data: str | bytes) -> object:
        """Read JSON."""
        return orjson.loads(data)


def preferred_media_type(accept: Sequence[str]) -> str:
    """Choose between the two media types by quality, then order; `application/json` by default."""
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(",".join(accept).split(",")):
        name, _, parameters = part.strip().partition(";")
        known = {RESPONSE_JSON: RESPONSE_JSON, PLAIN_JSON: PLAIN_JSON}
        known |= {"*/*": PLAIN_JSON, "application/*": PLAIN_JSON}
        media_type = known.get(name.strip().lower())
        if media_type is not None:
            ranked.append((-_quality(parameters), place, media_type))
    return min(ranked)[2] if ranked else PLAIN_JSON


def refusal(status: int, code: str, message: str) -> Response:
    """Refuse a request in the shape of a GraphQL error."""
    body: dict[str, Any] = {"errors": [{"message": message, "extensions": {"code": code}}]}
    return Response(orjson.dumps(body), status_code=status, media_type=PLAIN_JSON)


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _never_ran(data: GraphQLHTTPResponse) -> bool:
    errors = data.get("errors")
    if data.get("data") is not None or not errors:
        return False
    return all(isinstance(error, dict) and "path" not in error for error in errors)


def _bounded(receive: Receive, max_bytes: int) -> Receive:
    """Stop reading a body that grows too large."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > max_bytes:
            raise BodyTooLarge
        return message

    return bounded
