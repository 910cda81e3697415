"""The shape in which the closes of trading dates leave the database, exact, as two columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.market.adjustment import Closes
from app.query.shapes import Found
from app.storage.reader import Row


@dataclass(frozen=True, slots=True)
class DailyCloses:
    """Dates and closes of daily candles, oldest first."""

    def sql(self, candles: str) -> str:
        """Ask for one row: the count and the two columns."""
        return f"""
    SELECT count(*) AS count, min(c.time) AS oldest,
           array_agg((c.time AT TIME ZONE 'UTC')::date ORDER BY c.time) AS dates,
           array_agg(c.close ORDER BY c.time) AS prices
    FROM ({candles}) AS c
"""  # noqa: S608 - built from constants of this package

    def read(self, rows: Sequence[Row]) -> Found[Closes]:
        """Take the columns."""
        if not rows or not rows[0]["count"]:
            return Found(count=0, oldest=None, value=Closes())
        (row,) = rows
        closes = Closes(dates=row["dates"], prices=row["prices"])
        return Found(count=row["count"], oldest=row["oldest"], value=closes)
