"""What clients see of errors: expected ones with their code, the rest masked and logged once."""

import logging
import uuid

from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.extensions import MaskErrors

from app.errors import TickgraphError
from app.storage.faults import StatementFailed

_LOG = logging.getLogger("tickgraph.graphql")


class CodedErrors(MaskErrors):
    """Gives every error an `extensions.code`; unexpected ones lose their words and get an id."""

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """Show an error as clients may see it."""
        cause = error.original_error
        if isinstance(cause, TickgraphError) and not isinstance(cause, StatementFailed):
            return _shown(error, error.message, {"code": cause.code, **cause.details})
        if isinstance(error, GraphQLSyntaxError):
            return _shown(error, error.message, {"code": "GRAPHQL_PARSE_FAILED"})
        if cause is None and error.path is None:
            # Validation rules and variables: their words are about the client's own document.
            code = (error.extensions or {}).get("code", "GRAPHQL_VALIDATION_FAILED")
            return _shown(error, error.message, {"code": code})
        error_id = uuid.uuid4().hex
        _LOG.error("unexpected error %s at %s", error_id, error.path, exc_info=cause or error)
        words = "The server failed to answer this; the log has more under the error's id."
        return _shown(error, words, {"code": "INTERNAL", "id": error_id})


def _shown(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    return GraphQLError(
        message=message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
