"""The newest price of many instruments, from the rows that every write keeps."""

from collections.abc import Sequence

from app.market.candle import LatestPrice
from app.storage.reader import Reader

# latest: the row of the instrument's candle source; of several bar intervals the newest, finest.
LATEST = """
SELECT DISTINCT ON (l.instrument_id)
       l.instrument_id, l.price_time, l.price, l.size, l.price_date
FROM latest AS l
JOIN instrument AS i USING (instrument_id)
WHERE l.instrument_id = ANY ($1::integer[])
  AND (l.interval_minutes = 0) = (i.candle_source = 'TRADES')
  AND l.price_time IS NOT NULL
ORDER BY l.instrument_id, l.price_time + l.interval_minutes * INTERVAL '1 minute' DESC,
         l.interval_minutes
"""


async def read_latest(reader: Reader, instrument_ids: Sequence[int]) -> dict[int, LatestPrice]:
    """Give the newest price of each instrument; those without rows are absent."""
    rows = await reader.fetch(LATEST, list(instrument_ids))
    return {
        row["instrument_id"]: LatestPrice(
            time=row["price_time"],
            price=row["price"],
            size=row["size"],
            trading_date=row["price_date"],
        )
        for row in rows
    }
