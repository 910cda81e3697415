"""The usual indicators: what each field is called, its defaults, and the function behind it."""

from collections.abc import Mapping

from graphql_schema.analytics.indicator_fields import (
    Aroon,
    Bands,
    Given,
    Macd,
    Stochastic,
    Supertrend,
    Typed,
)


def _period(default: int, words: str = "How many candles.", name: str = "timeperiod") -> Given:
    return Given(name=name, default=default, description=words)


def _averages(fast: int, slow: int) -> dict[str, Given]:
    return {
        "fast": _period(fast, "Candles of the fast average.", "fastperiod"),
        "slow": _period(slow, "Candles of the slow average.", "slowperiod"),
    }


def _simple(function: str, description: str, period: int, *, source: bool = False) -> Typed:
    arguments = {"period": _period(period)}
    return Typed(function=function, description=description, arguments=arguments, source=source)


def _average(function: str, description: str, period: int = 20) -> Typed:
    return _simple(function, description, period, source=True)


_BANDS = {"upper": "upperband", "middle": "middleband", "lower": "lowerband"}
_DEVIATIONS = "How many standard deviations the edges are off."

TYPED: Mapping[str, Typed] = {
    "sma": _average("SMA", "Simple moving average."),
    "ema": _average("EMA", "Exponential moving average, 2 / (period + 1) of the newest."),
    "wma": _average("WMA", "Linearly weighted moving average."),
    "dema": _average("DEMA", "Double exponential moving average."),
    "tema": _average("TEMA", "Triple exponential moving average."),
    "trima": _average("TRIMA", "Triangular moving average."),
    "kama": _average("KAMA", "Kaufman's adaptive moving average.", 10),
    "hma": _average("HMA", "Hull moving average."),
    "rma": _average("RMA", "Wilder's moving average, 1 / period of the newest.", 14),
    "vwma": _average("VWMA", "Moving average weighted by volume."),
    "rollingVwap": Typed(
        function="rolling",
        description="Volume-weighted average price of the last `period` candles.",
        arguments={"period": _period(20)},
    ),
    "anchoredVwap": Typed(
        function="anchored",
        description="Volume-weighted average price since the first candle of the range.",
    ),
    "bbands": Typed(
        function="BBANDS",
        description="Bollinger bands around a simple moving average.",
        arguments={
            "period": _period(20),
            "up": Given(name="nbdevup", default=2.0, description=_DEVIATIONS),
            "down": Given(name="nbdevdn", default=2.0, description=_DEVIATIONS),
        },
        source=True,
        result=Bands,
        outputs=_BANDS,
    ),
    "keltner": Typed(
        function="KC",
        description="Keltner channel: an exponential average and a multiple of the true range.",
        arguments={
            "period": _period(20),
            "atrPeriod": _period(10, "Candles of the average true range.", "atrperiod"),
            "multiplier": Given(
                name="nbdev", default=2.0, description="How many true ranges the edges are off."
            ),
        },
        result=Bands,
        outputs=_BANDS,
    ),
    "donchian": Typed(
        function="DONCHIAN",
        description="Highest high and lowest low, and what is between them.",
        arguments={"period": _period(20)},
        result=Bands,
        outputs=_BANDS,
    ),
    "supertrend": Typed(
        function="SUPERTREND",
        description="A stop that trails by a multiple of the average true range.",
        arguments={
            "period": _period(10),
            "multiplier": Given(
                name="multiplier", default=3.0, description="How many true ranges away it is."
            ),
        },
        result=Supertrend,
        outputs={"value": "supertrend", "trend": "trend"},
    ),
    "sar": Typed(
        function="SAR",
        description="Wilder's parabolic stop and reverse.",
        arguments={
            "acceleration": Given(
                name="acceleration", default=0.02, description="What it gains at each extreme."
            ),
            "maximum": Given(name="maximum", default=0.2, description="The most that it gains."),
        },
    ),
    "rsi": _average("RSI", "Relative strength index, Wilder's, from 0 to 100.", 14),
    "macd": Typed(
        function="MACD",
        description="Moving average convergence and divergence.",
        arguments=_averages(12, 26)
        | {"signal": _period(9, "Candles of the signal's average.", "signalperiod")},
        source=True,
        result=Macd,
        outputs={"macd": "macd", "signal": "macdsignal", "histogram": "macdhist"},
    ),
    "ppo": Typed(
        function="PPO",
        description="Percentage price oscillator: fast over slow exponential average, less 1.",
        arguments=_averages(12, 26),
        fixed={"matype": 1},
        source=True,
    ),
    "stoch": Typed(
        function="STOCH",
        description="Slow stochastic oscillator.",
        arguments={
            "period": _period(14, "Candles of the range.", "fastk_period"),
            "smoothing": _period(3, "Candles that %K is averaged over.", "slowk_period"),
            "signal": _period(3, "Candles that %D is averaged over.", "slowd_period"),
        },
        result=Stochastic,
        outputs={"k": "slowk", "d": "slowd"},
    ),
    "stochRsi": Typed(
        function="STOCHRSI",
        description="Fast stochastic oscillator of the relative strength index.",
        arguments={
            "period": _period(14),
            "range": _period(14, "Candles of the range.", "fastk_period"),
            "signal": _period(3, "Candles that %D is averaged over.", "fastd_period"),
        },
        source=True,
        result=Stochastic,
        outputs={"k": "fastk", "d": "fastd"},
    ),
    "williamsR": _simple("WILLR", "Williams' %R, from -100 to 0.", 14),
    "cci": _simple("CCI", "Commodity channel index.", 20),
    "mfi": _simple("MFI", "Money flow index, from 0 to 100.", 14),
    "roc": _average("ROC", "Rate of change, in percent.", 10),
    "mom": _average("MOM", "Momentum: the difference to `period` candles ago.", 10),
    "cmo": _average("CMO", "Chande's momentum oscillator, smoothed as Wilder does.", 14),
    "trix": _average("TRIX", "Change of a triple exponential average, in percent.", 15),
    "aroon": Typed(
        function="AROON",
        description="Aroon.",
        arguments={"period": _period(14)},
        result=Aroon,
        outputs={"up": "aroonup", "down": "aroondown"},
    ),
    "adx": _simple("ADX", "Average directional movement index.", 14),
    "plusDi": _simple("PLUS_DI", "Plus directional indicator.", 14),
    "minusDi": _simple("MINUS_DI", "Minus directional indicator.", 14),
    "atr": _simple("ATR", "Average true range, Wilder's.", 14),
    "natr": _simple("NATR", "Average true range in percent of the close.", 14),
    "stddev": _average("STDDEV", "Standard deviation of the population."),
    "obv": Typed(function="OBV", description="On-balance volume since the range's first candle."),
    "ad": Typed(
        function="AD", description="Accumulation and distribution since the range's first candle."
    ),
    "cmf": _simple("CMF", "Chaikin's money flow.", 20),
}
