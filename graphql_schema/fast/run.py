"""Run a plan: load the instruments, read every candle field at once, join the bytes."""

import asyncio
import itertools
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from app.errors import TickgraphError
from app.market.candle import LatestPrice
from app.market.candle_spec import Adjust
from app.market.instrument import Instrument
from app.query.answers import Basis
from app.query.cached_candles import cached_candles
from app.query.filling import Fill
from app.query.market import Subject
from app.query.series import Asked
from app.query.shapes import JsonColumns
from app.query.trade_shapes import TradeTexts
from app.query.trades import read_trades
from app.query.window import window_of
from graphql_schema import ids
from graphql_schema.candle_arguments import spec_of
from graphql_schema.context import Context
from graphql_schema.fast.charts import Chart, draw
from graphql_schema.fast.plan import Entry, Given, Listed, Nested, Paged, Plain, Root
from graphql_schema.fast.selection import Unsupported
from graphql_schema.instrument import trades_asked
from graphql_schema.loaders import BY_SYMBOL, EXCHANGE, LATEST, candles_key, series_key, trades_key

T = TypeVar("T")


@dataclass(slots=True)
class Bases:
    """What an answer was made from; `kept` says that it may be remembered."""

    found: list[Basis] = field(default_factory=list)
    kept: bool = True

    def whole(self, instrument_id: int) -> None:
        """Say that any change of the instrument would change the answer."""
        self.found.append(Basis(instrument_id=instrument_id, first=None, end=None))


async def run(given: Given, context: Context, bases: Bases) -> bytes:
    """Give the response as JSON text, and tell what it was made from.

    Raises:
        Unsupported, TickgraphError, GraphQLError: the answer has an error, which the ordinary path
            words; loads that failed are in the context's `failures`.
    """
    asked = [_symbols(root, given, context) for root in given.plan.roots]
    symbols = list(dict.fromkeys(itertools.chain.from_iterable(asked)))
    known: dict[str, Instrument] = {}
    if symbols:
        with context.noting(BY_SYMBOL):
            known = await context.market.instruments.by_symbols(symbols)
    roots = await _all(
        [
            _root(root, [known.get(symbol) for symbol in own], given, context, bases)
            for root, own in zip(given.plan.roots, asked, strict=True)
        ]
    )
    pieces = [b'{"data":{']
    for number, own in enumerate(roots):
        pieces += [b",", *own] if number else own
    return b"".join([*pieces, b"}}"])


