"""The root of every query."""

import re
from typing import cast

import strawberry

from app.errors import BadCursor, RangeTooLarge
from app.market.instrument import AssetClass
from app.query.server import server_state
from app.query.venues import find_exchange
from app.storage import instruments as storage
from graphql_schema import ids
from graphql_schema.context import Info
from graphql_schema.instrument import (
    Instrument,
    InstrumentConnection,
    InstrumentEdge,
    Node,
)
from graphql_schema.market_types import Exchange
from graphql_schema.paging import page_info, page_size, plain_text
from graphql_schema.scalars import Cursor
from graphql_schema.server_info import ServerInfo

_KEY = re.compile(r"[1-9][0-9]{0,8}")
_PLACE = re.compile(r"([0-2]):([^\0]+)")


@strawberry.type(description="Everything that can be asked.")
class Query:
    """The fields at the root."""

    @strawberry.field(description="The instrument with this symbol, or that last had it.")
    async def instrument(self, info: Info, symbol: str) -> Instrument | None:
        """Load one instrument."""
        found = await info.context.loaders.instrument_by_symbol.load(symbol)
        return None if found is None else Instrument.of(found)

    @strawberry.field(description="Instruments in the order of the symbols; null where unknown.")
    async def instruments(self, info: Info, symbols: list[str]) -> list[Instrument | None]:
        """Load many instruments."""
        most = info.context.limits.max_symbols
        if len(symbols) > most:
            raise RangeTooLarge(f"{len(symbols)} symbols: at most {most} can be asked for at once")
        found = await info.context.loaders.instrument_by_symbol.load_many(symbols)
        return [None if each is None else Instrument.of(each) for each in found]

    @strawberry.field(description="Instruments whose symbol or name contains the text.")
    async def search_instruments(
        self,
        info: Info,
        text: str | None = None,
        asset_class: AssetClass | None = None,
        exchange: str | None = None,
        first: int | None = 50,
        after: str | None = None,
    ) -> InstrumentConnection:
        """Search, a page at a time."""
        count = page_size(first)
        found = await storage.search(
            info.context.reader,
            text=plain_text("text", text),
            asset_class=asset_class,
            exchange=plain_text("exchange", exchange),
            after=_place(after),
            limit=count + 1,
        )
        edges = [
            InstrumentEdge(
                cursor=Cursor(ids.encode("Found", f"{rank}:{row.symbol}")),
                node=Instrument.of(row),
            )
            for rank, row in found[:count]
        ]
        return InstrumentConnection(
            edges=edges,
            page_info=page_info(edges, len(found) > count, after),
        )

    @strawberry.field(description="The object with this global id.")
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        """Load any object by its id."""
        key = ids.decode("Instrument", id)
        if key is None or not _KEY.fullmatch(key):
            return None
        found = await info.context.loaders.instrument_by_id.load(int(key))
        return None if found is None else Instrument.of(found)

    @strawberry.field(
        description="The venue with this MIC: one that is stored, or that exchange-calendars knows;"
        " null where there is none."
    )
    async def exchange(self, info: Info, mic: str) -> Exchange | None:
        """Find a venue."""
        found = await find_exchange(info.context.reader, plain_text("mic", mic) or "")
        return cast(Exchange | None, found)

    @strawberry.field(description="Versions, edition, roll-ups and how they are kept.")
    async def server(self, info: Info) -> ServerInfo:
        """Ask the database."""
        state = await server_state(info.context.reader)
        return ServerInfo.of(state, embedded=info.context.embedded)


def _place(cursor: str | None) -> tuple[int, str] | None:
    """Give the rank and symbol of a search's cursor."""
    key = ids.decode_cursor("Found", cursor)
    if key is None:
        return None
    match = _PLACE.fullmatch(key)
    if match is None:
        raise BadCursor(f"{cursor!r} is no cursor of this field")
    return int(match[1]), match[2]
