"""The shapes in which trades leave the database: rows, or JSON text of a page's edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from app.market.candle import Session, Trade
from app.query.json_text import literal, quoted
from app.storage.reader import Row

T = TypeVar("T")

# A field of a trade `t` as JSON text, equal to what the ordinary path writes.
_NODE = {
    # Six digits of a second or none, as datetime.isoformat writes; to_json would cut zeros.
    "time": (
        "'\"'",
        "replace(to_char(t.event_time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'),"
        " '.000000', '')",
        "'+00:00\"'",
    ),
    "price": ("'\"'", "t.price", "'\"'"),
    "size": ("'\"'", "t.size", "'\"'"),
    "session": (
        "'\"'",
        "CASE t.session WHEN 0 THEN 'PRE' WHEN 1 THEN 'REGULAR' ELSE 'POST' END",
        "'\"'",
    ),
    "tradingDate": ("to_json(t.trading_date)",),
    "tradeId": ("'\"'", "t.trade_id", "'\"'"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades:
    """One page, and whether there is more behind it."""

    trades: list[Trade]
    has_next: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeTexts:
    """One page as text: each edge list that was asked for; the order keys (hex) at its ends."""

    edges: list[bytes]
    first_key: str | None
    last_key: str | None
    has_next: bool


class TradeShape(Protocol[T]):
    """How a page of trades is asked for and made into a value."""

    def sql(self, page: str) -> str:
        """Give a SELECT over a page and the trade behind it; `$8` is how many belong to it."""

    def read(self, rows: Sequence[Row], first: int) -> T:
        """Make the value of one instrument's rows."""

    def has_next(self, value: T) -> bool:
        """Tell whether there is more behind a page: then it is full."""


@dataclass(frozen=True, slots=True)
class TradeRows:
    """Trades as values."""

    def sql(self, page: str) -> str:
        """Ask for one row a trade."""
        return f"SELECT t.*, $8::integer FROM ({page}) AS t ORDER BY t.event_time, t.trade_id"  # noqa: S608

    def read(self, rows: Sequence[Row], first: int) -> Trades:
        """Make trades; an instrument without any has one row of nulls."""
        found = [_trade(row) for row in rows if row["trade_id"] is not None]
        return Trades(trades=found[:first], has_next=len(found) > first)

    def has_next(self, value: Trades) -> bool:
        """Tell whether the page is full."""
        return value.has_next


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """One list of edges: (response key, 'cursor' or '' or the node's fields)."""

    fields: tuple[tuple[str, str | tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeJson:
    """Edges as text; `cursor_kind` goes before the order key in an opaque cursor."""

    lists: tuple[Edges, ...]
    cursor_kind: str

    def sql(self, page: str) -> str:
        """Ask for one row: a text for each list, the keys at the ends, the count."""
        texts = [
            f"string_agg({self._edge(each)}, ',' ORDER BY t.number)"
            f" FILTER (WHERE t.number <= $8::integer) AS edges{place}"
            for place, each in enumerate(self.lists)
        ]
        columns = ", ".join(
            [
                *texts,
                "count(*) AS count",
                "first(t.order_key, t.number) AS first_key",
                "last(t.order_key, t.number) FILTER (WHERE t.number <= $8::integer) AS last_key",
            ]
        )
        return f"""
    SELECT {columns}
    FROM (SELECT p.*, row_number() OVER (ORDER BY p.event_time, p.trade_id) AS number
          FROM ({page}) AS p) AS t
"""  # noqa: S608 - built from constants of this package

    def read(self, rows: Sequence[Row], first: int) -> TradeTexts:
        """Take the texts."""
        if not rows or not first:
            has_next = bool(rows and rows[0]["count"])
            edges = [b"[]" for _ in self.lists]
            return TradeTexts(edges=edges, first_key=None, last_key=None, has_next=has_next)
        (row,) = rows
        return TradeTexts(
            edges=[f"[{row[f'edges{place}'] or ''}]".encode() for place in range(len(self.lists))],
            first_key=row["first_key"] and row["first_key"].hex,
            last_key=row["last_key"] and row["last_key"].hex,
            has_next=row["count"] > first,
        )

    def has_next(self, value: TradeTexts) -> bool:
        """Tell whether the page is full."""
        return value.has_next

    def _edge(self, edges: Edges) -> str:
        parts, text = [], "{"
        for place, (key, what) in enumerate(edges.fields):
            text += f"{',' if place else ''}{quoted(key)}:"
            if what == "":
                text += quoted("TradeEdge")
            elif what == "cursor":
                parts += [literal(text + '"'), self._cursor()]
                text = '"'
            else:
                parts += [literal(text), *_object(what)]
                text = ""
        return f"concat({', '.join([*parts, literal(text + '}')])})"

    def _cursor(self) -> str:
        key = f"{literal(self.cursor_kind + ':')} || replace(t.order_key::text, '-', '')"
        return f"translate(rtrim(encode(convert_to({key}, 'UTF8'), 'base64'), '='), '+/', '-_')"


def _object(fields: str | tuple[tuple[str, str], ...]) -> list[str]:
    parts, text = [], "{"
    for place, (key, name) in enumerate(fields):
        text += f"{',' if place else ''}{quoted(key)}:"
        if not name:
            text += quoted("Trade")
            continue
        parts += [literal(text), *_NODE[name]]
        text = ""
    return [*parts, literal(text + "}")]


def _trade(row: Row) -> Trade:
    return Trade(
        time=row["event_time"],
        trade_id=row["trade_id"],
        price=row["price"],
        size=row["size"],
        session=Session(row["session"]),
        trading_date=row["trading_date"],
        order_key=row["order_key"].hex,
    )
