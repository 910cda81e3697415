"""GraphQL over HTTP as its specification says, on top of strawberry's view.

What strawberry 0.341 leaves open: the answer's media type follows `Accept`, a document that never
ran is a 400 in `application/graphql-response+json`, and every refusal is JSON with a code.
"""

from datetime import timedelta
from typing import Any, cast

import orjson
from cross_web import AsyncHTTPRequestAdapter, HTTPException, StarletteRequestAdapter
from graphql import OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
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
from graphql_schema.live.endpoint import Live
from graphql_schema.live.operations import Refused
from graphql_schema.live.socket import LiveSocket
from graphql_schema.live.sse import EVENT_STREAM, EventStream, OneResult
from graphql_schema.media_types import (
    PLAIN_JSON,
    RESPONSE_JSON,
    media_type_of,
    preferred_media_type,
)
from graphql_schema.messages import BodyTooLarge, Json, again, body_of, content_type, headers_of
from graphql_schema.schema import Schema
from graphql_schema.websocket import TextSocket

_INIT_TIMEOUT = timedelta(seconds=10)


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
    graphql_transport_ws_handler_class = LiveSocket

    def __init__(
        self,
        schema: Schema,
        context: Context,
        live: Live,
        *,
        max_body_bytes: int,
        max_socket_operations: int,
    ) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=_INIT_TIMEOUT,
            max_subscriptions_per_connection=max_socket_operations,
        )
        self.live = live
        self._context = context
        self._max_body_bytes = max_body_bytes
        self.fast = FastDocuments(schema, context.market)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; refusals are JSON."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        try:
            response = await self._answer(scope, receive)
        except BodyTooLarge:
            words = f"the request body is larger than {self._max_body_bytes} bytes"
            response = refusal(413, "BODY_TOO_LARGE", words)
        except HTTPException as error:
            response = _refused(error, scope["method"])
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    @property
    def market(self) -> Market:
        """What the answers are read through."""
        return self._context.market

    async def _answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        """Answer a document that has been valid before fast, all others the ordinary way."""
        accept, body_type = headers_of(scope)
        if EVENT_STREAM in accept:
            return await self._stream(scope, receive)
        if scope["method"] != "POST" or media_type_of(body_type) != PLAIN_JSON:
            return await self.run(Request(scope, receive))
        asked = await body_of(receive, self._max_body_bytes)
        body = await self.fast.remembered(asked)
        if body is None:
            context = self._context.for_operation(actor=_actor(scope))
            body = await self.fast.respond(asked, context)
            if body is None:
                return await self.run(Request(scope, again(asked, receive)), context)
        return Json(body, content_type(accept))

    async def _stream(self, scope: Scope, receive: Receive) -> ASGIApp:
        """Answer with server-sent events."""
        if scope["method"] == "POST":
            receive = again(await body_of(receive, self._max_body_bytes), receive)
        request = Request(scope, receive)
        context = self._context.for_operation(actor=_actor(scope))
        asked = await self.parse_http_body(self.request_adapter_class(request))
        if isinstance(asked, list) or asked.query is None:
            raise HTTPException(400, "a stream needs one `query`")
        operations, query, name = self.live.operations, asked.query, asked.operation_name
        try:
            if operations.kind(query, name) is not OperationType.SUBSCRIPTION:
                return OneResult(bytes((await self.run(request, context)).body))
            followed = await operations.subscription(query, name, asked.variables, context)
        except Refused as refused:
            errors = [error.formatted for error in refused.errors]
            return OneResult(self.encode_json({"errors": errors}))
        return EventStream(self.live.hub, followed, self.live.closing, receive)

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
        """Give a context for who asks; each operation gets its own loaders from it."""
        return self._context.for_operation(actor=_actor(request.scope))

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        """Begin the answer with the media type that the client prefers."""
        response = await super().get_sub_response(request)
        response.media_type = preferred_media_type(",".join(request.headers.getlist("accept")))
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


def _actor(scope: Scope) -> str:
    """Name who asks, for the audit trail: there are no accounts, so by address."""
    client = scope.get("client")
    return "graphql" if client is None else f"graphql:{client[0]}"
