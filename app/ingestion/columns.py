"""Find the columns that a kind of record needs, by their usual names or by the caller's word."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.errors import ImportRefused

_USUAL: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "sym", "instrument"),
    "time": ("time", "timestamp", "datetime", "event_time", "ts", "date", "t"),
    "price": ("price", "px", "p"),
    "size": ("size", "quantity", "qty", "volume", "amount", "s"),
    "trade_id": ("trade_id", "tradeid", "tid", "id"),
    "bid": ("bid", "bid_price", "bidprice", "bp", "b"),
    "ask": ("ask", "ask_price", "askprice", "offer", "ap", "a"),
    "bid_size": ("bid_size", "bidsize", "bid_qty", "bid_quantity", "bs"),
    "ask_size": ("ask_size", "asksize", "ask_qty", "ask_quantity", "offer_size", "as"),
    "quote_id": ("quote_id", "quoteid", "qid", "id"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
    "vwap": ("vwap", "vw"),
    "trades": ("trades", "trade_count", "transactions", "n"),
    "name": ("name", "description"),
    "exchange": ("exchange", "mic", "venue"),
    "asset_class": ("asset_class", "class", "type"),
    "currency": ("currency", "ccy"),
    "tick_size": ("tick_size", "tick"),
    "listed_on": ("listed_on", "listed", "listing_date", "ipo_date"),
    "delisted_on": ("delisted_on", "delisted", "delisting_date"),
    "former_symbol": ("former_symbol", "old_symbol", "previous_symbol"),
    "renamed_on": ("renamed_on", "symbol_changed_on"),
    "ex_date": ("ex_date", "exdate", "ex_dividend_date", "date"),
    "action": ("action", "kind", "action_type", "type"),
    "number": ("number", "no"),
    "ratio": ("ratio", "split_ratio"),
    "amount": ("amount", "cash_amount", "dividend", "value"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What a kind of record is made of."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every field, required ones first."""
        return self.required + self.optional


TRADE_FIELDS = Fields(required=("symbol", "time", "price", "size"), optional=("trade_id",))
QUOTE_FIELDS = Fields(
    required=("symbol", "time", "bid", "ask"), optional=("bid_size", "ask_size", "quote_id")
)
BAR_FIELDS = Fields(
    required=("symbol", "time", "open", "high", "low", "close", "volume"),
    optional=("vwap", "trades"),
)
INSTRUMENT_FIELDS = Fields(
    required=("symbol",),
    optional=(
        *("name", "exchange", "asset_class", "currency", "tick_size"),
        *("listed_on", "delisted_on", "former_symbol", "renamed_on"),
    ),
)

ACTION_FIELDS = Fields(
    required=("symbol", "ex_date", "action"), optional=("number", "ratio", "amount", "currency")
)


def find_columns(
    header: Sequence[str], fields: Fields, *, given: Mapping[str, str], constant: frozenset[str]
) -> dict[str, int]:
    """Map each field to its place in the header; optional ones that are not there are absent.

    `given` (field -> column name) has the last word; fields in `constant` need no column.

    Raises:
        ImportRefused: a required field has no column or more than one, or `given` names what does
            not exist.
    """
    for field, column in given.items():
        if field not in fields.all:
            raise ImportRefused(
                f"--map: {field!r} is no field here; the fields are {_list(fields.all)}"
            )
        if field in constant:
            raise ImportRefused(f"--map {field} and --{field} exclude each other")
        if column not in header:
            raise ImportRefused(
                f"--map: there is no column {column!r}; the columns are {_list(header)}"
            )
    lowered = [name.lower().replace(" ", "_") for name in header]
    places: dict[str, int] = {}
    for field in fields.all:
        if field in constant:
            continue
        if field in given:
            places[field] = _only(header, given[field])
            continue
        usual = next((name for name in _USUAL[field] if name in lowered), None)
        if usual is not None:
            places[field] = _only(lowered, usual)
        elif field in fields.required:
            hint = " (or give --symbol)" if field == "symbol" else ""
            raise ImportRefused(
                f"there is no column for {field!r}; the columns are {_list(header)}:"
                f" name it with --map {field}=COLUMN{hint}"
            )
    return places


def _only(names: Sequence[str], name: str) -> int:
    if names.count(name) > 1:
        raise ImportRefused(f"there are {names.count(name)} columns {name!r}: rename all but one")
    return names.index(name)


def _list(names: Sequence[str]) -> str:
    return textwrap.shorten(", ".join(map(repr, names)), 300, placeholder=" …") or "none"
