"""What the endpoint needs to serve subscriptions."""

import asyncio
from dataclasses import dataclass, field

from app.live.hub import Hub
from graphql_schema.live.operations import Operations


@dataclass(slots=True, kw_only=True)
class Live:
    """The process's hub, the checks before it, and whether the server is about to end."""

    hub: Hub
    operations: Operations
    closing: asyncio.Event = field(default_factory=asyncio.Event)
