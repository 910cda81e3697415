"""What clients see of errors: expected ones with their code, the rest masked and logged once."""

import logging
import uuid
from collections.abc import Sequence

from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.extensions import MaskErrors
from strawberry.utils.str_converters import to_camel_case

from app.errors import DatabaseUnavailable, TickgraphError
from app.storage.faults import StatementFailed

_LOG = logging.getLogger("tickgraph.graphql")


class CodedErrors(MaskErrors):
    """Gives every error an `extensions.code`; unexpected ones lose their words and get an id."""

    def __init__(self) -> None:
        super().__init__()
        self._ids: dict[int, str] = {}

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """Show an error as clients may see it."""
        cause = _cause(error)
        if isinstance(cause, DatabaseUnavailable):
            if self._id_of(cause)[1]:
                _LOG.warning("no answer at %s: %s", error.path, cause.message)
            return _shown(error, public_message(cause), {"code": cause.code})
        if isinstance(cause, TickgraphError) and not isinstance(cause, StatementFailed):
            details = {to_camel_case(name): value for name, value in cause.details.items()}
            return _shown(error, error.message, {"code": cause.code, **details})
        if isinstance(cause, GraphQLSyntaxError):
            return _shown(error, error.message, {"code": "GRAPHQL_PARSE_FAILED"})
        if isinstance(cause, GraphQLError) and error.path is None:
            # Validation rules and variables: their words are about the client's own document.
            code = (error.extensions or {}).get("code", "GRAPHQL_VALIDATION_FAILED")
            return _shown(error, error.message, {"code": code})
        error_id, is_new = self._id_of(cause)
        if is_new:
            _LOG.error("unexpected error %s at %s", error_id, error.path, exc_info=cause)
        words = "The server failed to answer this; the log has more under the error's id."
        return _shown(error, words, {"code": "INTERNAL", "id": error_id})

    def _id_of(self, cause: Exception) -> tuple[str, bool]:
        """Give the id of a cause and whether it is new: many fields may fail from one cause."""
        is_new = id(cause) not in self._ids
        if is_new:
            self._ids[id(cause)] = uuid.uuid4().hex
        return self._ids[id(cause)], is_new


def coded(errors: Sequence[GraphQLError]) -> list[GraphQLError]:
    """Show errors as clients may see them, outside of an execution."""
    shown = CodedErrors()
    return [shown.anonymise_error(error) for error in errors]


def public_message(error: TickgraphError) -> str:
    """Give the words of an error without what its cause said: drivers name hosts and users."""
    return str(type(error)())


def _cause(error: GraphQLError) -> Exception:
    """Give what lies under an error; itself where it is GraphQL's own.

    graphql-core 3.3 wraps a scalar's error twice when it reads a variable.
    """
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _shown(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    return GraphQLError(
        message=message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
