"""Put the schema together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import ASTValidationRule, GraphQLError, NoSchemaIntrospectionCustomRule
from strawberry.extensions import (
    AddValidationRules,
    MaxTokensLimiter,
    SchemaExtension,
    ValidationCache,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from graphql_schema.analytics.correlation import CorrelationQuery
from graphql_schema.analytics.indicators import IndicatorQueries
from graphql_schema.analytics.portfolio import PortfolioQuery
from graphql_schema.analytics.screens import ScreenQuery
from graphql_schema.context import FreshLoaders
from graphql_schema.depth import depth_rule
from graphql_schema.document import DocumentCache, NamedOperation
from graphql_schema.errors import CodedErrors
from graphql_schema.live.subscription import Subscription
from graphql_schema.mutation import Mutation
from graphql_schema.oversight import Oversight
from graphql_schema.query import Query
from graphql_schema.ready_list import ReadyListExecutor
from graphql_schema.scalars import SCALARS

_CACHED_DOCUMENTS = 1000


@strawberry.type(name="Query", description="Everything that can be asked.")
class RootQuery(Query, IndicatorQueries, CorrelationQuery, PortfolioQuery, ScreenQuery, Oversight):
    """The root fields, each where it belongs."""


class Schema(strawberry.Schema):
    """Strawberry's schema; errors are logged by CodedErrors, once, not again here."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLimits:
    """What a document may be."""

    max_tokens: int = 10_000
    max_depth: int = 20
    introspection: bool = True


def build_schema(limits: DocumentLimits | None = None) -> Schema:
    """Build the schema with its limits."""
    limits = limits or DocumentLimits()
    # Made once: the validation cache knows rules by identity.
    rules = document_rules(limits)
    extensions: list[type[SchemaExtension] | Callable[[], SchemaExtension]] = [
        CodedErrors,
        FreshLoaders,
        lambda: MaxTokensLimiter(max_token_count=limits.max_tokens),
        lambda: AddValidationRules(rules),
        lambda: DocumentCache(maxsize=_CACHED_DOCUMENTS),
        lambda: ValidationCache(maxsize=_CACHED_DOCUMENTS),
        NamedOperation,
    ]
    options: dict[str, Any] = {"scalar_map": SCALARS}
    return Schema(
        query=RootQuery,
        mutation=Mutation,
        subscription=Subscription,
        extensions=extensions,
        execution_context_class=ReadyListExecutor,
        config=StrawberryConfig(**options),
    )


def document_rules(limits: DocumentLimits) -> list[type[ASTValidationRule]]:
    """Give the validation rules beside those of GraphQL itself."""
    rules: list[type[ASTValidationRule]] = [depth_rule(limits.max_depth)]
    if not limits.introspection:
        rules.append(NoSchemaIntrospectionCustomRule)
    return rules
