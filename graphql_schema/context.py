"""What resolvers reach: the services of the process, and loaders of this one operation."""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import strawberry
from strawberry.extensions import SchemaExtension

from app.errors import TickgraphError
from app.ingestion.intake import Intake
from app.query.market import Market
from app.storage.reader import Reader
from graphql_schema.live.feeds import Feed
from graphql_schema.loaders import Loaders


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one document may ask for."""

    max_points: int
    max_symbols: int


@dataclass(slots=True, kw_only=True)
class Context:
    """Shared by all operations of a process, but for what follows `live`.

    `live` gives subscriptions their events, `actor` is who asks, and `failures` are the loads that
    the fast path has tried in vain, for the ordinary path to word.
    """

    market: Market
    limits: Limits
    embedded: bool
    intake: Intake
    live: Feed
    actor: str = "graphql"
    failures: dict[Hashable, TickgraphError] = field(default_factory=dict)
    loaders: Loaders = field(init=False)

    def __post_init__(self) -> None:
        """Begin with loaders that have loaded nothing."""
        self.loaders = Loaders(self.market, self.failures)

    @property
    def reader(self) -> Reader:
        """The pool that every read goes through."""
        return self.market.reader

    @contextmanager
    def noting(self, key: Hashable) -> Iterator[None]:
        """Note it if a load, by the name of its loader, fails."""
        try:
            yield
        except TickgraphError as error:
            self.failures[key] = error
            raise

    def for_operation(self, *, actor: str | None = None, live: Feed | None = None) -> "Context":
        """Give the same services with fresh loaders, for somebody, with another feed."""
        return Context(
            market=self.market,
            limits=self.limits,
            embedded=self.embedded,
            intake=self.intake,
            live=live or self.live,
            actor=actor or self.actor,
            failures=self.failures.copy(),
        )


Info = strawberry.Info[Context, None]


class FreshLoaders(SchemaExtension):
    """Gives each operation its own loaders: a WebSocket's context lives as long as the socket."""

    def on_operation(self) -> Iterator[None]:
        """Replace the context before anything is resolved."""
        self.execution_context.context = self.execution_context.context.for_operation()
        yield
