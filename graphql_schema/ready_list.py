"""Lists of numbers that are already what the answer shows: passed on whole, not item by item.

graphql-core asks of each item whether it is awaitable, an error, null, and a number: 40,000
numbers of a matrix take it 140 ms, and 2 ms to write. A list made here of an array has only plain
finite numbers, and None for NaN, so that there is nothing left to ask. The schema still says what
they are, and a test holds that both ways give the same.
"""

from collections.abc import AsyncIterable, Iterable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from graphql import GraphQLList, GraphQLOutputType, GraphQLResolveInfo
from graphql.pyutils import AwaitableOrValue
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

T = TypeVar("T")


class ReadyList(list[T]):
    """Numbers, or lists of numbers, as JSON has them."""


def ready_numbers(array: npt.NDArray[np.float64]) -> ReadyList[Any]:
    """Make a list, or a list of lists, of an array; None where there is no finite number."""
    finite = np.isfinite(array)
    if finite.all():
        return ReadyList(array.tolist())
    mixed = array.astype(object)
    mixed[~finite] = None
    return ReadyList(mixed.tolist())


def ready_integers(array: npt.NDArray[np.int64]) -> ReadyList[Any]:
    """Make a list, or a list of lists, of an array of whole numbers."""
    return ReadyList(array.tolist())


class ReadyListExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes as strawberry does, but for lists that are ready."""

    def complete_list_value(
        self,
        return_type: GraphQLList[GraphQLOutputType],
        field_details_list: Any,
        info: GraphQLResolveInfo[Any],
        path: Any,
        result: AsyncIterable[Any] | Iterable[Any],
        position_context: Any,
    ) -> AwaitableOrValue[list[Any]]:
        """Pass a ready list on."""
        if type(result) is ReadyList:
            return result
        return super().complete_list_value(
            return_type, field_details_list, info, path, result, position_context
        )