async def _all(reads: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run reads at one time, all of them to their end: the others' failures are noted too."""
    if len(reads) < 2:
        return [await each for each in reads]
    found = await asyncio.gather(*reads, return_exceptions=True)
    values = []
    for each in found:
        if isinstance(each, BaseException):
            raise each
        values.append(each)
    return values


def _symbols(root: Root, given: Given, context: Context) -> list[str]:
    """Give the symbols that a root field asks for."""
    if root.arguments is None:
        return []
    arguments = given.to(root.arguments)
    symbols: list[str] = arguments["symbols"] if root.many else [arguments["symbol"]]
    if len(symbols) > context.limits.max_symbols:
        raise Unsupported("too many symbols")
    return symbols


async def _root(
    root: Root,
    rows: Sequence[Instrument | None],
    given: Given,
    context: Context,
    bases: Bases,
) -> list[bytes]:
    """Give one root field in pieces: the response is joined once, its megabytes copied once."""
    if root.arguments is None:
        return [root.key, root.constant or b"null"]
    bases.kept &= None not in rows  # an unknown symbol may become known by any batch
    known = list({row.instrument_id: row for row in rows if row is not None}.values())
    columns = await _columns(root.entries, known, given, context, bases)
    places = {row.instrument_id: place for place, row in enumerate(known)}
    pieces = [root.key, b"[" if root.many else b""]
    for number, row in enumerate(rows):
        pieces.append(b"," if number else b"")
        if row is None:
            pieces.append(b"null")
            continue
        opening, place = b"{", places[row.instrument_id]
        for entry, column in zip(root.entries, columns, strict=True):
            pieces += [opening, entry.key, column[place]]
            opening = b","
        pieces.append(b"}" if root.entries else b"{}")
    return [*pieces, b"]"] if root.many else pieces


async def _columns(
    entries: Sequence[Entry],
    rows: Sequence[Instrument],
    given: Given,
    context: Context,
    bases: Bases,
) -> list[list[bytes]]:
    """Give each field of every instrument."""
    for entry in entries:
        if not isinstance(entry, Listed | Chart) and not (
            isinstance(entry, Plain) and not entry.changes
        ):
            for row in rows:
                bases.whole(row.instrument_id)
    reads = iter(
        await _all(
            [
                _column(entry, rows, given, context, bases)
                for entry in entries
                if not isinstance(entry, Plain)
            ]
        )
    )
    return [
        [entry.write(row) for row in rows] if isinstance(entry, Plain) else next(reads)
        for entry in entries
    ]


async def _column(
    entry: Listed | Chart | Paged | Nested,
    rows: Sequence[Instrument],
    given: Given,
    context: Context,
    bases: Bases,
) -> list[bytes]:
    """Give one field of every instrument, where it must be read."""
    if isinstance(entry, Chart):
        drawn = await draw(entry, [_subject(row) for row in rows], given.to, context)
        bases.found += [basis for _, basis in drawn]
        return [text for text, _ in drawn]
    if isinstance(entry, Listed):
        return await _candles(entry, rows, given, context, bases)
    if isinstance(entry, Paged):
        return await _trades(entry, rows, given, context)
    if entry.what is LatestPrice:
        keys = [row.instrument_id for row in rows]
        with context.noting(LATEST):
            found: Sequence[Any] = await context.loaders.latest.load_many(keys)
    else:
        with context.noting(EXCHANGE):
            found = await context.loaders.exchange.load_many([row.exchange for row in rows])
    return [_nested(entry, each) for each in found]


async def _candles(
    entry: Listed,
    rows: Sequence[Instrument],
    given: Given,
    context: Context,
    bases: Bases,
) -> list[bytes]:
    arguments = given.to(entry.arguments)
    if arguments.get("fill") not in {None, Fill.NONE}:
        raise Unsupported("fill")
    spec = spec_of(
        arguments["interval"],
        arguments.get("session"),
        arguments.get("timezone"),
        arguments.get("adjust"),
    )
    window = window_of(
        arguments.get("from"), arguments.get("to"), arguments.get("last"), context.limits.max_points
    )
    subjects = [_subject(row) for row in rows]
    plain = isinstance(entry.shape, JsonColumns)
    key = series_key(Asked(spec=spec, window=window)) if plain else candles_key(spec, window)
    with context.noting(key):
        answers = await cached_candles(context.market, subjects, spec, window, entry.shape)
    written = []
    for answer in answers:
        if isinstance(answer, TickgraphError):
            raise Unsupported(answer.code) from answer
        written.append(answer.value)
        bases.found.append(answer.basis)
    return written


def _subject(row: Instrument) -> Subject:
    return Subject(instrument_id=row.instrument_id, symbol=row.symbol, exchange=row.exchange)


async def _trades(
    entry: Paged, rows: Sequence[Instrument], given: Given, context: Context
) -> list[bytes]:
    arguments = given.to(entry.arguments)
    if arguments.get("adjust") not in (None, Adjust.NONE):
        raise Unsupported("adjust")
    after = arguments.get("after")
    page = trades_asked(
        arguments.get("from"),
        arguments.get("to"),
        arguments.get("first"),
        after,
        context.limits.max_points,
    )
    ids_ = [row.instrument_id for row in rows]
    with context.noting(trades_key(page)):
        pages = await read_trades(context.market, ids_, page, entry.shape) if ids_ else []
    written = []
    for texts in pages:
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
