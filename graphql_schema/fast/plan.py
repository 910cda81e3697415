"""Compile an operation into a plan: what to load, what to read, and the bytes between."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import FieldNode, GraphQLField, GraphQLObjectType, GraphQLSchema, VariableValues
from graphql.execution.values import get_argument_values

from app.market.candle import LatestPrice
from app.market.instrument import Exchange
from app.query.shapes import CANDLE_FIELDS, JsonColumns, JsonRows
from app.query.trade_shapes import Edges, TradeJson
from graphql_schema import ids
from graphql_schema.fast.charts import Arguments, Chart, is_computed, parts_of
from graphql_schema.fast.selection import Grouped, Selections, Unsupported

_ROOT = frozenset({"Query"})
_INSTRUMENT = frozenset({"Instrument", "Node"})
_CANDLE = frozenset({"Candle"})
_SERIES = frozenset({"CandleSeries"})
_CONNECTION = frozenset({"TradeConnection"})
_EDGE = frozenset({"TradeEdge"})
_TRADE = frozenset({"Trade"})
_PAGE_INFO = frozenset({"PageInfo"})

Write = Callable[[Any], bytes]

_PLAIN: dict[str, Write] = {
    "id": lambda row: _text(ids.encode("Instrument", row.instrument_id)),
    "symbol": lambda row: orjson.dumps(row.symbol),
    "name": lambda row: orjson.dumps(row.name),
    "assetClass": lambda row: _text(row.asset_class),
    "currency": lambda row: orjson.dumps(row.currency),
    "candleSource": lambda row: b"null" if row.candle_source is None else _text(row.candle_source),
    "simulated": lambda row: b"true" if row.simulated else b"false",
}
_EXCHANGE: dict[str, Write] = {
    "mic": lambda row: orjson.dumps(row.mic),
    "calendar": lambda row: orjson.dumps(row.calendar),
    "timezone": lambda row: orjson.dumps(row.timezone),
}
_LATEST: dict[str, Write] = {
    "time": lambda row: _text(row.time.isoformat()),
    "price": lambda row: _text(format(row.price, "f")),
    "size": lambda row: _text(format(row.size, "f")),
    "tradingDate": lambda row: _text(row.trading_date.isoformat()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A field of the instrument's own row, or a constant; `changes`: also when data come in."""

    key: bytes
    write: Write
    changes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """An object beside the instrument: its exchange or its latest price; null where absent."""

    key: bytes
    what: type[Exchange] | type[LatestPrice]
    fields: tuple[Plain, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Candles or a series, in the shape that the selection asks for."""

    key: bytes
    arguments: Arguments
    shape: JsonRows | JsonColumns


@dataclass(frozen=True, slots=True, kw_only=True)
class Paged:
    """A page of trades: (key, constant), (key, place of the edge list) or (key, page fields)."""

    key: bytes
    arguments: Arguments
    shape: TradeJson
    parts: tuple[tuple[bytes, bytes | int | tuple[tuple[bytes, str], ...]], ...]


Entry = Plain | Nested | Listed | Chart | Paged


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """One root field: an instrument, instruments, or a constant."""

    key: bytes
    constant: bytes | None = None
    many: bool = False
    arguments: Arguments | None = None
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An operation, ready to run."""

    roots: tuple[Root, ...]


class Given:
    """A plan and the variables of a request; its arguments are worked out once."""

    def __init__(self, plan: Plan, variables: VariableValues) -> None:
        self.plan = plan
        self._variables = variables
        self._arguments: dict[Arguments, dict[str, Any]] = {}

    def to(self, arguments: Arguments) -> dict[str, Any]:
        """Give the arguments of a field of the plan."""
        found = self._arguments.get(arguments)
        if found is None:
            found = self._arguments[arguments] = arguments(self._variables)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """Turns grouped selections into plans against one schema."""

    schema: GraphQLSchema
    selections: Selections

    def plan(self, grouped: Grouped) -> Plan:
        """Compile the root selection.

        Raises:
            Unsupported: something in it is for the ordinary path.
        """
        return Plan(roots=tuple(self._root(key, nodes) for key, nodes in grouped.items()))

    def _root(self, key: str, nodes: list[FieldNode]) -> Root:
        name = nodes[0].name.value
        if name == "__typename":
            return Root(key=_key(key), constant=b'"Query"')
        if name not in {"instrument", "instruments"}:
            raise Unsupported(name)
        return Root(
            key=_key(key),
            many=name == "instruments",
            arguments=self._arguments("Query", nodes[0]),
            entries=tuple(
                self._entry(own_key, own_nodes)
                for own_key, own_nodes in self.selections.of(nodes, _INSTRUMENT).items()
            ),
        )

    def _entry(self, key: str, nodes: list[FieldNode]) -> Entry:
        name = nodes[0].name.value
        if name == "__typename":
            return Plain(key=_key(key), write=lambda _: b'"Instrument"')
        if name in _PLAIN:
            changes = name == "candleSource"
            return Plain(key=_key(key), write=_PLAIN[name], changes=changes)
        if name == "exchange":
            return Nested(
                key=_key(key), what=Exchange, fields=self._plain("Exchange", nodes, _EXCHANGE)
            )
        if name == "latest":
            if nodes[0].arguments:
                raise Unsupported("adjust")
            fields = self._plain("LatestPrice", nodes, _LATEST)
            return Nested(key=_key(key), what=LatestPrice, fields=fields)
        if name == "candles":
            rows = JsonRows(self._leaves(nodes, _CANDLE, CANDLE_FIELDS))
            return Listed(
                key=_key(key), arguments=self._arguments("Instrument", nodes[0]), shape=rows
            )
        if name == "series":
            return self._series(key, nodes)
        if name == "trades":
            return self._paged(key, nodes)
        raise Unsupported(name)

    def _series(self, key: str, nodes: list[FieldNode]) -> Listed | Chart:
        arguments = self._arguments("Instrument", nodes[0])
        leaves = self._leaves(nodes, _SERIES)
        if is_computed(nodes[0], [name for _, name in leaves if name]):
            parts = parts_of(nodes, self.selections, self._arguments)
            return Chart(key=_key(key), arguments=arguments, parts=parts)
        return Listed(key=_key(key), arguments=arguments, shape=JsonColumns(leaves))

    def _paged(self, key: str, nodes: list[FieldNode]) -> Paged:
        lists: list[Edges] = []
        parts: list[tuple[bytes, bytes | int | tuple[tuple[bytes, str], ...]]] = []
        for own_key, own in self.selections.of(nodes, _CONNECTION).items():
            name = own[0].name.value
            if name == "edges":
                parts.append((_key(own_key), len(lists)))
                lists.append(self._edges(own))
            elif name == "pageInfo":
                fields = self._leaves(own, _PAGE_INFO)
                parts.append((_key(own_key), tuple((_key(each), what) for each, what in fields)))
            else:
                parts.append((_key(own_key), b'"TradeConnection"'))
        return Paged(
            key=_key(key),
            arguments=self._arguments("Instrument", nodes[0]),
            shape=TradeJson(lists=tuple(lists), cursor_kind=ids.TRADE),
            parts=tuple(parts),
        )

    def _edges(self, nodes: list[FieldNode]) -> Edges:
        fields: list[tuple[str, str | tuple[tuple[str, str], ...]]] = []
        for key, own in self.selections.of(nodes, _EDGE).items():
            name = own[0].name.value
            if name == "node":
                fields.append((key, self._leaves(own, _TRADE)))
            else:
                fields.append((key, "cursor" if name == "cursor" else ""))
        return Edges(fields=tuple(fields))

    def _plain(
        self, typename: str, nodes: list[FieldNode], known: dict[str, Write]
    ) -> tuple[Plain, ...]:
        fields = []
        for key, own in self.selections.of(nodes, frozenset({typename})).items():
            name = own[0].name.value
            constant = orjson.dumps(typename)
            write = known.get(name, lambda _, constant=constant: constant)
            if name not in known and name != "__typename":
                raise Unsupported(f"{typename}.{name}")
            fields.append(Plain(key=_key(key), write=write))
        return tuple(fields)

    def _leaves(
        self, nodes: list[FieldNode], types: frozenset[str], known: frozenset[str] | None = None
    ) -> tuple[tuple[str, str], ...]:
        """Give (response key, field) pairs; '' for __typename."""
        leaves = []
        for key, own in self.selections.of(nodes, types).items():
            name = own[0].name.value
            if known is not None and name not in known and name != "__typename":
                raise Unsupported(name)
            leaves.append((key, "" if name == "__typename" else name))
        return tuple(leaves)

    def _arguments(self, typename: str, node: FieldNode) -> Arguments:
        parent = self.schema.type_map[typename]
        assert isinstance(parent, GraphQLObjectType)
        definition: GraphQLField = parent.fields[node.name.value]

        def values(variables: VariableValues) -> dict[str, Any]:
            return get_argument_values(definition, node, variables)

        return values


def _key(name: str) -> bytes:
    return f'"{name}":'.encode()


def _text(plain: str) -> bytes:
    """Quote a text that needs no escapes."""
    return f'"{plain}"'.encode()
