"""Subscriptions as clients send them: checked one by one, shared where they ask alike."""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import (
    ASTValidationRule,
    DocumentNode,
    ExecutionResult,
    Executor,
    FieldNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    create_source_event_stream,
    execute,
    located_error,
    parse,
    specified_rules,
    validate,
)

from app.live.events import Event, Mark
from app.live.hub import Topic
from app.live.questions import Question
from graphql_schema.context import Context
from graphql_schema.errors import coded
from graphql_schema.live.feeds import Asked, Asking
from graphql_schema.live.writers import compiled
from graphql_schema.schema import Schema

# Of the texts of the documents that are remembered; parsed, they take some 100 times as much.
_MAX_REMEMBERED_CHARS = 256 << 10

Key = tuple[str, str | None, bytes]


class Refused(Exception):
    """The subscription has errors; they are as clients may see them."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """A checked subscription: whom it shares its events with, and how they are written."""

    key: Key
    question: Question
    after: Mark | None
    writer: Callable[[], Callable[[Event], bytes]]

    def topic(self) -> Topic:
        """Make its topic, which the first who asks so needs."""
        return Topic(self.question, self.writer())


class Operations:
    """Checks subscriptions against the schema; documents are parsed and validated once."""

    def __init__(
        self, schema: Schema, *, max_tokens: int, rules: Sequence[type[ASTValidationRule]]
    ) -> None:
        self._schema = schema
        self._max_tokens = max_tokens
        self._rules = [*specified_rules, *rules]
        self._documents: OrderedDict[str, DocumentNode | list[GraphQLError]] = OrderedDict()
        self._chars = 0

    def kind(self, query: str, name: str | None) -> OperationType | None:
        """Tell what an operation is; None where that is not to be said.

        Raises:
            Refused: the document cannot be parsed, or is not valid.
        """
        operation = _operation(self._document(query), name)
        return None if operation is None else operation.operation

    async def subscription(
        self,
        query: str,
        name: str | None,
        variables: Mapping[str, Any] | None,
        context: Context,
    ) -> Subscribed:
        """Check a subscription's arguments and give what it asks for.

        Raises:
            Refused: it cannot be run.
        """
        document = self._document(query)
        given = dict(variables or {})
        asking = context.for_operation(live=Asking())
        executor = Executor.build(
            self._schema._schema,
            document,
            context_value=asking,
            raw_variable_values=given,
            operation_name=name,
        )
        if isinstance(executor, list):
            raise Refused(coded(executor))
        asked = await _asked(executor)
        text = orjson.dumps(_shared(executor.operation, given), option=orjson.OPT_SORT_KEYS)

        def ordinary(event: Event) -> bytes:
            result = execute(
                self._schema._schema,
                document,
                root_value=event,
                variable_values=given,
                operation_name=name,
                context_value=context,
            )
            assert isinstance(result, ExecutionResult)
            payload: dict[str, Any] = {"data": result.data}
            if result.errors:
                payload["errors"] = [error.formatted for error in coded(result.errors)]
            return orjson.dumps(payload)

        def writer() -> Callable[[Event], bytes]:
            variables = executor.variable_values.coerced
            return compiled(document, executor.operation, variables) or ordinary

        return Subscribed(
            key=(query, name, text), question=asked.question, after=asked.after, writer=writer
        )

    def _document(self, query: str) -> DocumentNode:
        known = self._documents.get(query)
        if known is None:
            known = self._documents[query] = self._checked(query)
            self._chars += len(query) + 1
            while self._chars > _MAX_REMEMBERED_CHARS:
                oldest, _ = self._documents.popitem(last=False)
                self._chars -= len(oldest) + 1
        else:
            self._documents.move_to_end(query)
        if isinstance(known, list):
            raise Refused(known)
        return known

    def _checked(self, query: str) -> DocumentNode | list[GraphQLError]:
        try:
            document = parse(query, max_tokens=self._max_tokens)
        except GraphQLError as error:
            return coded([error])
        errors = validate(self._schema._schema, document, self._rules)
        return coded(errors) if errors else document


async def _asked(executor: Executor[Any]) -> Asked:
    """Run the resolver as far as its question: its arguments are checked then.

    Raises:
        Refused: they are not good.
    """
    stream = create_source_event_stream(executor)
    if inspect.isawaitable(stream):
        stream = await stream
    if isinstance(stream, ExecutionResult):
        raise Refused(coded(stream.errors or []))
    try:
        async for asked in stream:
            assert isinstance(asked, Asked)
            return asked
    except Exception as error:
        nodes = list(executor.operation.selection_set.selections)
        raise Refused(coded([located_error(error, nodes)])) from error
    raise AssertionError("a subscription asked for nothing")


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    chosen = [
        node
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
        and (name is None or (node.name is not None and node.name.value == name))
    ]
    return chosen[0] if len(chosen) == 1 else None


def _shared(operation: OperationDefinitionNode, given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the variables that tell subscribers apart: not the one that says where each goes on."""
    own = {
        argument.value.name.value
        for field in operation.selection_set.selections
        if isinstance(field, FieldNode)
        for argument in field.arguments or ()
        if argument.name.value == "after" and isinstance(argument.value, VariableNode)
    }
    return {name: value for name, value in given.items() if name not in own}
