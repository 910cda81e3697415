"""Compile what a subscription selects into what writes its events: 20 times cheaper to run.

An event has no resolvers that could fail or wait, so that its JSON is a template with values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import DocumentNode, FieldNode, FragmentDefinitionNode, OperationDefinitionNode

from app.live.events import Event
from graphql_schema.fast.selection import Grouped, Selections, Unsupported, switches

Text = Callable[[Any], str]
Write = Callable[[Event], bytes]


@dataclass(frozen=True, slots=True)
class _Kind:
    """An object type: its plain fields, and the objects below it by field."""

    name: str
    fields: Mapping[str, Text]
    below: "Mapping[str, _Kind]"


def _text(value: str) -> str:
    return orjson.dumps(value).decode()


_MARKET: dict[str, Text] = {
    "time": lambda row: f'"{row.time.isoformat()}"',
    "price": lambda row: f'"{row.price:f}"',
    "size": lambda row: f'"{row.size:f}"',
    "tradingDate": lambda row: f'"{row.trading_date.isoformat()}"',
}
_CANDLE = _Kind(
    "Candle",
    {
        "time": _MARKET["time"],
        "open": lambda row: f'"{row.open:f}"',
        "high": lambda row: f'"{row.high:f}"',
        "low": lambda row: f'"{row.low:f}"',
        "close": lambda row: f'"{row.close:f}"',
        "volume": lambda row: f'"{row.volume:f}"',
        "vwap": lambda row: "null" if row.vwap is None else f'"{row.vwap:f}"',
        "trades": lambda row: str(row.trades),
        "revision": lambda row: str(row.revision),
        "final": lambda row: "true" if row.final else "false",
    },
    {},
)
_TRADE = _Kind(
    "Trade",
    {
        **_MARKET,
        "session": lambda row: f'"{row.session.name}"',
        "tradeId": lambda row: f'"{row.trade_id}"',
    },
    {},
)
_EVENT: dict[str, Text] = {
    "symbol": lambda event: _text(event.symbol),
    "revision": lambda event: str(event.revision),
    "cursor": lambda event: f'"{event.cursor}"',
}
_ROOTS = {
    "candles": _Kind("CandleEvent", {**_EVENT, "time": _MARKET["time"]}, {"candle": _CANDLE}),
    "trades": _Kind(
        "TradeEvent",
        {**_EVENT, "cancelled": lambda event: "true" if event.cancelled else "false"},
        {"trade": _TRADE},
    ),
    "latest": _Kind("LatestEvent", _EVENT, {"latest": _Kind("LatestPrice", _MARKET, {})}),
}


def compiled(
    document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> Write | None:
    """Give what writes an operation's events; None where the ordinary execution must.

    `variables` are the coerced ones.
    """
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    flags = {name: variables.get(name) for name in switches(document)}
    if None in flags.values():
        return None
    selections = Selections(fragments, flags)
    roots: Grouped = {}
    try:
        selections.add(operation.selection_set, frozenset({"Subscription"}), roots, set())
        if len(roots) != 1:
            return None
        ((key, nodes),) = roots.items()
        kind = _ROOTS.get(nodes[0].name.value)
        if kind is None:
            return None
        write = _object(kind, selections, nodes)
    except Unsupported:
        return None
    head, tail = f'{{"data":{{{_text(key)}:', "}}"
    return lambda event: f"{head}{write(event)}{tail}".encode()


def _object(kind: _Kind, selections: Selections, nodes: list[FieldNode]) -> Text:
    """Give what writes an object.

    Raises:
        Unsupported: it selects what is not known here.
    """
    template, values = [], []
    for key, own in selections.of(nodes, frozenset({kind.name})).items():
        name = own[0].name.value
        if name == "__typename":
            value = f'"{kind.name}"'
        else:
            value = "%s"
            values.append(_value(kind, selections, name, own))
        template.append(f"{_text(key).replace('%', '%%')}:{value}")
    text = f"{{{','.join(template)}}}"
    return lambda row: text % tuple([each(row) for each in values])


def _value(kind: _Kind, selections: Selections, name: str, nodes: list[FieldNode]) -> Text:
    below = kind.below.get(name)
    if below is None:
        if name not in kind.fields:
            raise Unsupported(name)
        return kind.fields[name]
    write = _object(below, selections, nodes)

    def nested(row: Any) -> str:
        value = getattr(row, name)
        return "null" if value is None else write(value)

    return nested
