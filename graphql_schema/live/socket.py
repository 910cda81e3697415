"""graphql-transport-ws; the protocol's states are strawberry's, subscriptions are the hub's."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
from graphql import GraphQLError, OperationType
from starlette.types import Scope
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message, SubscribeMessage

from app.errors import TickgraphError, TooManyOperations
from app.live.events import Mark
from app.live.hub import Frame, Hub
from graphql_schema.context import Context
from graphql_schema.errors import coded
from graphql_schema.live.operations import Refused, Subscribed
from graphql_schema.live.outbox import Box, Outbox, Wire, bound_kernel

WIRE = "tickgraph.wire"
_MAX_ID = 255
_WHICH = "the document has not one operation of that name: name one in `operationName`"


class LiveSocket(BaseGraphQLTransportWSHandler[Context, None]):
    """One connection; each subscription joins the hub, all else runs as strawberry does it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._outbox: Outbox | None = None

    async def handle_message(self, message: Message) -> None:
        """Take a message; what is none closes the socket."""
        if _is_message(message):
            await super().handle_message(message)
        else:
            await self.handle_invalid_message("This is no message of graphql-transport-ws")

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Begin an operation, unless as many as may are open."""
        most, key = self.max_subscriptions_per_connection, message["id"]
        if (
            self.connection_acknowledged
            and most is not None
            and key not in self.operations
            and len(self.operations) >= most
        ):
            error = TooManyOperations(f"this connection has {most} operations: as many as may be")
            shown = coded([GraphQLError(error.message, original_error=error)])
            await self.send_message(
                {"id": key, "type": "error", "payload": [each.formatted for each in shown]}
            )
            return
        await super().handle_subscribe(message)

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """Run one operation to its end."""
        live, wire = self.view.live, self._wire()  # type: ignore[attr-defined]
        query, name = operation.query, operation.operation_name
        try:
            kind = live.operations.kind(query, name)
            if kind is None:
                raise Refused(coded([GraphQLError(_WHICH)]))
            if kind is not OperationType.SUBSCRIPTION or wire is None:
                await super().run_operation(operation)
                return
            asked = await live.operations.subscription(
                query, name, operation.variables, self.context
            )
        except Refused as refused:
            # Also a syntax error: it is one operation's, and not the socket's end.
            await operation.send_initial_errors(list(refused.errors))
            return
        if self._outbox is None:
            bound_kernel(wire)
            self._outbox = Outbox(wire)
        await self._follow(operation, asked, self._outbox, live.hub)

    async def shutdown(self) -> None:
        """Leave nothing behind."""
        await super().shutdown()
        if self._outbox is not None:
            await self._outbox.close()

    async def _follow(
        self,
        operation: Operation[Context, None],
        asked: Subscribed,
        outbox: Outbox,
        hub: Hub,
    ) -> None:
        member = _Member(outbox, operation.id, asked.after)
        hub.join(asked.key, asked.topic, member, asked.after)
        try:
            error = await member.ended
        finally:
            hub.leave(asked.key, member)
            outbox.forget(member.box)
        await operation.send_initial_errors(
            coded([GraphQLError(error.message, original_error=error)])
        )

    def _wire(self) -> Wire | None:
        """Give the server's side of the socket; None where it does not show it."""
        wire: Wire | None = self.websocket.ws.scope.get(WIRE)  # type: ignore[attr-defined]
        return wire


def _is_message(message: object) -> bool:
    """Tell whether a message has the shape that the protocol gives it."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return False
    if message["type"] not in {"subscribe", "complete"}:
        return True
    key, payload = message.get("id"), message.get("payload")
    if not isinstance(key, str) or not 0 < len(key) <= _MAX_ID:
        return False
    if message["type"] == "complete":
        return True
    return (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("variables"), dict | None)
        and isinstance(payload.get("operationName"), str | None)
    )


class _Member:
    """A subscription of a socket."""

    def __init__(self, outbox: Outbox, operation_id: str, after: Mark | None) -> None:
        self.ended: asyncio.Future[TickgraphError] = asyncio.get_running_loop().create_future()
        head = b'{"id":%b,"type":"next","payload":' % orjson.dumps(operation_id)
        self.box = Box(head, self.fail, after)
        self._outbox = outbox

    def add(self, frames: Sequence[Frame]) -> None:
        if not self.ended.done():
            self._outbox.send(self.box, list(frames))

    def fail(self, error: TickgraphError) -> None:
        if not self.ended.done():
            self.ended.set_result(error)


class WithWire:
    """Shows WebSocket endpoints the server's side of their socket, where the server has one."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass on, with the wire in the scope."""
        if scope["type"] == "websocket":
            scope[WIRE] = getattr(send, "__self__", None)
        await self._app(scope, receive, send)
