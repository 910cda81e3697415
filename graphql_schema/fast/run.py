"""Run a plan: load the instruments, read every candle field at once, join the bytes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import VariableValues

from app.errors import TickgraphError
from app.market.candle import LatestPrice
from app.market.instrument import Instrument
from app.query.answers import Basis
from app.query.cached_candles import cached_candles
from app.query.market import Subject
from app.query.trade_shapes import TradeTexts
from app.query.trades import read_trades
from app.query.window import window_of
from graphql_schema import ids
from graphql_schema.context import Context
from graphql_schema.fast.plan import Listed, Nested, Paged, Plain, Plan, Root
from graphql_schema.fast.selection import Unsupported
from graphql_schema.instrument import trades_asked

Entry = Plain | Nested | Listed | Paged


@dataclass(slots=True)
class Bases:
    """What an answer was made from; `kept` says that it may be remembered."""

    found: list[Basis] = field(default_factory=list)
    kept: bool = True

    def whole(self, instrument_id: int) -> None:
        """Say that any change of the instrument would change the answer."""
        self.found.append(Basis(instrument_id=instrument_id, first=None, end=None))


async def run(plan: Plan, variables: VariableValues, context: Context, bases: Bases) -> bytes:
    """Give the response as JSON text, and tell what it was made from.

    Raises:
        Unsupported: the answer has an error, which the ordinary path words.
    """
    roots = await asyncio.gather(*(_root(root, variables, context, bases) for root in plan.roots))
    pieces = [b'{"data":{']
    for number, own in enumerate(roots):
        pieces += [b",", *own] if number else own
    return b"".join([*pieces, b"}}"])


async def _root(
    root: Root, variables: VariableValues, context: Context, bases: Bases
) -> list[bytes]:
    """Give one root field in pieces: the response is joined once, its megabytes copied once."""
    if root.constant is not None or root.arguments is None:
        return [root.key, root.constant or b"null"]
    arguments = root.arguments(variables)
    symbols = arguments["symbols"] if root.many else [arguments["symbol"]]
    if len(symbols) > context.limits.max_symbols:
        raise Unsupported("too many symbols")
    rows = await context.loaders.instrument_by_symbol.load_many(symbols)
    bases.kept &= None not in rows  # an unknown symbol may become known by any batch
    known = list({row.instrument_id: row for row in rows if row is not None}.values())
    columns = await asyncio.gather(
        *(_column(entry, known, variables, context, bases) for entry in root.entries)
    )
    places = {row.instrument_id: place for place, row in enumerate(known)}
    pieces = [root.key, b"[" if root.many else b""]
    for number, row in enumerate(rows):
        pieces.append(b"," if number else b"")
        if row is None:
            pieces.append(b"null")
            continue
        opening = b"{"
        for entry, column in zip(root.entries, columns, strict=True):
            pieces += [opening, entry.key, column[places[row.instrument_id]]]
            opening = b","
        pieces.append(b"}" if root.entries else b"{}")
    return [*pieces, b"]"] if root.many else pieces


async def _column(
    entry: Entry,
    rows: Sequence[Instrument],
    variables: VariableValues,
    context: Context,
    bases: Bases,
) -> list[bytes]:
    """Give one field of every instrument."""
    if isinstance(entry, Listed):
        return await _candles(entry, rows, variables, context, bases)
    if not isinstance(entry, Plain) or entry.changes:
        for row in rows:
            bases.whole(row.instrument_id)
    if isinstance(entry, Plain):
        return [entry.write(row) for row in rows]
    if isinstance(entry, Paged):
        return await _trades(entry, rows, variables, context)
    if entry.what is LatestPrice:
        keys = [row.instrument_id for row in rows]
        found: Sequence[Any] = await context.loaders.latest.load_many(keys)
    else:
        found = await context.loaders.exchange.load_many([row.exchange for row in rows])
    return [_nested(entry, each) for each in found]


async def _candles(
    entry: Listed,
    rows: Sequence[Instrument],
    variables: VariableValues,
    context: Context,
    bases: Bases,
) -> list[bytes]:
    arguments = entry.arguments(variables)
    window = window_of(
        arguments.get("from"), arguments.get("to"), arguments.get("last"), context.limits.max_points
    )
    subjects = [
        Subject(instrument_id=row.instrument_id, symbol=row.symbol, exchange=row.exchange)
        for row in rows
    ]
    written = []
    for answer in await cached_candles(
        context.market, subjects, arguments["interval"], window, entry.shape
    ):
        if isinstance(answer, TickgraphError):
            raise Unsupported(answer.code) from answer
        written.append(answer.value)
        bases.found.append(answer.basis)
    return written


async def _trades(
    entry: Paged, rows: Sequence[Instrument], variables: VariableValues, context: Context
) -> list[bytes]:
    arguments = entry.arguments(variables)
    after = arguments.get("after")
    page = trades_asked(
        arguments.get("from"),
        arguments.get("to"),
        arguments.get("first"),
        after,
        context.limits.max_points,
    )
    written = []
    ids_ = [row.instrument_id for row in rows]
    for texts in await read_trades(context.market, ids_, page, entry.shape) if ids_ else ():
        parts = []
        for key, what in entry.parts:
            if isinstance(what, bytes):
                parts.append(key + what)
            elif isinstance(what, int):
                parts.append(key + texts.edges[what])
            else:
                parts.append(key + _page_info(what, texts, has_previous=after is not None))
        written.append(b"{" + b",".join(parts) + b"}")
    return written


def _page_info(
    fields: tuple[tuple[bytes, str], ...], texts: TradeTexts, *, has_previous: bool
) -> bytes:
    values: dict[str, object] = {
        "": "PageInfo",
        "hasNextPage": texts.has_next,
        "hasPreviousPage": has_previous,
        "startCursor": texts.first_key and ids.encode(ids.TRADE, texts.first_key),
        "endCursor": texts.last_key and ids.encode(ids.TRADE, texts.last_key),
    }
    return b"{" + b",".join([key + orjson.dumps(values[name]) for key, name in fields]) + b"}"


def _nested(entry: Nested, row: object) -> bytes:
    if row is None:
        return b"null"
    return b"{" + b",".join([each.key + each.write(row) for each in entry.fields]) + b"}"
