"""Random documents that ask for series with indicators, filled gaps and fewer points."""

import random
from dataclasses import dataclass, field
from typing import Any

SYMBOLS = ["BUSY", "US", "MINUTES", "EMPTY", "NOBODY"]
COLUMNS = ["time", "open", "high", "low", "close", "volume", "vwap", "trades"]
SOURCES = ["OPEN", "HIGH", "LOW", "CLOSE", "VOLUME", "HL2", "HLC3", "OHLC4"]
PERIODIC = ["atr", "cci", "mfi", "williamsR", "adx", "plusDi", "minusDi", "natr", "rollingVwap"]
OF_PRICE = ["sma", "ema", "wma", "dema", "tema", "kama", "rsi", "roc", "mom", "stddev", "trix"]
BARE = ["obv", "ad", "anchoredVwap", "sar"]
NESTED = {
    "macd": ("Macd", ["macd", "signal", "histogram"]),
    "bbands": ("Bands", ["upper", "middle", "lower"]),
    "donchian": ("Bands", ["upper", "middle", "lower"]),
    "stoch": ("Stochastic", ["k", "d"]),
    "aroon": ("Aroon", ["up", "down"]),
    "supertrend": ("Supertrend", ["value", "trend"]),
}
GENERIC = [
    ("RSI", {"timeperiod": 9}, {"price": "HL2"}),
    ("BBANDS", {"timeperiod": 5, "matype": 1}, {}),
    ("CDLDOJI", {}, {}),
    ("BETA", {}, {"price0": "CLOSE", "price1": "OPEN"}),
    ("MAVP", {"maxperiod": 12}, {}),
    ("MINMAXINDEX", {"timeperiod": 3}, {}),
]
WINDOWS = [
    'from: "2026-03-06T02:00:00Z", to: "2026-03-06T09:00:00Z"', "last: 7", "last: 60", "last: 0",
    'from: "2026-03-06"', 'to: "2026-03-06T15:00:00Z", last: 20',
    'from: "1999-01-01", to: "1999-02-01"',
]  # fmt: skip
KINDS = [
    'interval: "5m"', 'interval: "1h"', 'interval: "1d"', 'interval: "15m", session: REGULAR',
    'interval: "1h", timezone: "Asia/Kolkata"', 'interval: "10m", adjust: SPLITS',
]  # fmt: skip
ROWS = [
    "", "", "fill: NULL", "fill: PREVIOUS", "fill: NONE", "maxPoints: 8", "maxPoints: 40",
    "maxPoints: 9, method: LTTB", "fill: NULL, maxPoints: 12",
    "fill: PREVIOUS, maxPoints: 11, method: LTTB", "method: LTTB",
]  # fmt: skip


@dataclass
class ChartDocument:
    """A document under construction."""

    rng: random.Random
    variables: dict[str, Any] = field(default_factory=dict)
    declared: dict[str, str] = field(default_factory=dict)
    fragments: list[str] = field(default_factory=list)
    aliases: int = 0

    def text(self) -> str:
        charts = " ".join(self._chart() for _ in range(self.rng.randint(1, 2)))
        symbols = self.rng.sample(SYMBOLS, self.rng.randint(1, 4))
        listed = ", ".join(f'"{each}"' for each in symbols)
        body = f"{{ instruments(symbols: [{listed}]) {{ symbol {charts} }} }}"
        declared = ", ".join(f"${name}: {kind}" for name, kind in self.declared.items())
        head = f"query Q({declared})" if declared else "query Q"
        return f"{head} {body} " + " ".join(self.fragments)

    def _chart(self) -> str:
        window = self.rng.choice(WINDOWS)
        arguments = ", ".join(
            part for part in (self.rng.choice(KINDS), window, self.rng.choice(ROWS)) if part
        )
        parts = [self._field() for _ in range(self.rng.randint(1, 6))]
        if self.rng.random() < 0.4:
            name = f"F{len(self.fragments)}"
            self.fragments.append(f"fragment {name} on CandleSeries {{ {self._field()} }}")
            parts.append(f"...{name}{self._switch()}")
        if self.rng.random() < 0.3:
            parts.append(f"... on CandleSeries {{ {self._field()} }}")
        self.aliases += 1
        return f"c{self.aliases}: series({arguments}) {{ {' '.join(parts)} }}"

    def _field(self) -> str:
        self.aliases += 1
        alias, roll = f"a{self.aliases}: ", self.rng.random()
        if roll < 0.05:
            return f"{alias}__typename"
        if roll < 0.25:
            return f"{alias}{self.rng.choice(COLUMNS)}{self._switch()}"
        if roll < 0.35:
            return f"{alias}{self.rng.choice(BARE)}"
        if roll < 0.5:
            return f"{alias}{self.rng.choice(PERIODIC)}(period: {self._number()})"
        if roll < 0.7:
            source = self.rng.choice(SOURCES)
            given = self._value("PriceSource!", source, source)
            return (
                f"{alias}{self.rng.choice(OF_PRICE)}(period: {self._number()}, source: {given})"
                f"{self._switch()}"
            )
        if roll < 0.85:
            name = self.rng.choice(list(NESTED))
            kind, fields = NESTED[name]
            return f"{alias}{name} {self._nested(kind, fields)}"
        return alias + self._generic()

    def _nested(self, kind: str, fields: list[str]) -> str:
        chosen = self.rng.choices(fields, k=self.rng.randint(1, 3))
        parts = [f"x{place}: {name}{self._switch()}" for place, name in enumerate(chosen)]
        if self.rng.random() < 0.3:
            parts.append("__typename")
        if self.rng.random() < 0.3:
            parts.append(f"... on {kind} {{ {fields[0]} }}")
        return "{ " + " ".join(parts) + " }"

    def _generic(self) -> str:
        name, parameters, inputs = self.rng.choice(GENERIC)
        pairs = [{"name": each, "value": value} for each, value in parameters.items()]
        given = self._value("[IndicatorParameter!]", pairs, _objects(pairs))
        fed = [{"name": each, "source": source} for each, source in inputs.items()]
        chosen = self._value("[IndicatorInput!]", fed, _objects(fed))
        outputs = self._nested("IndicatorOutput", ["values", "name"])
        again = "more: outputs { values } " if self.rng.random() < 0.2 else ""
        return (
            f'indicator(name: "{name}", parameters: {given}, inputs: {chosen})'
            f" {{ name {again}outputs {outputs} }}"
        )

    def _number(self) -> str:
        number = self.rng.choice([2, 3, 14, 30])
        return self._value("Int!", number, str(number))

    def _switch(self) -> str:
        if self.rng.random() > 0.1:
            return ""
        wanted = self.rng.random() < 0.5
        name = self.rng.choice(("skip", "include"))
        return f" @{name}(if: {self._value('Boolean!', wanted, str(wanted).lower())})"

    def _value(self, kind: str, value: Any, literal: str) -> str:
        if self.rng.random() < 0.6:
            return literal
        name = f"v{len(self.variables)}"
        self.variables[name], self.declared[name] = value, kind
        return f"${name}"


def _objects(pairs: list[dict[str, Any]]) -> str:
    written = [
        "{" + ", ".join(f"{key}: {_literal(key, value)}" for key, value in pair.items()) + "}"
        for pair in pairs
    ]
    return "[" + ", ".join(written) + "]"


def _literal(key: str, value: Any) -> str:
    return f'"{value}"' if key == "name" else str(value)
