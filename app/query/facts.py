"""What is known of instruments before their rows are read: spans, sources, unfollowed batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from app.market.instrument import CandleSource
from app.storage.reader import Reader

# spans: which rows each instrument has, trades as interval 0.
SPANS = """
SELECT i.instrument_id, i.candle_source, l.interval_minutes, l.first_time, l.last_time,
       l.first_trading_date, l.last_trading_date
FROM instrument AS i
JOIN latest AS l USING (instrument_id)
WHERE i.instrument_id = ANY ($1::integer[])
ORDER BY i.instrument_id, l.interval_minutes
"""

# unfollowed: what batches touched that the roll-ups have not followed yet.
UNFOLLOWED = """
SELECT kind, instrument_id, first_time, last_time
FROM batch_range
WHERE instrument_id = ANY ($1::integer[])
  AND batch_id > (SELECT refreshed_batch_id FROM rollup_state)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """First and last time and trading date of an instrument's rows of one kind."""

    first_time: datetime
    last_time: datetime
    first_trading_date: date
    last_trading_date: date


@dataclass(slots=True, kw_only=True)
class Facts:
    """What is known of one instrument; extents by native interval in minutes, trades as 0."""

    candle_source: CandleSource | None = None
    extents: dict[int, Extent] = field(default_factory=dict)
    stale: dict[CandleSource, list[tuple[datetime, datetime]]] = field(default_factory=dict)

    def watermark(self, minutes: int) -> datetime:
        """Give the time up to which rows have come in: a bar counts to its end."""
        return self.extents[minutes].last_time + timedelta(minutes=minutes)


async def facts_of(
    reader: Reader, instrument_ids: Sequence[int], *, continuous: bool
) -> dict[int, Facts]:
    """Give the facts of each instrument, in one or two statements.

    Read before the rows: a batch committed before this question began is then either in the
    roll-ups or named here. Plain views (`continuous` false) are never stale.
    """
    found = {instrument_id: Facts() for instrument_id in instrument_ids}
    for row in await reader.fetch(SPANS, list(found)):
        facts = found[row["instrument_id"]]
        if row["candle_source"] is not None:
            facts.candle_source = CandleSource(row["candle_source"])
        facts.extents[row["interval_minutes"]] = Extent(
            first_time=row["first_time"],
            last_time=row["last_time"],
            first_trading_date=row["first_trading_date"],
            last_trading_date=row["last_trading_date"],
        )
    if continuous:
        for row in await reader.fetch(UNFOLLOWED, list(found)):
            stale = found[row["instrument_id"]].stale.setdefault(CandleSource(row["kind"]), [])
            stale.append((row["first_time"], row["last_time"]))
    return found
