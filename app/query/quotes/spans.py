"""The time that instruments' quotes span: what bounds every question about them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.storage.reader import Reader

TICK = timedelta(microseconds=1)

# spans: from the rows that every import keeps (migration 0016).
SPANS = """
SELECT instrument_id, first_time, last_time
FROM quote_span
WHERE instrument_id = ANY ($1::integer[])
ORDER BY instrument_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """All quotes of an instrument lie within [first, end)."""

    first: datetime
    end: datetime


async def read_spans(reader: Reader, instrument_ids: Iterable[int]) -> dict[int, Span]:
    """Give the span of each instrument that has quotes."""
    rows = await reader.fetch(SPANS, list(set(instrument_ids)))
    return {
        row["instrument_id"]: Span(first=row["first_time"], end=row["last_time"] + TICK)
        for row in rows
    }
