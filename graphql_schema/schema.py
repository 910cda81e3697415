"""Put the schema together."""

from collections.abc import Callable
from typing import Any

import strawberry
from graphql import ASTValidationRule, GraphQLError
from strawberry.extensions import (
    AddValidationRules,
    DisableIntrospection,
    MaxTokensLimiter,
    SchemaExtension,
    ValidationCache,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from graphql_schema.context import FreshLoaders
from graphql_schema.depth import depth_rule
from graphql_schema.document import DocumentCache, NamedOperation
from graphql_schema.errors import CodedErrors
from graphql_schema.query import Query
from graphql_schema.scalars import SCALARS

_CACHED_DOCUMENTS = 1000


class Schema(strawberry.Schema):
    """Strawberry's schema; errors are logged by CodedErrors, once, not again here."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log nothing."""


def build_schema(
    *, max_tokens: int = 10_000, max_depth: int = 20, introspection: bool = True
) -> Schema:
    """Build the schema with its limits."""
    # Made once: the validation cache knows rules by identity.
    rules: list[type[ASTValidationRule]] = [depth_rule(max_depth)]
    extensions: list[type[SchemaExtension] | Callable[[], SchemaExtension]] = [
        CodedErrors,
        FreshLoaders,
        lambda: MaxTokensLimiter(max_token_count=max_tokens),
        lambda: AddValidationRules(rules),
        lambda: DocumentCache(maxsize=_CACHED_DOCUMENTS),
        lambda: ValidationCache(maxsize=_CACHED_DOCUMENTS),
        NamedOperation,
    ]
    if not introspection:
        extensions.append(DisableIntrospection)
    options: dict[str, Any] = {"scalar_map": SCALARS}
    return Schema(query=Query, extensions=extensions, config=StrawberryConfig(**options))
