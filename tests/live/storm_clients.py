"""Clients that are cut off at random, go on from their cursors, and merge as the docs say."""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.typing import Subprotocol

from app.live.events import Mark

_MESSAGES = 400  # of a connection in the storm, on average
_PROTOCOL = Subprotocol("graphql-transport-ws")
INTERVALS = ("10s", "1h")
CANDLE = "time open high low close volume vwap trades revision"
PRICE = "time price size tradingDate"
CANDLES = """subscription ($symbols: [String!]!, $interval: Interval!, $after: String) {
  candles(symbols: $symbols, interval: $interval, after: $after) {
    symbol time revision cursor candle { CANDLE }
  }
}""".replace("CANDLE", CANDLE)
TRADES = """subscription ($symbols: [String!]!, $after: String) {
  trades(symbols: $symbols, after: $after) {
    symbol revision cursor cancelled trade { tradeId time price size }
  }
}"""
LATEST = """subscription ($symbols: [String!]!, $after: String) {
  latest(symbols: $symbols, after: $after) { symbol revision cursor latest { PRICE } }
}""".replace("PRICE", PRICE)
# base: what there is at the start and at the end.
BASE = f"""query ($symbols: [String!]!) {{
  instruments(symbols: $symbols) {{
    symbol latest {{ {PRICE} }}
    c10s: candles(interval: "10s", from: "2020-01-01") {{ {CANDLE} }}
    c1h: candles(interval: "1h", from: "2020-01-01") {{ {CANDLE} }}
  }}
}}"""
# After these a client would have to begin anew, and what it has seen could not be held to account.
_FATAL = {"CURSOR_EXPIRED", "BAD_CURSOR", "LIVE_FAILED", "INTERNAL"}

