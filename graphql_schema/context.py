"""What resolvers reach: the services of the process, and loaders of this one operation."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import strawberry
from strawberry.extensions import SchemaExtension

from app.query.market import Market
from app.storage.reader import Reader
from graphql_schema.loaders import Loaders


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one document may ask for."""

    max_points: int
    max_symbols: int


@dataclass(slots=True, kw_only=True)
class Context:
    """Shared by all operations of a process, but for `loaders`."""

    market: Market
    limits: Limits
    embedded: bool
    loaders: Loaders = field(init=False)

    def __post_init__(self) -> None:
        """Begin with loaders that have loaded nothing."""
        self.loaders = Loaders(self.market)

    @property
    def reader(self) -> Reader:
        """The pool that every read goes through."""
        return self.market.reader

    def for_operation(self) -> "Context":
        """Give the same services with fresh loaders."""
        return Context(
            market=self.market,
            limits=self.limits,
            embedded=self.embedded,
        )


Info = strawberry.Info[Context, None]


class FreshLoaders(SchemaExtension):
    """Gives each operation its own loaders: a WebSocket's context lives as long as the socket."""

    def on_operation(self) -> Iterator[None]:
        """Replace the context before anything is resolved."""
        self.execution_context.context = self.execution_context.context.for_operation()
        yield
