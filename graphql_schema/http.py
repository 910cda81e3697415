"""GraphQL over HTTP as its specification says, on top of strawberry's view.

What strawberry 0.341 leaves open: the answer's media type follows `Accept`, a document that never
ran is a 400 in `application/graphql-response+json`, and every refusal is JSON with a code.
"""

from datetime import timedelta
from typing import Any, cast

import orjson
from cross_web import AsyncHTTPRequestAdapter, HTTPException, StarletteRequestAdapter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.http.base import BaseRequestProtocol
from strawberry.http.types import QueryParams
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult

from app.query.market import Market
from graphql_schema.context import Context
from graphql_schema.fast.documents import FastDocuments
from graphql_schema.media_types import (
    PLAIN_JSON,
    RESPONSE_JSON,
    media_type_of,
    preferred_media_type,
)
from graphql_schema.schema import Schema
from graphql_schema.websocket import TextSocket

_INIT_TIMEOUT = timedelta(seconds=10)


class BodyTooLarge(Exception):
    """The request's body is larger than allowed."""


class AnyCase(StarletteRequestAdapter):
    """Media types are equal in any case."""

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return media_type_of(self.headers.get("content-type", ""))


class GraphQLView(GraphQL[Context, None]):
    """The /graphql endpoint for queries over HTTP and operations over WebSocket."""

    request_adapter_class = AnyCase
    websocket_adapter_class = TextSocket

    def __init__(self, schema: Schema, context: Context, *, max_body_bytes: int) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=_INIT_TIMEOUT,
        )
        self._context = context
        self._max_body_bytes = max_body_bytes
        self.fast = FastDocuments(schema, context.market)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; refusals are JSON."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        request = Request(scope, _bounded(receive, self._max_body_bytes))
        try:
            response = await self._fast(request) or await self.run(request)
        except BodyTooLarge:
            words = f"the request body is larger than {self._max_body_bytes} bytes"
            response = refusal(413, "BODY_TOO_LARGE", words)
        except HTTPException as error:
            response = _refused(error, request.method)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    @property
    def market(self) -> Market:
        """What the answers are read through."""
        return self._context.market

    async def _fast(self, request: Request) -> Response | None:
        """Answer a document that has been valid before; None leaves it to the ordinary path."""
        body_type = media_type_of(request.headers.get("content-type", ""))
        if request.method != "POST" or body_type != PLAIN_JSON:
            return None
        body = await self.fast.respond(await request.body(), self._context.for_operation())
        if body is None:
            return None
        media_type = preferred_media_type(request.headers.getlist("accept"))
        return Response(body, headers={"content-type": f"{media_type}; charset=utf-8"})

    async def execute_single(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Run a document the ordinary way, and learn it for the next time if it is valid."""
        result = await super().execute_single(*args, **kwargs)
        data: GraphQLRequestData = kwargs["request_data"]
        if data.query is not None and all(error.path for error in result.errors or ()):
            self.fast.learn(data.query, data.operation_name)
        return result

    def should_render_graphql_ide(self, request: BaseRequestProtocol) -> bool:
        """Leave pages to app.web: a GET without a query is a bad request, not a missing page."""
        return False

    async def parse_http_body(
        self, request: AsyncHTTPRequestAdapter
    ) -> GraphQLRequestData | list[GraphQLRequestData]:
        """Read the parameters of a request."""
        if request.method == "POST":
            if request.content_type != PLAIN_JSON:
                raise HTTPException(415, f"the request body must be {PLAIN_JSON}")
            body = await request.get_body()
            if body.lstrip()[:1] not in {b"{", b"["}:
                raise HTTPException(400, "the request body is no JSON object")
        return await super().parse_http_body(request)

    def parse_query_params(self, params: QueryParams) -> dict[str, Any]:
        """Read the parameters of a GET; an empty one is as good as none."""
        given = {name: value for name, value in params.items() if value}
        return super().parse_query_params(cast(QueryParams, given))

    def decode_json(self, data: str | bytes) -> object:
        """Read JSON."""
        return orjson.loads(data)

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


def refusal(status: int, code: str, message: str, *, allow: str | None = None) -> Response:
    """Refuse a request in the shape of a GraphQL error; `allow` names the methods of a 405."""
    body: dict[str, Any] = {"errors": [{"message": message, "extensions": {"code": code}}]}
    headers = None if allow is None else {"Allow": allow}
    return Response(orjson.dumps(body), status_code=status, headers=headers, media_type=PLAIN_JSON)


def _refused(error: HTTPException, method: str) -> Response:
    cause = error.__cause__
    if isinstance(cause, InvalidOperationTypeError) and method == "GET":
        return refusal(405, "METHOD_NOT_ALLOWED", error.reason, allow="POST")
    if error.status_code == 405:
        return refusal(405, "METHOD_NOT_ALLOWED", error.reason, allow="GET, POST")
    words = error.reason
    if isinstance(cause, CannotGetOperationTypeError):
        words = f"the document has no operation named {cause.operation_name!r}"
        if cause.operation_name is None:
            words = "the document has not one operation: name which in `operationName`"
    code = "UNSUPPORTED_MEDIA_TYPE" if error.status_code == 415 else "BAD_REQUEST"
    return refusal(error.status_code, code, words)


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
