"""Bring what came before a date into that date's own terms, across the splits up to it.

Adjusted candles are in today's terms. A screen of a past date shows that date's prices as they were
traded, so only splits between an earlier day and the date itself count. They are read in the
screen's own snapshot: no batch comes between them and the prices.
"""

from collections.abc import Iterable
from datetime import date

from app.query.screens.days import Bound


class Adjusted:
    """Columns of days `d` in the terms of their instrument's date; as stored if not `splits`."""

    def __init__(self, *, splits: bool) -> None:
        self._splits = splits
        self.join = _JOIN if splits else ""

    def listed(self, minutes: Iterable[int], first: date, bound: Bound) -> str:
        """Give the factors as CTEs, of splits after `first`, where there may be any."""
        if not self._splits:
            return ""
        subjects = " UNION ALL ".join(_SUBJECTS.format(minutes=each) for each in minutes)
        return _FACTORS.format(subjects=subjects, first=bound.bind(first, "date"))

    def column(self, name: str) -> str:
        """Give a column; with a factor it has ten digits, as adjusted candles have."""
        if not self._splits:
            return f"d.{name}"
        factor = "f.volume_factor" if name == "volume" else "f.price_factor"
        return (
            f"CASE WHEN f.instrument_id IS NULL THEN d.{name}"
            f" ELSE trim_scale(round(d.{name} * {factor}, 10)) END"
        )


_SUBJECTS = "SELECT s.instrument_id, s.on_date FROM subject_{minutes} AS s"

# Factors have forty digits, as those of candles do. Each row is of the dates before one split and
# not before the one that precedes it; two on one date leave an empty row.
_FACTORS = """split AS MATERIALIZED (
    SELECT a.instrument_id, a.ex_date, round(a.old_shares, 40) / a.new_shares AS price_factor,
           round(a.new_shares, 40) / a.old_shares AS volume_factor,
           row_number() OVER newest AS number,
           coalesce(lead(a.ex_date) OVER newest, '-infinity') AS before
    FROM corporate_action AS a
    JOIN ({subjects}) AS s ON s.instrument_id = a.instrument_id AND a.ex_date <= s.on_date
    WHERE a.kind = 'SPLIT' AND a.ex_date > {first}
    WINDOW newest AS (PARTITION BY a.instrument_id ORDER BY a.ex_date DESC, a.number DESC)
), factor AS (
    SELECT instrument_id, before AS first_date, ex_date AS end_date, price_factor, volume_factor,
           number
    FROM split
    WHERE number = 1
    UNION ALL
    SELECT s.instrument_id, s.before, s.ex_date, round(f.price_factor * s.price_factor, 40),
           round(f.volume_factor * s.volume_factor, 40), s.number
    FROM factor AS f
    JOIN split AS s ON s.instrument_id = f.instrument_id AND s.number = f.number + 1
),
"""

_JOIN = """LEFT JOIN factor AS f ON f.instrument_id = d.instrument_id
        AND d.trading_date >= f.first_date AND d.trading_date < f.end_date"""
