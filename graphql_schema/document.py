"""What happens to a document before it is validated: parsed once, one operation chosen."""

from collections.abc import Iterator
from contextlib import suppress

from graphql import GraphQLError, OperationDefinitionNode
from strawberry.extensions import ParserCache, SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError


class DocumentCache(ParserCache):
    """Keeps parsed documents; a syntax error is left to the ordinary parse.

    Strawberry 0.341 lets an error out of this hook past every extension, CodedErrors too.
    """

    def on_parse(self) -> Iterator[None]:
        """Give the document if it parses."""
        context = self.execution_context
        with suppress(GraphQLError):
            context.graphql_document = self.cached_parse_document(
                context.query, **context.parse_options
            )
        yield


class NamedOperation(SchemaExtension):
    """Refuses to guess which of several operations is meant; strawberry takes the first."""

    def on_validate(self) -> Iterator[None]:
        """Count the operations unless the request names one."""
        context = self.execution_context
        if context._provided_operation_name is None and context.graphql_document is not None:
            kinds = [type(node) for node in context.graphql_document.definitions]
            if kinds.count(OperationDefinitionNode) > 1:
                raise CannotGetOperationTypeError(None)
        yield
