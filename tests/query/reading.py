"""Ask app.query as the loaders do, and compare with the recomputation."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from app.errors import TickgraphError
from app.market.candle import Candle
from app.market.candle_spec import CandleSpec
from app.market.interval import Interval
from app.query.candles import read_candles
from app.query.market import Market, Subject, open_market
from app.query.server import server_state
from app.query.shapes import Candles
from app.query.window import Window
from app.storage import instruments
from app.storage.reader import Reader, open_reader
from tests.query.recompute import Expected


@asynccontextmanager
async def reading(url: str, statements: list[str] | None = None) -> AsyncIterator[Market]:
    async with open_reader(
        url,
        pool_size=4,
        pool_timeout_s=20,
        statement_timeout_s=60,
        on_statement=None if statements is None else statements.append,
    ) as reader:
        yield await market_of(reader)


async def market_of(
    reader: Reader,
    max_points: int = 50_000,
    cache_bytes: int = 1 << 24,
    clock: Callable[[], float] = time.monotonic,
) -> Market:
    state = await server_state(reader)
    return open_market(
        reader,
        continuous=state.continuous,
        max_points=max_points,
        lateness=timedelta(seconds=60),
        cache_bytes=cache_bytes,
        clock=clock,
    )


async def subjects_of(reader: Reader, *symbols: str) -> list[Subject]:
    found = await instruments.by_symbols(reader, symbols)
    return [
        Subject(
            instrument_id=found[symbol].instrument_id,
            symbol=symbol,
            exchange=found[symbol].exchange,
        )
        for symbol in symbols
    ]


async def candles_of(
    market: Market, symbol: str, asked: str | CandleSpec, window: Window
) -> list[Candle]:
    if isinstance(asked, str):
        asked = CandleSpec(interval=Interval.parse(asked))
    (answer,) = await read_candles(
        market,
        await subjects_of(market.reader, symbol),
        asked,
        window,
        Candles(),
    )
    if isinstance(answer, TickgraphError):
        raise answer
    return answer.value


def as_expected(candles: list[Candle]) -> list[Expected]:
    return [
        Expected(
            time=each.time,
            open=each.open,
            high=each.high,
            low=each.low,
            close=each.close,
            volume=each.volume,
            trades=each.trades,
        )
        for each in candles
    ]