Key = tuple[str, ...]
Base = dict[Key, dict[str, Any]]


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one client has merged, and what it counted on the way."""

    candles: dict[Key, tuple[int, dict[str, Any] | None]] = field(default_factory=dict)
    latest: dict[Key, tuple[int, dict[str, Any] | None]] = field(default_factory=dict)
    trades: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    versions: Counter[tuple[str, int]] = field(default_factory=Counter)  # (trade id, revision)
    changes: Counter[tuple[Key, int]] = field(
        default_factory=Counter
    )  # (bucket or price, revision)
    first: dict[str, int] = field(default_factory=dict)  # the batch that each stream began at
    arrivals: list[tuple[float, int, float]] = field(default_factory=list)

    def take(self, stream: str, event: dict[str, Any]) -> None:
        """Merge one event."""
        revision = event["revision"]
        if "trade" in event:
            trade = event["trade"]
            self.versions[trade["tradeId"], revision] += 1
            known = self.trades.get(trade["tradeId"])
            if known is None or known[0] <= revision:
                self.trades[trade["tradeId"]] = (revision, trade | {"gone": event["cancelled"]})
            return
        if "latest" in event:
            key: Key = (event["symbol"],)
            _newer(self.latest, key, revision, event["latest"])
        else:
            key = (stream, event["symbol"], event["time"])
            _newer(self.candles, key, revision, event["candle"])
        self.changes[(stream, *key), revision] += 1

    def begin(self, base: Base) -> None:
        """Merge what a query gave."""
        for key, candle in base.items():
            if len(key) > 1:
                _newer(self.candles, key, candle["revision"], candle)
            elif key not in self.latest:
                self.latest[key] = (0, candle)

    @property
    def state(self) -> Base:
        """What there is now, in the form of a query."""
        both = [*self.candles.items(), *self.latest.items()]
        return {key: value for key, (_, value) in both if value is not None}


def _newer(
    merged: dict[Key, tuple[int, dict[str, Any] | None]],
    key: Key,
    revision: int,
    value: dict[str, Any] | None,
) -> None:
    known = merged.get(key)
    if known is None or known[0] <= revision:
        merged[key] = (revision, value)


class Client:
    """One client's life: many connections, one stream of each kind."""

    def __init__(self, rng: random.Random, ports: Sequence[int], symbols: list[str]) -> None:
        self.seen = Seen()
        self.errors: Counter[str] = Counter()
        self.fatal: list[str] = []
        self.aborted = 0  # connections that it cut off
        self.lost = 0  # connections and attempts that failed by themselves
        self._rng = rng
        self._ports = ports
        self._symbols = symbols
        self._connection: ClientConnection | None = None
        self._cursors: dict[str, str | None] = dict.fromkeys(
            [*(f"c{each}" for each in INTERVALS), "trades", "latest"]
        )

    @property
    def begun(self) -> bool:
        """Every stream has told where it begins."""
        return None not in self._cursors.values()

    async def live(self, life_s: Callable[[], float | None]) -> None:
        """Connect again and again until cancelled; `life_s` gives how long a connection lives."""
        while True:
            port = self._rng.choice(self._ports)
            try:
                async with connect(
                    f"ws://127.0.0.1:{port}/graphql",
                    subprotocols=[_PROTOCOL],
                    max_size=None,
                    open_timeout=5,
                    close_timeout=0.2,
                    compression=None,
                ) as connection:
                    await self._follow(connection, life_s())
            except (OSError, TimeoutError, WebSocketException, InvalidHandshake, _Again):
                self.lost += 1
                await asyncio.sleep(self._rng.random() * 0.2)

    def cut(self) -> None:
        """Cut the connection off, if there is one."""
        if self._connection is not None:
            self.aborted += 1
            self._connection.transport.abort()

    async def _follow(self, connection: ClientConnection, life_s: float | None) -> None:
        self._connection = connection
        await _send(connection, type="connection_init")
        async with asyncio.timeout(10):
            assert orjson.loads(await connection.recv())["type"] == "connection_ack"
        since = time.time()
        for stream, after in self._cursors.items():
            variables: dict[str, Any] = {"symbols": self._symbols, "after": after}
            if stream.startswith("c"):
                variables["interval"] = stream[1:]
            query = {"trades": TRADES, "latest": LATEST}.get(stream, CANDLES)
            payload = {"query": query, "variables": variables}
            await _send(connection, id=stream, type="subscribe", payload=payload)
        # Also in the midst of what came at once, which a time alone never cuts through.
        left = math.inf if life_s is None else self._rng.expovariate(1 / _MESSAGES)
        try:
            async with asyncio.timeout(life_s):
                while left > 0:
                    self._message(orjson.loads(await connection.recv()), since)
                    left -= 1
        except TimeoutError:
            pass
        self.aborted += 1
        connection.transport.abort()

    def _message(self, message: dict[str, Any], since: float) -> None:
        if message["type"] == "ping":
            return
        errors = message["payload"] if message["type"] == "error" else None
        if message["type"] == "next":
            errors = message["payload"].get("errors")
        if errors or message["type"] == "complete":
            code = errors[0]["extensions"]["code"] if errors else "COMPLETE"
            self.errors[code] += 1
            if code in _FATAL:
                self.fatal.append(str(errors))
            raise _Again
        stream = message["id"]
        (event,) = message["payload"]["data"].values()
        if self._cursors[stream] is None:
            self.seen.first[stream] = Mark.of_cursor(event["cursor"]).batch_id
        self._cursors[stream] = event["cursor"]
        self.seen.take(stream, event)
        self.seen.arrivals.append((since, event["revision"], time.time()))


class _Again(Exception):
    """The operation ended: connect anew."""


async def _send(connection: ClientConnection, **message: Any) -> None:
    await connection.send(orjson.dumps(message).decode())


async def ask_base(ports: Sequence[int], symbols: list[str]) -> Base:
    """Query what a client begins with and is held to at the end."""
    answer: Any = None
    give_up_at = time.monotonic() + 30
    async with httpx.AsyncClient(timeout=20) as client:
        while time.monotonic() < give_up_at:
            for port in ports:
                try:
                    response = await client.post(
                        f"http://127.0.0.1:{port}/graphql",
                        json={"query": BASE, "variables": {"symbols": symbols}},
                    )
                    answer = response.json()
                    if "errors" not in answer:
                        return _base(answer["data"]["instruments"])
                except httpx.TransportError:
                    pass
            await asyncio.sleep(0.1)
    raise TimeoutError(f"no answer to a query: {str(answer)[:1000]}")


def _base(instruments: list[dict[str, Any]]) -> Base:
    base: Base = {}
    for each in instruments:
        symbol = each["symbol"]
        base[(symbol,)] = each["latest"]
        for interval in INTERVALS:
            stream = f"c{interval}"
            base |= {(stream, symbol, candle["time"]): candle for candle in each[stream]}
    return base
