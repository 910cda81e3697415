"""Dataloaders: however many objects ask, one read each for all of them."""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from app.errors import TickgraphError
from app.market.adjustment import Effect
from app.market.candle import Candle, LatestPrice
from app.market.candle_spec import Adjust, CandleSpec
from app.market.instrument import Exchange, Instrument
from app.market.trading_hours import Openings, TradingSession
from app.query.adjusted import (
    ActionRange,
    read_actions,
    read_adjusted_latest,
    read_adjusted_trades,
)
from app.query.candles import read_candles
from app.query.coverage.coverage import Coverage, read_coverage
from app.query.coverage.coverage import Question as CoverageQuestion
from app.query.explaining import Explanation, explain_candles
from app.query.filled_candles import read_filled
from app.query.filling import Fill
from app.query.latest import read_latest
from app.query.market import Market, Subject
from app.query.series import Asked, Wanted, read_series
from app.query.shapes import Candles
from app.query.statistics.performance import Statistics
from app.query.statistics.reading import Question, read_rolling, read_statistics
from app.query.statistics.rolling import Rolling
from app.query.trade_shapes import TradeRows, Trades
from app.query.trades import TradePage, read_trades
from app.query.venues import Days, read_openings, read_sessions
from app.query.window import Window
from app.storage import instruments
from graphql_schema.analytics.series import as_lists
from graphql_schema.shared_loader import SharedLoader

BY_SYMBOL, BY_ID, EXCHANGE, LATEST = "by symbol", "by id", "exchange", "latest"
_OPENINGS, _SESSIONS = "openings", "sessions"

Failures = Mapping[Hashable, TickgraphError]
K = TypeVar("K")
T = TypeVar("T")


def candles_key(spec: CandleSpec, window: Window) -> Hashable:
    """Name the loader of candle lists with these arguments."""
    return ("candles", spec, window)


def series_key(asked: Asked) -> Hashable:
    """Name the loader of series with these arguments."""
    return ("series", asked)


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

    @property
    def openings(self) -> SharedLoader[Days, Openings]:
        """Loads the times of trading around days of a venue."""
        return self._shared(_OPENINGS, read_openings)

    @property
    def sessions(self) -> SharedLoader[Days, list[TradingSession]]:
        """Loads the trading dates within days of a venue."""

        async def load(days: list[Days]) -> Sequence[list[TradingSession] | TickgraphError]:
            return await read_sessions(days, self._market.max_points)

        return self._shared(_SESSIONS, load)

    def coverage(self, asked: CoverageQuestion) -> SharedLoader[Subject, Coverage]:
        """Give the loader of coverage with these arguments."""

        async def load(subjects: list[Subject]) -> Sequence[Coverage | TickgraphError]:
            return await read_coverage(self._market, subjects, asked, datetime.now(UTC))

        return self._shared(("coverage", asked), load)

    def filled(
        self, spec: CandleSpec, window: Window, fill: Fill
    ) -> SharedLoader[Subject, list[Candle]]:
        """Give the loader of candle lists with these arguments, gaps filled where that is asked."""
        if fill is Fill.NONE:
            return self.candles(spec, window)

        async def load(subjects: list[Subject]) -> Sequence[list[Candle] | TickgraphError]:
            return await read_filled(self._market, subjects, spec, window, fill)

        return self._shared(("filled", spec, window, fill), load)

    def candles(self, spec: CandleSpec, window: Window) -> SharedLoader[Subject, list[Candle]]:
        """Give the loader of candle lists with these arguments."""

        async def load(subjects: list[Subject]) -> Sequence[list[Candle] | TickgraphError]:
            answers = await read_candles(self._market, subjects, spec, window, Candles())
            return [each if isinstance(each, TickgraphError) else each.value for each in answers]

        return self._shared(candles_key(spec, window), load)

    def series(self, asked: Asked) -> SharedLoader[tuple[Subject, Wanted], Any]:
        """Give the loader of columns and indicators of series with these arguments."""

        async def load(keys: list[tuple[Subject, Wanted]]) -> list[Any]:
            subjects = list(dict.fromkeys(subject for subject, _ in keys))
            wanted = list(dict.fromkeys(each for _, each in keys))
            answers = await read_series(self._market, subjects, asked, wanted, as_lists)
            found = dict(zip(subjects, answers, strict=True))
            return [
                answer if isinstance(answer, TickgraphError) else answer.value[each]
                for answer, each in ((found[subject], each) for subject, each in keys)
            ]

        return self._shared(series_key(asked), load)

    def explanations(
        self, spec: CandleSpec, window: Window
    ) -> SharedLoader[tuple[Subject, datetime], Explanation | None]:
        """Give the loader of explanations of the candles with these arguments, by their times."""

        async def load(
            keys: list[tuple[Subject, datetime]],
        ) -> list[Explanation | TickgraphError | None]:
            subjects = list(dict.fromkeys(subject for subject, _ in keys))
            answers = await explain_candles(self._market, subjects, spec, window)
            found = dict(zip(subjects, answers, strict=True))
            return [
                answer if isinstance(answer, TickgraphError) else answer.get(time)
                for answer, time in ((found[subject], time) for subject, time in keys)
            ]

        return self._shared(("explanations", spec, window), load)

    def actions(self, wanted: ActionRange) -> SharedLoader[Subject, list[Effect]]:
        """Give the loader of corporate actions with these arguments."""

        async def load(subjects: list[Subject]) -> list[list[Effect]]:
            return await read_actions(self._market, subjects, wanted)

        return self._shared(("actions", wanted), load)

    def adjusted_latest(self, adjust: Adjust) -> SharedLoader[Subject, LatestPrice | None]:
        """Give the loader of newest prices, adjusted."""

        async def load(subjects: list[Subject]) -> list[LatestPrice | None]:
            return await read_adjusted_latest(self._market, subjects, adjust)

        return self._shared(("latest", adjust), load)

    def adjusted_trades(self, page: TradePage, adjust: Adjust) -> SharedLoader[Subject, Trades]:
        """Give the loader of trade pages with these arguments, adjusted."""

        async def load(subjects: list[Subject]) -> list[Trades]:
            return await read_adjusted_trades(self._market, subjects, page, adjust)

        return self._shared(("trades", page, adjust), load)

    def trades(self, page: TradePage) -> SharedLoader[int, Trades]:
        """Give the loader of trade pages with these arguments."""

        async def load(instrument_ids: list[int]) -> list[Trades]:
            return await read_trades(self._market, instrument_ids, page, TradeRows())

        return self._shared(trades_key(page), load)

    def statistics(self, question: Question) -> SharedLoader[Subject, Statistics]:
        """Give the loader of statistics with these arguments."""

        async def load(subjects: list[Subject]) -> Sequence[Statistics | TickgraphError]:
            return await read_statistics(self._market, subjects, question)

        return self._shared(("statistics", question), load)

    def rolling(self, question: Question, width: int) -> SharedLoader[Subject, Rolling]:
        """Give the loader of rolling statistics with these arguments."""

        async def load(subjects: list[Subject]) -> Sequence[Rolling | TickgraphError]:
            return await read_rolling(self._market, subjects, question, width)

        return self._shared(("rolling", question, width), load)

    def reading(
        self,
        name: Hashable,
        read: Callable[[Market, list[K]], Awaitable[Sequence[T | TickgraphError]]],
    ) -> SharedLoader[K, T]:
        """Give the loader of what `read` gives for keys; one for all who ask by an equal name."""
        return self._shared(name, lambda keys: read(self._market, keys))

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
