"""The one list of roll-ups: for each kind of source row, the views over it from fine to coarse."""

from dataclasses import dataclass
from datetime import timedelta

from app.market.instrument import CandleSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollup:
    """One view of ready candles; `width` is the length of its buckets."""

    view: str
    source: CandleSource
    width: timedelta


MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# In refresh order: a view is refreshed after those that it is made of.
ROLLUPS = (
    Rollup(view="trade_candle_1m", source=CandleSource.TRADES, width=MINUTE),
    Rollup(view="trade_candle_1h", source=CandleSource.TRADES, width=HOUR),
    Rollup(view="trade_candle_1d", source=CandleSource.TRADES, width=DAY),
    Rollup(view="bar_candle_1h", source=CandleSource.BARS, width=HOUR),
    Rollup(view="bar_candle_1d", source=CandleSource.BARS, width=DAY),
)
