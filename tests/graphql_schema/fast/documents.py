"""Random documents: selections, aliases, fragments, directives, arguments, some of them wrong."""

import random
from dataclasses import dataclass, field
from typing import Any

SYMBOLS = ["BUSY", "US", "MINUTES", "EMPTY", "NOBODY", 'quo"te']
INTERVALS = ["1m", "5m", "65m", "1h", "1d", "1w", "1mo"]
# DAILY has no minutes to give, bars of a minute no seconds; the others are no intervals.
ALSO_SYMBOLS = ["DAILY"]
BAD_INTERVALS = ["30s", "1x", "0m", ""]
MOMENTS = [
    "2026-03-05T00:00:00Z",
    "2026-03-06T02:30:00+05:30",
    "2026-03-06",
    "2026-03-09T14:30:00.5Z",
    "1999-01-01T00:00:00Z",
    "2040-01-01T00:00:00Z",
]
PLAIN = ["id", "symbol", "name", "assetClass", "currency", "candleSource", "simulated"]
CANDLE = [
    "time", "open", "high", "low", "close", "volume", "vwap", "trades", "revision", "final",
]  # fmt: skip
SERIES = ["time", "open", "high", "low", "close", "volume"]
EXCHANGE = ["mic", "calendar", "timezone"]
TRADE = ["time", "price", "size", "session", "tradingDate", "tradeId"]
PAGE_INFO = ["hasNextPage", "hasPreviousPage", "startCursor", "endCursor"]
# Where trade cursors begin: the order key of 2026-03-06 00:00 UTC and trade 0.
CURSORS = ["VHJhZGU6ODAwMmVlNzM2NGQwYTAwMDAwMDAwMDAwMDAwMDAwMDA"]
LATEST = ["time", "price", "size", "tradingDate"]


@dataclass
class Document:
    """A document under construction; `wrong` lets bad arguments in."""

    rng: random.Random
    wrong: bool
    variables: dict[str, Any] = field(default_factory=dict)
    declared: dict[str, str] = field(default_factory=dict)
    fragments: list[str] = field(default_factory=list)
    aliases: int = 0

    def text(self) -> str:
        roots = " ".join(self._root() for _ in range(self.rng.randint(1, 3)))
        declared = ", ".join(f"${name}: {kind}" for name, kind in self.declared.items())
        head = f"query Q({declared})" if declared else "query Q"
        return f"{head} {{ {roots} }} " + " ".join(self.fragments)

    def _root(self) -> str:
        roll = self.rng.random()
        if roll < 0.05:
            return "__typename"
        body = self._selection(PLAIN, "Instrument", self._instrument_field, depth=0)
        if roll < 0.4:
            symbol = self._value("String!", self.rng.choice(self._symbols()))
            return f"{self._alias()}instrument(symbol: {symbol}){self._switch()} {body}"
        chosen = self.rng.choices(self._symbols(), k=self.rng.randint(0, 4))
        symbols = self._value("[String!]!", chosen)
        return f"{self._alias()}instruments(symbols: {symbols}){self._switch()} {body}"

    def _symbols(self) -> list[str]:
        return SYMBOLS + ALSO_SYMBOLS * self.wrong

    def _instrument_field(self) -> str:
        roll = self.rng.random()
        if roll < 0.1:
            return f"{self._alias()}exchange {self._selection(EXCHANGE, 'Exchange')}"
        if roll < 0.2:
            return f"{self._alias()}latest {self._selection(LATEST, 'LatestPrice')}"
        if roll < 0.65:
            body = self._selection(CANDLE, "Candle")
            return f"{self._alias(0.97)}candles({self._range()}){self._switch()} {body}"
        if roll < 0.88:
            body = self._selection(SERIES, "CandleSeries")
            return f"{self._alias(0.97)}series({self._range()}) {body}"
        body = self._selection([], "TradeConnection", self._connection_field)
        return f"{self._alias(0.97)}trades({self._page()}) {body}"

    def _page(self) -> str:
        parts = [f"first: {self._value('Int', self.rng.choice([0, 1, 5] + [-1] * self.wrong))}"]
        if self.rng.random() < 0.5:
            parts.append(f"from: {self._value('DateTime', self.rng.choice(MOMENTS))}")
        if self.rng.random() < 0.2:
            cursor = self.rng.choice(CURSORS + ["nonsense"] * self.wrong)
            parts.append(f"after: {self._value('String', cursor)}")
        return ", ".join(parts)

    def _connection_field(self) -> str:
        if self.rng.random() < 0.4:
            return f"{self._alias()}pageInfo {self._selection(PAGE_INFO, 'PageInfo')}"
        edge = self._selection(["cursor"], "TradeEdge", self._edge_field)
        return f"{self._alias()}edges {edge}"

    def _edge_field(self) -> str:
        return f"{self._alias()}node {self._selection(TRADE, 'Trade')}"

    def _selection(self, names: list[str], kind: str, more: Any = None, depth: int = 1) -> str:
        parts = []
        for _ in range(self.rng.randint(1, 5)):
            roll = self.rng.random()
            if more is not None and roll < 0.45:
                parts.append(more())
            elif roll < 0.12 + 0.45 * (more is not None) or not names:
                parts.append(f"{self._alias()}__typename")
            elif depth < 3 and roll < 0.25 + 0.45 * (more is not None):
                parts.append(self._fragment(names, kind, more, depth))
            else:
                parts.append(f"{self._alias(0.2)}{self.rng.choice(names)}{self._switch()}")
        return "{ " + " ".join(parts) + " }"

    def _fragment(self, names: list[str], kind: str, more: Any, depth: int) -> str:
        body = self._selection(names, kind, more, depth + 1)
        roll = self.rng.random()
        if roll < 0.3:
            return f"...{self._switch()} {body}"
        if roll < 0.6:
            return f"... on {kind}{self._switch()} {body}"
        if roll < 0.7 and kind == "Instrument":
            return "... on Node { id }"
        name = f"F{len(self.fragments)}"
        self.fragments.append("")
        self.fragments[int(name[1:])] = f"fragment {name} on {kind} {body}"
        return f"...{name}{self._switch()}"

    def _alias(self, chance: float = 0.4) -> str:
        if self.rng.random() > chance:
            return ""
        self.aliases += 1
        return f"a{self.aliases}: "

    def _switch(self) -> str:
        if self.rng.random() > 0.12:
            return ""
        name = self.rng.choice(("skip", "include"))
        return f" @{name}(if: {self._value('Boolean!', self.rng.random() < 0.5)})"

    def _range(self) -> str:
        interval = self.rng.choice(INTERVALS)
        if self.wrong and self.rng.random() < 0.2:
            interval = self.rng.choice(BAD_INTERVALS)
        parts = [f"interval: {self._value('Interval!', interval)}"]
        roll = self.rng.random()
        if roll < 0.5:
            last = self.rng.choice([0, 1, 3, 10] + [-1, 10**6] * self.wrong)
            parts.append(f"last: {self._value('Int', last)}")
        if roll > 0.4 or self.wrong:
            names = ("to",) if roll < 0.5 and not self.wrong else ("from", "to")
            for name in names:
                if self.rng.random() < 0.9:
                    moment = self.rng.choice(MOMENTS)
                    parts.append(f"{name}: {self._value('DateTime', moment)}")
        return ", ".join(parts)

    def _value(self, kind: str, value: Any) -> str:
        if self.rng.random() < 0.5:
            name = f"v{len(self.variables)}"
            self.variables[name] = value
            self.declared[name] = kind
            return f"${name}"
        return _literal(value)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(each) for each in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace('"', '\\"') + '"'
    return str(value)
