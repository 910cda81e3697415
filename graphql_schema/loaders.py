"""Dataloaders: however many objects ask, one read each for all of them."""

from collections.abc import Callable, Sequence
from typing import Any

from app.errors import TickgraphError
from app.market.candle import Candle, LatestPrice
from app.market.instrument import Exchange, Instrument
from app.market.interval import Interval
from app.query.candles import read_candles
from app.query.latest import read_latest
from app.query.market import Market, Subject
from app.query.shapes import Candles
from app.query.trade_shapes import TradeRows, Trades
from app.query.trades import TradePage, read_trades
from app.query.window import Window
from app.storage import instruments
from graphql_schema.shared_loader import SharedLoader


class Loaders:
    """One operation's loaders; those of list fields exist once for each set of arguments."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._reader = market.reader
        self._by_arguments: dict[object, SharedLoader[Any, Any]] = {}
        self.instrument_by_symbol = SharedLoader(self._instruments_by_symbol)
        self.instrument_by_id = SharedLoader(self._instruments_by_id)
        self.exchange = SharedLoader(self._exchanges)
        self.latest = SharedLoader(self._latest)

    def candles(self, interval: Interval, window: Window) -> SharedLoader[Subject, list[Candle]]:
        """Give the loader of candle lists with these arguments."""

        async def load(subjects: list[Subject]) -> Sequence[list[Candle] | TickgraphError]:
            answers = await read_candles(self._market, subjects, interval, window, Candles())
            return [each if isinstance(each, TickgraphError) else each.value for each in answers]

        return self._shared(("candles", interval, window), lambda: SharedLoader(load))

    def trades(self, page: TradePage) -> SharedLoader[int, Trades]:
        """Give the loader of trade pages with these arguments."""

        async def load(instrument_ids: list[int]) -> list[Trades]:
            return await read_trades(self._market, instrument_ids, page, TradeRows())

        return self._shared(("trades", page), lambda: SharedLoader(load))

    def _shared(
        self, key: object, make: Callable[[], SharedLoader[Any, Any]]
    ) -> SharedLoader[Any, Any]:
        if key not in self._by_arguments:
            self._by_arguments[key] = make()
        return self._by_arguments[key]

    async def _instruments_by_symbol(self, symbols: list[str]) -> list[Instrument | None]:
        # PostgreSQL stores no NUL, and refuses it: no instrument has it.
        storable = [symbol for symbol in symbols if "\0" not in symbol]
        found = await self._market.instruments.by_symbols(storable)
        return [found.get(symbol) for symbol in symbols]

    async def _instruments_by_id(self, keys: list[int]) -> list[Instrument | None]:
        found = await instruments.by_ids(self._reader, keys)
        return [found.get(key) for key in keys]

    async def _exchanges(self, mics: list[str]) -> list[Exchange]:
        found = await instruments.exchanges(self._reader, mics)
        return [found[mic] for mic in mics]

    async def _latest(self, keys: list[int]) -> list[LatestPrice | None]:
        found = await read_latest(self._reader, keys)
        return [found.get(key) for key in keys]
