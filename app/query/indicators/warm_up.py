"""How many candles before a range an indicator needs for the values that all history would give.

A function of a window needs its look-back. A recursive one remembers everything, ever less: of an
exponential average with smoothing constant a, (1 - a)^k of what it began with is left after k
candles, and of s of them one behind the other P(Binomial(k, a) < s). The run-in is so long that
1e-11 is left, which keeps values within 1e-9 of those on the whole history.
"""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

from app.query.indicators.calls import Call, lookback
from app.query.indicators.catalogue import AVERAGES

_LEFT = 1e-11

# Hilbert transforms feed their own period back: 440 candles were the most seen on random walks.
_HILBERT = 1000
# Stops depend on where they last turned: with few turns, histories of other lengths may differ.
_STOP = 1000

# Sums over all candles since a beginning: that of the range.
CUMULATIVE = frozenset({"AD", "ANCHORED_VWAP", "CUMSUM", "NVI", "OBV", "PVI", "PVT", "VWAP", "WAD"})

Parameters = Mapping[str, float]


@lru_cache(maxsize=1000)
def warm_up(call: Call) -> int:
    """Give the number of candles before the range's first."""
    if call.name in CUMULATIVE:
        return 0
    run_in = _RUN_INS.get(call.name)
    return lookback(call) + (0 if run_in is None else run_in(call.given))


@lru_cache(maxsize=1000)
def _memory(constant: float, stages: int) -> int:
    """Give the least k with P(Binomial(k, constant) < stages) below what may be left."""
    if constant >= 1:
        return stages
    low, high = 0, 1
    while _remaining(constant, stages, high) > _LEFT:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (middle, high) if _remaining(constant, stages, middle) > _LEFT else (low, middle)
        )
    return high


def _remaining(constant: float, stages: int, candles: int) -> float:
    taken, kept = math.log(constant), math.log1p(-constant)
    return sum(
        math.exp(
            math.lgamma(candles + 1) - math.lgamma(hits + 1) - math.lgamma(candles - hits + 1)
            + hits * taken + (candles - hits) * kept
        )
        for hits in range(min(stages, candles + 1))
    )  # fmt: skip


def _ema(period: float, stages: int = 1) -> int:
    return _memory(2 / (period + 1), stages)


def _wilder(period: float, stages: int = 1) -> int:
    return _memory(1 / period, stages)


def _mama(slow_limit: float) -> int:
    # FAMA smooths MAMA with half of its constant.
    return _HILBERT + _memory(slow_limit, 1) + _memory(slow_limit / 2, 1)


# Kaufman's constant moves between those of 2 and 30 candles, squared.
_KAMA = _memory((2 / 31) ** 2, 1)

_OF_AVERAGE: Mapping[float, Callable[[float], int]] = {
    AVERAGES["EMA"]: _ema,
    AVERAGES["DEMA"]: lambda period: _ema(period, 2),
    AVERAGES["TEMA"]: lambda period: _ema(period, 3),
    AVERAGES["KAMA"]: lambda period: _KAMA,
    AVERAGES["MAMA"]: lambda period: _mama(0.05),
    AVERAGES["T3"]: lambda period: _ema(period, 6),
    AVERAGES["DEFAULT"]: _wilder,  # the slowest that any function has as its own
    AVERAGES["ZLEMA"]: _ema,
    AVERAGES["RMA"]: _wilder,
}


def _average(kind: float, period: float) -> int:
    of = _OF_AVERAGE.get(kind)
    return 0 if of is None else of(period)


def _two(p: Parameters) -> int:
    return max(_average(p["matype"], p["fastperiod"]), _average(p["matype"], p["slowperiod"]))


def _slow(p: Parameters) -> int:
    return _average(p["slowk_matype"], p["slowk_period"]) + _average(
        p["slowd_matype"], p["slowd_period"]
    )


def _fast(p: Parameters) -> int:
    return _average(p["fastd_matype"], p["fastd_period"])


