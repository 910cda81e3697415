"""The schema that is served is the one that is committed, documented and promised."""

from pathlib import Path

import pytest
from graphql import (
    DocumentNode,
    FieldDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    parse,
    print_ast,
)

import graphql_schema
from graphql_schema.schema import build_schema

COMMITTED = Path(graphql_schema.__file__).with_name("schema.graphql")

# What tests outside the project rely on: docs/design, "GraphQL conventions".
CORE = """
type Query {
  instrument(symbol: String!): Instrument
  instruments(symbols: [String!]!): [Instrument]!
  searchInstruments(text: String, assetClass: AssetClass, exchange: String, first: Int = 50,
    after: String): InstrumentConnection!
  node(id: ID!): Node
  server: ServerInfo!
}
interface Node { id: ID! }
type Instrument implements Node {
  id: ID!
  symbol: String!
  name: String
  assetClass: AssetClass!
  exchange: Exchange!
  currency: String!
  candles(interval: Interval!, from: DateTime, to: DateTime, last: Int): [Candle!]!
  series(interval: Interval!, from: DateTime, to: DateTime, last: Int): CandleSeries!
  trades(from: DateTime, to: DateTime, first: Int = 100, after: String): TradeConnection!
  latest: LatestPrice
}
type Candle {
  time: DateTime!
  open: Decimal!
  high: Decimal!
  low: Decimal!
  close: Decimal!
  volume: Decimal!
  vwap: Decimal
  trades: Int!
  revision: Revision!
  final: Boolean!
}
type CandleSeries {
  time: [EpochMillis!]!
  open: [Float]!
  high: [Float]!
  low: [Float]!
  close: [Float]!
  volume: [Float!]!
}
type InstrumentConnection { edges: [InstrumentEdge!]! pageInfo: PageInfo! }
type InstrumentEdge { cursor: Cursor! node: Instrument! }
type TradeConnection { edges: [TradeEdge!]! pageInfo: PageInfo! }
type TradeEdge { cursor: Cursor! node: Trade! }
type PageInfo {
  hasNextPage: Boolean!
  hasPreviousPage: Boolean!
  startCursor: Cursor
  endCursor: Cursor
}
"""

Fields = dict[str, FieldDefinitionNode]


def fields_of(document: DocumentNode) -> Fields:
    """Give the fields of types and interfaces by `Type.field`."""
    return {
        f"{kind.name.value}.{field.name.value}": field
        for kind in document.definitions
        if isinstance(kind, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode)
        for field in kind.fields or ()
    }


CORE_FIELDS = fields_of(parse(CORE))
SERVED = parse(build_schema().as_str())
SERVED_FIELDS = fields_of(SERVED)


def test_committed_schema_is_the_served_one() -> None:
    assert COMMITTED.read_text() == build_schema().as_str() + "\n", "run `make schema`"


@pytest.mark.parametrize("name", CORE_FIELDS)
def test_core_field_has_its_type_and_arguments(name: str) -> None:
    promised, served = CORE_FIELDS[name], SERVED_FIELDS[name]
    assert print_ast(served.type) == print_ast(promised.type)
    arguments = {each.name.value: each for each in served.arguments or ()}
    for argument in promised.arguments or ():
        found = arguments.pop(argument.name.value)
        assert print_ast(found.type) == print_ast(argument.type)
        default = "null" if found.default_value is None else print_ast(found.default_value)
        wanted = "null" if argument.default_value is None else print_ast(argument.default_value)
        assert default == wanted
    # One that is not promised must be one that nobody has to give.
    assert not [each for each in arguments.values() if print_ast(each.type).endswith("!")]


def test_instrument_is_a_node() -> None:
    (instrument,) = (
        each
        for each in SERVED.definitions
        if isinstance(each, ObjectTypeDefinitionNode) and each.name.value == "Instrument"
    )
    assert [each.name.value for each in instrument.interfaces or ()] == ["Node"]


@pytest.mark.parametrize("name", SERVED_FIELDS)
def test_field_is_described(name: str) -> None:
    description = SERVED_FIELDS[name].description
    assert description is not None
    assert len(description.value) > 5


def test_types_are_described() -> None:
    bare = [
        each.name.value
        for each in SERVED.definitions
        if getattr(each, "description", None) is None and hasattr(each, "name")
    ]
    assert bare == []
