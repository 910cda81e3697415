"""The shapes in which candles leave the database: rows, or JSON text that PostgreSQL writes.

A shape wraps the SQL of one instrument's candles (relation `c`, newest first, beside the
instrument `s`) and makes its value of the rows that come back. JSON text is spliced into the
response as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from app.market.candle import Candle
from app.query.json_text import literal, quoted
from app.storage.reader import Row

T = TypeVar("T", covariant=True)

_VWAP = "trim_scale(c.notional / nullif(c.volume, 0))"
_FINAL = "(c.time < s.final_before)"

# How each field of a candle is written as JSON text, equal to what the ordinary path writes.
_TEXT = {
    "time": "to_json(c.time)",
    "open": "c.open",
    "high": "c.high",
    "low": "c.low",
    "close": "c.close",
    "volume": "c.volume",
    "vwap": f"coalesce('\"' || {_VWAP} || '\"', 'null')",
    "trades": "c.trades",
    "revision": "c.revision",
    "final": f"CASE WHEN {_FINAL} THEN 'true' ELSE 'false' END",
}
_QUOTED = frozenset({"open", "high", "low", "close", "volume"})  # Decimal is text in JSON
_NUMBER = {
    "time": "(extract(epoch FROM c.time) * 1000)::bigint",
    "open": "c.open",
    "high": "c.high",
    "low": "c.low",
    "close": "c.close",
    "volume": "c.volume",
}

CANDLE_FIELDS, SERIES_FIELDS = frozenset(_TEXT), frozenset(_NUMBER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Generic[T]):
    """One instrument's answer, how many candles it holds, and the oldest one's time.

    `before` of them were asked for to warm up on.
    """

    count: int
    oldest: datetime | None
    value: T
    before: int = 0


class Shape(Protocol[T]):
    """How one instrument's candles are asked for and made into a value."""

    def sql(self, candles: str) -> str:
        """Give a SELECT over the instrument's candles; its columns are what `read` takes."""

    def read(self, rows: Sequence[Row]) -> Found[T]:
        """Make the value of the instrument's rows."""

    def __hash__(self) -> int:
        """Equal shapes have equal SQL."""


@dataclass(frozen=True, slots=True)
class Candles:
    """Candles as values, oldest first."""

    def sql(self, candles: str) -> str:
        """Ask for one row a candle."""
        return f"""
    SELECT c.time, c.open, c.high, c.low, c.close, c.volume, {_VWAP} AS vwap, c.trades, c.revision,
           {_FINAL} AS final
    FROM ({candles}) AS c
    ORDER BY c.time
"""  # noqa: S608 - built from constants of this package

    def read(self, rows: Sequence[Row]) -> Found[list[Candle]]:
        """Make candles; an instrument without any has one row of nulls."""
        found = [_candle(row) for row in rows if row["time"] is not None]
        oldest = found[0].time if found else None
        return Found(count=len(found), oldest=oldest, value=found)


@dataclass(frozen=True, slots=True)
class JsonRows:
    """A JSON array of objects; `fields` are response key and candle field, '' for a constant."""

    fields: tuple[tuple[str, str], ...]
    typename: str = "Candle"

    def sql(self, candles: str) -> str:
        """Ask for one row: the count and the array's text."""
        listed = f"string_agg({_object(self)}, ',' ORDER BY c.time)"
        return _aggregated(candles, f"concat('[', {listed}, ']')")

    def read(self, rows: Sequence[Row]) -> Found[bytes]:
        """Take the text."""
        count, oldest, text = _only(rows)
        return Found(count=count, oldest=oldest, value=text or b"[]")


@dataclass(frozen=True, slots=True)
class JsonColumns:
    """A JSON object of arrays; `fields` are response key and column, '' for the type's name."""

    fields: tuple[tuple[str, str], ...]
    typename: str = "CandleSeries"

    def sql(self, candles: str) -> str:
        """Ask for one row: the count and the object's text."""
        parts = []
        for place, (key, column) in enumerate(self.fields):
            opening = f"{',' if place else ''}{quoted(key)}:"
            if column:
                listed = f"string_agg(({_NUMBER[column]})::text, ',' ORDER BY c.time)"
                parts += [literal(f"{opening}["), listed, "']'"]
            else:
                parts.append(literal(opening + quoted(self.typename)))
        return _aggregated(candles, f"concat('{{', {', '.join([*parts, literal('}')])})")

    def read(self, rows: Sequence[Row]) -> Found[bytes]:
        """Take the text."""
        count, oldest, text = _only(rows)
        return Found(count=count, oldest=oldest, value=text or self._empty())

    def _empty(self) -> bytes:
        """Write the object of an instrument that nothing was read for."""
        fields = [
            f"{quoted(key)}:{'[]' if column else quoted(self.typename)}"
            for key, column in self.fields
        ]
        return f"{{{','.join(fields)}}}".encode()


def _only(rows: Sequence[Row]) -> tuple[int, datetime | None, bytes | None]:
    return (rows[0]["count"], rows[0]["oldest"], rows[0]["text"]) if rows else (0, None, None)


def _aggregated(candles: str, text: str) -> str:
    # As bytea: what goes out as bytes need not be a Python str in between.
    return f"""
    SELECT count(*) AS count, min(c.time) AS oldest, convert_to({text}, 'UTF8') AS text
    FROM ({candles}) AS c
"""  # noqa: S608


def _object(shape: JsonRows) -> str:
    """Give concat(...) of one object; concat is one pass, || copies what it has so far."""
    parts, text = [], "{"
    for place, (key, field) in enumerate(shape.fields):
        text += f"{',' if place else ''}{quoted(key)}:"
        if not field:
            text += quoted(shape.typename)
            continue
        quote = '"' if field in _QUOTED else ""
        parts += [literal(text + quote), _TEXT[field]]
        text = quote
    return f"concat({', '.join([*parts, literal(text + '}')])})"


def _candle(row: Row) -> Candle:
    return Candle(
        time=row["time"],
        open=row["open"],
        high=row["high"],
        low=row["low"],
        close=row["close"],
        volume=row["volume"],
        vwap=row["vwap"],
        trades=row["trades"],
        revision=row["revision"],
        final=row["final"],
    )
