"""Dataloaders: however many objects ask, one read each for all of them."""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any

from app.errors import TickgraphError
from app.market.candle import Candle, LatestPrice
from app.market.candle_spec import CandleSpec
from app.market.instrument import Exchange, Instrument
from app.query.candles import read_candles
from app.query.latest import read_latest
from app.query.market import Market, Subject
from app.query.shapes import Candles
from app.query.trade_shapes import TradeRows, Trades
from app.query.trades import TradePage, read_trades
from app.query.window import Window
from app.storage import instruments
from graphql_schema.shared_loader import SharedLoader

BY_SYMBOL, BY_ID, EXCHANGE, LATEST = "by symbol", "by id", "exchange", "latest"

Failures = Mapping[Hashable, TickgraphError]


def candles_key(spec: CandleSpec, window: Window) -> Hashable:
    """Name the loader of candle lists with these arguments."""
    return ("candles", spec, window)


def trades_key(page: TradePage) -> Hashable:
    """Name the loader of trade pages with these arguments."""
    return ("trades", page)


class Loaders:
    """One operation's loaders, made when they are first asked for.

    `failures` are loads, by the names of their loaders, that have failed for this operation
    already: they fail again without another try.
    """

    def __init__(self, market: Market, failures: Failures) -> None:
        self._market = market
        self._reader = market.reader
        self._failures = failures
        self._loaders: dict[Hashable, SharedLoader[Any, Any]] = {}

    @property
    def instrument_by_symbol(self) -> SharedLoader[str, Instrument | None]:
        """Loads instruments by current or former symbol."""
        return self._shared(BY_SYMBOL, self._instruments_by_symbol)

    @property
    def instrument_by_id(self) -> SharedLoader[int, Instrument | None]:
        """Loads instruments by key."""
        return self._shared(BY_ID, self._instruments_by_id)

    @property
    def exchange(self) -> SharedLoader[str, Exchange]:
        """Loads venues by MIC."""
        return self._shared(EXCHANGE, self._exchanges)

    @property
    def latest(self) -> SharedLoader[int, LatestPrice | None]:
        """Loads the newest price of instruments by key."""
        return self._shared(LATEST, self._latest)

    def candles(self, spec: CandleSpec, window: Window) -> SharedLoader[Subject, list[Candle]]:
        """Give the loader of candle lists with these arguments."""

        async def load(subjects: list[Subject]) -> Sequence[list[Candle] | TickgraphError]:
            answers = await read_candles(self._market, subjects, spec, window, Candles())
            return [each if isinstance(each, TickgraphError) else each.value for each in answers]

        return self._shared(candles_key(spec, window), load)

    def trades(self, page: TradePage) -> SharedLoader[int, Trades]:
        """Give the loader of trade pages with these arguments."""

        async def load(instrument_ids: list[int]) -> list[Trades]:
            return await read_trades(self._market, instrument_ids, page, TradeRows())

        return self._shared(trades_key(page), load)

    def _shared(
        self, key: Hashable, load: Callable[[list[Any]], Awaitable[Sequence[Any]]]
    ) -> SharedLoader[Any, Any]:
        if key not in self._loaders:
            failure = self._failures.get(key)
            self._loaders[key] = SharedLoader(load if failure is None else _failing(failure))
        return self._loaders[key]

    async def _instruments_by_symbol(self, symbols: list[str]) -> list[Instrument | None]:
        found = await self._market.instruments.by_symbols(symbols)
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


def _failing(failure: TickgraphError) -> Callable[[list[Any]], Awaitable[Sequence[Any]]]:
    async def load(keys: list[Any]) -> Sequence[Any]:
        raise failure

    return load
