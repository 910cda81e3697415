"""Remember what each document compiles to; answer requests from it where that is possible."""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    parse,
)
from graphql.execution.values import get_variable_values

from app.errors import TickgraphError
from app.query.market import Market
from graphql_schema.context import Context
from graphql_schema.fast.plan import Compiler, Given, Plan
from graphql_schema.fast.run import Bases, run
from graphql_schema.fast.selection import Selections, Unsupported, switches
from graphql_schema.schema import Schema

_MAX_DOCUMENTS = 1000
_MAX_PLANS = 16  # of one document, for different values of its @skip and @include variables
# What requests that come again mean, as those do whose answers have changed meanwhile.
_MAX_GIVEN, _MAX_GIVEN_BYTES = 500, 4096


class Document:
    """One operation of one document, and its plans by the values that switch its parts."""

    def __init__(self, schema: Schema, document: DocumentNode, name: str | None) -> None:
        self._schema = schema._schema
        self._operation = _operation(document, name)
        self._switches = sorted(switches(document))
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._plans: dict[tuple[bool | None, ...], Plan | None] = {}

    def given(self, variables: Mapping[str, Any]) -> Given:
        """Give the plan for these variables, and the variables as it takes them.

        Raises:
            Unsupported: the ordinary path must answer.
        """
        if not self._switches and self._plans.get((), self) is None:
            raise Unsupported("selection")  # whatever the variables are: megabytes of them, perhaps
        values = get_variable_values(
            self._schema, self._operation.variable_definitions or (), dict(variables)
        )
        if isinstance(values, list):
            raise Unsupported("variables")
        switched = tuple(values.coerced.get(name) for name in self._switches)
        if switched not in self._plans:
            plan = self._compile(dict(zip(self._switches, switched, strict=True)))
            if len(self._plans) == _MAX_PLANS:
                self._plans.clear()
            self._plans[switched] = plan
        known = self._plans[switched]
        if known is None:
            raise Unsupported("selection")
        return Given(known, values)

    def _compile(self, flags: Mapping[str, bool | None]) -> Plan | None:
        if None in flags.values():
            return None  # an error that the ordinary path words
        selections = Selections(self._fragments, flags)
        grouped: dict[str, Any] = {}
        try:
            selections.add(self._operation.selection_set, frozenset({"Query"}), grouped, set())
            return Compiler(schema=self._schema, selections=selections).plan(grouped)
        except Unsupported:
            return None


class FastDocuments:
    """Answers requests fast where that is possible; `outcomes` counts what became of them."""

    def __init__(self, schema: Schema, market: Market) -> None:
        self._schema = schema
        self._market = market
        self._documents: OrderedDict[tuple[str, str | None], Document | None] = OrderedDict()
        self._given: OrderedDict[bytes, Given] = OrderedDict()
        self.outcomes: Counter[str] = Counter()

    async def remembered(self, request: bytes) -> bytes | None:
        """Give the response that is remembered for a request's very bytes, while it holds."""
        responses, ledger = self._market.responses, self._market.ledger
        kept = responses.peek(request)
        if kept is None:
            return None
        if not ledger.holds(kept.instrument_ids):
            confirmed = await ledger.confirm(kept.instrument_ids)
            if not confirmed or responses.peek(request) is not kept:
                return None
        self.outcomes["cached"] += 1
        return kept.body

    async def respond(self, request: bytes, context: Context) -> bytes | None:
        """Give the response to a request's JSON body; None where the ordinary path must answer.

        Loads that fail are noted in the context, for that path to tell without another try.
        """
        stamp, bases = self._market.responses.stamp(), Bases()
        try:
            given = self._given.get(request) or self._give(request)
            if given is None:
                return None
            self._remember(request, given)
            response = await run(given, context, bases)
        except (Unsupported, TickgraphError, GraphQLError):
            self.outcomes["fallback"] += 1
            return None
        self.outcomes["fast"] += 1
        if bases.kept and bases.found:
            self._market.responses.keep(request, response, bases.found, stamp)
        return response

    def _give(self, request: bytes) -> Given | None:
        """Read a request; None where its document is not known.

        Raises:
            Unsupported: the ordinary path must answer.
        """
        asked = _read(request)
        if asked is None:
            return None
        query, name, variables = asked
        document = self._documents.get((query, name))
        if document is None:
            self.outcomes["unknown"] += 1
            return None
        self._documents.move_to_end((query, name))
        return document.given(variables)

    def _remember(self, request: bytes, given: Given) -> None:
        if len(request) <= _MAX_GIVEN_BYTES:
            self._given[request] = given
            self._given.move_to_end(request)
        if len(self._given) > _MAX_GIVEN:
            self._given.popitem(last=False)

    def learn(self, query: str, name: str | None) -> None:
        """Remember a document that the ordinary path has found valid and within the limits."""
        if (query, name) in self._documents:
            return
        try:
            self._documents[query, name] = Document(self._schema, parse(query), name)
        except Unsupported:
            self._documents[query, name] = None
        while len(self._documents) > _MAX_DOCUMENTS:
            self._documents.popitem(last=False)


def _read(request: bytes) -> tuple[str, str | None, Mapping[str, Any]] | None:
    """Give query, operation name and variables; None where they are not plainly so."""
    try:
        asked = orjson.loads(request)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(asked, dict):
        return None
    query, name, variables = (asked.get(key) for key in ("query", "operationName", "variables"))
    if not isinstance(query, str) or not isinstance(name, str | None):
        return None
    if not isinstance(variables, dict | None) or asked.get("extensions") not in (None, {}):
        return None
    return query, name, variables or {}


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [
        node for node in document.definitions if isinstance(node, OperationDefinitionNode)
    ]
    chosen = [
        node for node in operations if name is None or (node.name and node.name.value == name)
    ]
    if len(chosen) != 1 or chosen[0].operation is not OperationType.QUERY or chosen[0].directives:
        raise Unsupported("operation")
    return chosen[0]