_RUN_INS: Mapping[str, Callable[[Parameters], int]] = {
    "ADOSC": lambda p: _ema(max(p["fastperiod"], p["slowperiod"])),
    "ADX": lambda p: _wilder(p["timeperiod"], 2),
    "ADXR": lambda p: _wilder(p["timeperiod"], 2),
    "APO": _two,
    "ATR": lambda p: _wilder(p["timeperiod"]),
    "BBANDS": lambda p: _average(p["matype"], p["timeperiod"]),
    "CMO": lambda p: _wilder(p["timeperiod"]),
    "CVI": lambda p: _ema(p["timeperiod"]),
    "DEMA": lambda p: _ema(p["timeperiod"], 2),
    "DX": lambda p: _wilder(p["timeperiod"]),
    "EFI": lambda p: _ema(p["timeperiod"]),
    "EMA": lambda p: _ema(p["timeperiod"]),
    "ERI": lambda p: _ema(p["timeperiod"]),
    "HA": lambda p: _memory(0.5, 1),
    "HT_DCPERIOD": lambda p: _HILBERT,
    "HT_DCPHASE": lambda p: _HILBERT,
    "HT_PHASOR": lambda p: _HILBERT,
    "HT_SINE": lambda p: _HILBERT,
    "HT_TRENDLINE": lambda p: _HILBERT,
    "HT_TRENDMODE": lambda p: _HILBERT,
    "KAMA": lambda p: _KAMA,
    "KC": lambda p: max(_ema(p["timeperiod"]), _wilder(p["atrperiod"])),
    "KDJ": _slow,
    "MA": lambda p: _average(p["matype"], p["timeperiod"]),
    "MACD": lambda p: _ema(max(p["fastperiod"], p["slowperiod"])) + _ema(p["signalperiod"]),
    "MACDEXT": lambda p: (
        max(_average(p["fastmatype"], p["fastperiod"]), _average(p["slowmatype"], p["slowperiod"]))
        + _average(p["signalmatype"], p["signalperiod"])
    ),
    "MACDFIX": lambda p: _ema(26) + _ema(p["signalperiod"]),
    "MAMA": lambda p: _mama(min(p["fastlimit"], p["slowlimit"])),
    "MASSI": lambda p: _ema(p["fastperiod"], 2),
    "MAVP": lambda p: _HILBERT + _average(p["matype"], p["maxperiod"]),
    "MINUS_DI": lambda p: _wilder(p["timeperiod"]),
    "MINUS_DM": lambda p: _wilder(p["timeperiod"]),
    "NATR": lambda p: _wilder(p["timeperiod"]),
    "PLUS_DI": lambda p: _wilder(p["timeperiod"]),
    "PLUS_DM": lambda p: _wilder(p["timeperiod"]),
    "PPO": _two,
    "PVO": _two,
    "RMA": lambda p: _wilder(p["timeperiod"]),
    "RSI": lambda p: _wilder(p["timeperiod"]),
    "RVI": lambda p: _wilder(p["timeperiod"]),
    "SAR": lambda p: _STOP,
    "SAREXT": lambda p: _STOP,
    "SMI": lambda p: _ema(p["fastperiod"]) + _ema(p["slowperiod"]) + _ema(p["signalperiod"]),
    "STOCH": _slow,
    "STOCHF": _fast,
    "STOCHRSI": lambda p: _wilder(p["timeperiod"]) + _fast(p),
    "SUPERTREND": lambda p: _STOP + _wilder(p["timeperiod"]),
    "T3": lambda p: _ema(p["timeperiod"], 6),
    "TEMA": lambda p: _ema(p["timeperiod"], 3),
    "TRIX": lambda p: _ema(p["timeperiod"], 3),
    "TSI": lambda p: _ema(p["firstperiod"]) + _ema(p["secondperiod"]),
    "ZLEMA": lambda p: _ema(p["timeperiod"]),
}
