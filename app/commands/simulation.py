"""Made-up trades that look like a market's: a random walk with bursts, on the tick, in session."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from app.market.calendar import TradingCalendar
from app.market.candle import Session
from app.market.instrument import AssetClass
from app.market.schedule import exchange_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """An instrument that does not exist; `volatility` is of one day, `gap_s` between trades."""

    symbol: str
    name: str
    mic: str
    asset_class: AssetClass
    price: float
    tick: float
    volatility: float
    gap_s: float
    size: float
    size_decimals: int


SIMULATED = (
    Simulated(
        symbol="SIM.BTC",
        name="Simulated bitcoin (made-up prices)",
        mic="24/7",
        asset_class=AssetClass.CRYPTO,
        price=64_000.0,
        tick=0.01,
        volatility=0.03,
        gap_s=4.0,
        size=0.05,
        size_decimals=6,
    ),
    Simulated(
        symbol="SIM.ETH",
        name="Simulated ether (made-up prices)",
        mic="24/7",
        asset_class=AssetClass.CRYPTO,
        price=3_200.0,
        tick=0.01,
        volatility=0.04,
        gap_s=5.0,
        size=0.8,
        size_decimals=5,
    ),
    Simulated(
        symbol="SIM.ACME",
        name="Simulated Acme Corporation (made-up prices)",
        mic="XNAS",
        asset_class=AssetClass.EQUITY,
        price=142.5,
        tick=0.01,
        volatility=0.02,
        gap_s=2.0,
        size=120.0,
        size_decimals=0,
    ),
)
_DAY_S = 86_400.0


def simulate(instrument: Simulated, start: datetime, end: datetime, price: float) -> pl.DataFrame:
    """Make trades of [start, end) as symbol, time, price, size (text), from a last price on.

    The same arguments give the same trades. Venues with hours trade in them only.
    """
    seconds = (end - start).total_seconds()
    if seconds <= 0:
        return _frame(instrument, np.array([], np.int64), np.array([]), np.array([]))
    seed = [int(start.timestamp() * 1000) % 2**32, *instrument.symbol.encode()]
    random = np.random.default_rng(seed)
    count = int(seconds / instrument.gap_s * 1.2) + 20
    gaps = random.exponential(instrument.gap_s, count) * random.choice([0.2, 1.8], count)
    offsets = np.cumsum(gaps)
    offsets = offsets[offsets < seconds]
    times_us = int(start.timestamp() * 1e6) + (offsets * 1e6).astype(np.int64) // 1000 * 1000
    exchange = exchange_of(instrument.mic)
    placed = TradingCalendar(exchange, start.year, end.year).place(times_us)
    open_ = placed.session == Session.REGULAR
    times_us, gaps = times_us[open_], gaps[: len(open_)][open_]
    steps = random.standard_t(5, len(times_us)) * instrument.volatility
    moves = steps * np.sqrt(gaps / _DAY_S) * 0.77
    prices = price * np.exp(np.cumsum(moves))
    prices = np.maximum(np.round(prices / instrument.tick), 1.0) * instrument.tick
    sizes = np.maximum(
        np.round(
            random.lognormal(0.0, 1.0, len(times_us)) * instrument.size, instrument.size_decimals
        ),
        10.0**-instrument.size_decimals,
    )
    return _frame(instrument, times_us, prices, sizes)


def _frame(
    instrument: Simulated, times_us: np.ndarray, prices: np.ndarray, sizes: np.ndarray
) -> pl.DataFrame:
    rounded = pl.Series(sizes).round(instrument.size_decimals)
    whole = instrument.size_decimals == 0
    sizes_text = (rounded.cast(pl.Int64) if whole else rounded).cast(pl.String)
    return pl.DataFrame(
        {
            "symbol": pl.Series([instrument.symbol], dtype=pl.String).new_from_index(
                0, len(prices)
            ),
            "time": pl.Series(times_us).cast(pl.Datetime("us", "UTC")),
            "price": pl.Series(prices).round(2).cast(pl.String),
            "size": sizes_text,
        }
    )
