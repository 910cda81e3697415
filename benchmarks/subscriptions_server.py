"""Tickgraph in a process of its own, with a page that tells what its hub has done.

Run as a program: `python -m benchmarks.subscriptions_server KIND PORT URL`; KIND is `ours`, or
`ordinary`: every subscriber is one execution of strawberry's, fed from the same hub.
"""

import cProfile
import sys
from collections import Counter
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.commands.serving import listen, serve
from app.main import create_app
from app.settings import Settings
from app.storage.reader import Row
from app.storage.snapshots import SnapshotReader
from graphql_schema.http import GraphQLView
from graphql_schema.live.outbox import Wire
from graphql_schema.live.socket import LiveSocket


class OrdinarySocket(LiveSocket):
    """Sees no wire, so that strawberry does all."""

    def _wire(self) -> Wire | None:
        return None


def build(url: str) -> Starlette:
    """Build the server."""
    statements: Counter[str] = Counter()
    plain = SnapshotReader.fetch

    async def fetch(reader: SnapshotReader, sql: str, *args: Any) -> list[Row]:
        statements["read"] += 1
        return await plain(reader, sql, *args)

    SnapshotReader.fetch = fetch  # type: ignore[method-assign, assignment]
    app = create_app(
        Settings(database_url=url),
        url,
        on_statement=lambda sql: statements.update(["read"]),
    )

    async def told(request: Request) -> Response:
        hub = app.state.view.live.hub
        return JSONResponse(
            {
                "members": hub.members,
                "topics": hub.topics,
                "steps": hub.counts["steps"],
                "sent": hub.counts["sent"],
                # A step's BEGIN and COMMIT are statements, too.
                "statements": statements["read"] + 2 * hub.counts["steps"],
            }
        )

    app.router.routes.append(Route("/hub", told))
    return app


def main() -> None:
    """Serve until told to stop."""
    kind, port, url, *profile = sys.argv[1:]
    if kind == "ordinary":
        GraphQLView.graphql_transport_ws_handler_class = OrdinarySocket
    app = build(url)
    listening = listen(Settings(port=int(port)))
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    serve(app, listening, "WARNING", lambda: None)
    if profile:
        profiler.dump_stats(profile[0])


if __name__ == "__main__":
    main()
