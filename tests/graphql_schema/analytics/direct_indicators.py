"""What each indicator's field gives, with defaults and other arguments: TA-Lib called by hand."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import talib

Floats = npt.NDArray[np.float64]
Prices = Mapping[str, Floats]
Direct = Callable[[Prices], Floats | tuple[Floats, ...]]


def of_high_low_close(function: Callable[..., Any], *parameters: float) -> Direct:
    return lambda p: function(p["high"], p["low"], p["close"], *parameters)


def of_close(function: Callable[..., Any], *parameters: float) -> Direct:
    return lambda p: function(p["close"], *parameters)


# Fields, as they are asked for; several outputs in the order of the selection.
FIELDS: Mapping[str, Direct] = {
    "sma": of_close(talib.SMA, 20),
    "sma(period: 3, source: VOLUME)": lambda p: talib.SMA(p["volume"], 3),
    "ema": of_close(talib.EMA, 20),
    "ema(period: 9, source: HL2)": lambda p: talib.EMA((p["high"] + p["low"]) / 2, 9),
    "wma": of_close(talib.WMA, 20),
    "dema": of_close(talib.DEMA, 20),
    "tema(period: 7)": of_close(talib.TEMA, 7),
    "trima": of_close(talib.TRIMA, 20),
    "kama": of_close(talib.KAMA, 10),
    "hma": of_close(talib.HMA, 20),
    "rma": of_close(talib.RMA, 14),
    "vwma": lambda p: talib.VWMA(p["close"], p["volume"], 20),
    "bbands { upper middle lower }": of_close(talib.BBANDS, 20, 2.0, 2.0),
    "bbands(up: 1, down: 3) { upper middle lower }": of_close(talib.BBANDS, 20, 1.0, 3.0),
    "keltner { upper middle lower }": of_high_low_close(talib.KC, 20, 10, 2.0),
    "donchian { upper middle lower }": lambda p: talib.DONCHIAN(p["high"], p["low"], 20),
    "supertrend { value trend }": of_high_low_close(talib.SUPERTREND, 10, 3.0),
    "sar": lambda p: talib.SAR(p["high"], p["low"], 0.02, 0.2),
    "rsi": of_close(talib.RSI, 14),
    "rsi(period: 2, source: OPEN)": lambda p: talib.RSI(p["open"], 2),
    "macd { macd signal histogram }": of_close(talib.MACD, 12, 26, 9),
    "macd(fast: 3, slow: 10, signal: 16) { macd signal histogram }": of_close(
        talib.MACD, 3, 10, 16
    ),
    "ppo": of_close(talib.PPO, 12, 26, 1),
    "stoch { k d }": of_high_low_close(talib.STOCH, 14, 3, 0, 3, 0),
    "stochRsi { k d }": of_close(talib.STOCHRSI, 14, 14, 3, 0),
    "williamsR": of_high_low_close(talib.WILLR, 14),
    "cci": of_high_low_close(talib.CCI, 20),
    "mfi": lambda p: talib.MFI(p["high"], p["low"], p["close"], p["volume"], 14),
    "roc": of_close(talib.ROC, 10),
    "mom": of_close(talib.MOM, 10),
    "cmo": of_close(talib.CMO, 14),
    "trix": of_close(talib.TRIX, 15),
    "aroon { down up }": lambda p: talib.AROON(p["high"], p["low"], 14),
    "adx": of_high_low_close(talib.ADX, 14),
    "plusDi": of_high_low_close(talib.PLUS_DI, 14),
    "minusDi": of_high_low_close(talib.MINUS_DI, 14),
    "atr": of_high_low_close(talib.ATR, 14),
    "natr": of_high_low_close(talib.NATR, 14),
    "stddev": of_close(talib.STDDEV, 20, 1.0),
    "cmf": lambda p: talib.CMF(p["high"], p["low"], p["close"], p["volume"], 20),
}

# Those that count from the range's first candle.
FROM_START: Mapping[str, Direct] = {
    "obv": lambda p: talib.OBV(p["close"], p["volume"]),
    "ad": lambda p: talib.AD(p["high"], p["low"], p["close"], p["volume"]),
}
