"""Candles column by column, as charts and numeric code take them."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.market.candle import Candle


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Equal-length columns, oldest first; times in ms since 1970 UTC, prices as floats."""

    time: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]


def series_of(candles: Sequence[Candle]) -> Series:
    """Turn candles into columns."""
    return Series(
        time=[round(candle.time.timestamp() * 1000) for candle in candles],
        open=[float(candle.open) for candle in candles],
        high=[float(candle.high) for candle in candles],
        low=[float(candle.low) for candle in candles],
        close=[float(candle.close) for candle in candles],
        volume=[float(candle.volume) for candle in candles],
    )
