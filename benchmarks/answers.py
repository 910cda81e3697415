"""Compare what contenders answer: the same candles, whatever they look like."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import orjson

Candles = dict[str, list[tuple[datetime, Decimal, Decimal, Decimal, Decimal, Decimal]]]
_FIELDS = ("open", "high", "low", "close", "volume")


def candles_of(answer: bytes) -> Candles:
    """Read an answer of Tickgraph or PostGraphile: candles by symbol, oldest first."""
    response = orjson.loads(answer)
    assert "errors" not in response, response["errors"]
    root = response["data"]
    listed = root.get("instruments") or root.get("allInstrumentsList")
    return {each["symbol"]: _sorted(each) for each in listed}


def _sorted(
    instrument: Mapping[str, list[dict[str, str]]],
) -> list[tuple[datetime, Decimal, Decimal, Decimal, Decimal, Decimal]]:
    rows = instrument.get("candles") or instrument["barsByInstrumentIdList"]
    found = []
    for row in rows:
        opened, high, low, close, volume = (Decimal(row[name]) for name in _FIELDS)
        time = datetime.fromisoformat(row.get("time") or row["barStart"])
        found.append((time, opened, high, low, close, volume))
    return sorted(found)
