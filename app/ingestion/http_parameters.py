"""Read what a request of the HTTP door asks for: the same words as `tickgraph import` has."""

import hashlib
import re
from collections.abc import Mapping, Sequence

import orjson

from app.errors import BadInput
from app.ingestion.delivery import Delivery
from app.ingestion.times import is_zone
from app.market.instrument import AssetClass
from app.market.interval import Interval
from app.market.schedule import exchange_of
from app.storage.batches import BatchKind
from app.storage.instrument_writes import NewInstruments
from app.validation import rules
from app.validation.reasons import Reason

KINDS = {"trades": BatchKind.TRADES, "quotes": BatchKind.QUOTES, "bars": BatchKind.BARS}
MAX_KEY = 255

_OF_NEW = {"exchange": "24/7", "asset_class": "EQUITY", "currency": "USD"}
_ALL_KINDS = frozenset({"symbol", "timezone", "map", "replace", "create", *_OF_NEW})
_SWITCHES = {"true": True, "1": True, "": True, "false": False, "0": False}
_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY}}}")


def read_delivery(
    kind: BatchKind,
    source: str,
    actor: str,
    parameters: Sequence[tuple[str, str]],
    key: str | None,
) -> Delivery:
    """Make a delivery of a query string's parameters and an idempotency key; without a checksum.

    Raises:
        TickgraphError: a parameter is unknown, comes twice, or cannot be used.
    """
    if key is not None and not _KEY.fullmatch(key):
        raise BadInput(f"Idempotency-Key must be 1 to {MAX_KEY} visible ASCII characters")
    columns, given = _split(kind, parameters)
    timezone = given.get("timezone", "UTC")
    if not is_zone(timezone):
        raise BadInput(f"timezone={timezone!r} is no IANA time zone")
    symbol = given.get("symbol")
    if symbol is not None and not re.fullmatch(rules.SYMBOL, symbol):
        raise BadInput(f"symbol={symbol!r}: {Reason.BAD_SYMBOL.sentence}")
    interval = given.get("interval")
    return Delivery(
        kind=kind,
        source=source,
        actor=actor,
        interval=None if interval is None else Interval.parse(interval),
        symbol=symbol,
        columns=columns,
        timezone=timezone,
        create=_new(given),
        replace=_switch("replace", given),
        idempotency_key=key,
    )


def checksum_of(delivery: Delivery, content: str) -> str:
    """Give the SHA-256 of what was sent: of the content's own one, and of how it is to be read."""
    new = delivery.create
    meaning = {
        "content": content,
        **delivery.options,
        "symbol": delivery.symbol,
        "columns": dict(delivery.columns),
        "replace": delivery.replace,
        "create": None if new is None else [new.exchange.mic, new.asset_class, new.currency],
    }
    return hashlib.sha256(orjson.dumps(meaning, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _split(
    kind: BatchKind, parameters: Sequence[tuple[str, str]]
) -> tuple[dict[str, str], dict[str, str]]:
    """Give the keys of fields that `map` names, and the other parameters, once each."""
    known = _ALL_KINDS | ({"interval"} if kind is BatchKind.BARS else set())
    columns: dict[str, str] = {}
    given: dict[str, str] = {}
    for name, value in parameters:
        if name not in known:
            names = ", ".join(sorted(known))
            raise BadInput(f"there is no parameter {name!r} here; the parameters are {names}")
        if name != "map":
            if name in given:
                raise BadInput(f"the parameter {name!r} comes twice")
            given[name] = value
            continue
        field, colon, key = value.partition(":")
        if not (field and colon):
            raise BadInput(f"map={value!r}: map takes FIELD:KEY, such as price:Px")
        if field in columns:
            raise BadInput(f"map names the field {field!r} twice")
        columns[field] = key
    return columns, given


def _switch(name: str, given: Mapping[str, str]) -> bool:
    try:
        return _SWITCHES[given.get(name, "false").lower()]
    except KeyError:
        raise BadInput(f"{name}={given[name]!r} must be true or false") from None


def _new(given: Mapping[str, str]) -> NewInstruments | None:
    if not _switch("create", given):
        for name in _OF_NEW:
            if name in given:
                raise BadInput(f"{name} is of new instruments, and goes with create=true")
        return None
    exchange, asset_class, currency = (given.get(name, usual) for name, usual in _OF_NEW.items())
    try:
        known = AssetClass(asset_class.upper())
    except ValueError as error:
        classes = ", ".join(AssetClass)
        raise BadInput(f"asset_class={asset_class!r} is none of {classes}") from error
    if not re.fullmatch(rules.CURRENCY, currency):
        raise BadInput(f"currency={currency!r}: {Reason.BAD_CURRENCY.sentence}")
    return NewInstruments(exchange=exchange_of(exchange), asset_class=known, currency=currency)
