"""Dataloaders: however many objects ask, one read each for all of them."""

from collections.abc import Callable, Sequence
from typing import Any

from strawberry.dataloader import DataLoader

from app.errors import TickgraphError
from app.market.candle import Candle, LatestPrice
from app.market.instrument import Exchange, Instrument
from app.market.interval import Interval
from app.query.candles import CandleLimits, Subject, read_candles
from app.query.latest import read_latest
from app.query.trades import TradePage, Trades, read_trades
from app.query.window import Window
from app.storage import instruments
from app.storage.reader import Reader


class Loaders:
    """One operation's loaders; those of list fields exist once for each set of arguments."""

    def __init__(self, reader: Reader, candle_limits: CandleLimits) -> None:
        self._reader = reader
        self._candle_limits = candle_limits
        self._by_arguments: dict[object, DataLoader[Any, Any]] = {}
        self.instrument_by_symbol = DataLoader(self._instruments_by_symbol)
        self.instrument_by_id = DataLoader(self._instruments_by_id)
        self.exchange = DataLoader(self._exchanges)
        self.latest = DataLoader(self._latest)

    def candles(self, interval: Interval, window: Window) -> DataLoader[Subject, list[Candle]]:
        """Give the loader of candle lists with these arguments."""

        async def load(subjects: list[Subject]) -> Sequence[list[Candle] | TickgraphError]:
            return await read_candles(self._reader, subjects, interval, window, self._candle_limits)

        return self._shared(("candles", interval, window), lambda: DataLoader(load))

    def trades(self, page: TradePage) -> DataLoader[int, Trades]:
        """Give the loader of trade pages with these arguments."""

        async def load(instrument_ids: list[int]) -> list[Trades]:
            return await read_trades(self._reader, instrument_ids, page)

        return self._shared(("trades", page), lambda: DataLoader(load))

    def _shared(
        self, key: object, make: Callable[[], DataLoader[Any, Any]]
    ) -> DataLoader[Any, Any]:
        if key not in self._by_arguments:
            self._by_arguments[key] = make()
        return self._by_arguments[key]

    async def _instruments_by_symbol(self, symbols: list[str]) -> list[Instrument | None]:
        found = await instruments.by_symbols(self._reader, symbols)
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
