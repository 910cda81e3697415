"""Who is screened, and on which date: each exchange's newest one, or the one that is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from app.errors import BadInput, BadRange
from app.market.instrument import Exchange
from app.query.ledger import MARKS, Marks, marks_of
from app.query.screens.question import Screen
from app.storage.reader import Reader, Row

# universe: instruments with rows that give days, by exchange and the interval of those rows in
# minutes (0: trades), as app.query.plan chooses it. The dates are of all instruments of the
# exchange, the ids of those asked for.
UNIVERSE = f"""
SELECT m.*, g.*
FROM (
    SELECT {MARKS},
           EXISTS (
               SELECT FROM batch_range
               WHERE kind IN ('TRADES', 'BARS')
                 AND batch_id > (SELECT refreshed_batch_id FROM rollup_state)
           ) AS stale,
           EXISTS (SELECT FROM corporate_action WHERE kind = 'SPLIT') AS splits,
           ARRAY (SELECT mic FROM exchange WHERE mic = ANY ($1::text[])) AS known
) AS m
LEFT JOIN (
    SELECT x.mic, x.calendar, x.timezone, c.minutes, max(c.last_trading_date) AS newest_date,
           array_agg(i.instrument_id) FILTER (
               WHERE ($2::text[] IS NULL OR i.asset_class = ANY ($2))
                 AND ($3::text[] IS NULL OR i.currency = ANY ($3))
           ) AS instrument_ids
    FROM instrument AS i
    JOIN exchange AS x ON x.mic = i.exchange
    CROSS JOIN LATERAL (
        SELECT l.interval_minutes AS minutes, l.last_trading_date
        FROM latest AS l
        WHERE l.instrument_id = i.instrument_id
          AND (l.interval_minutes = 0) = (i.candle_source = 'TRADES')
          AND 1440 % greatest(l.interval_minutes, 1) = 0
        ORDER BY l.interval_minutes DESC
        LIMIT 1
    ) AS c
    WHERE $1::text[] IS NULL OR i.exchange = ANY ($1)
    GROUP BY x.mic, c.minutes
) AS g ON true
ORDER BY g.mic, g.minutes
"""  # noqa: S608 - built from a constant of app.query.ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Instruments of one exchange whose days are made of rows of one interval (0: trades)."""

    mic: str
    minutes: int
    instrument_ids: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """Who is screened, and the newest date of each exchange, or the one asked for, by MIC.

    As of `marks`, `stale` tells that roll-ups lack batches, `splits` that there are any.
    """

    exchanges: tuple[Exchange, ...]
    dates: dict[str, date]
    groups: tuple[Group, ...]
    stale: bool
    splits: bool
    marks: Marks


async def universe_of(reader: Reader, screen: Screen) -> Universe:
    """Find who is screened.

    Raises:
        BadInput: an exchange is not known.
        BadRange: the date lies in the future.
    """
    rows = await reader.fetch(
        UNIVERSE, _listed(screen.exchanges), _listed(screen.asset_classes), screen.currencies
    )
    known = set(rows[0]["known"])
    unknown = [mic for mic in screen.exchanges or () if mic not in known]
    if unknown:
        raise BadInput(
            f"exchange {unknown[0]!r} is not one that instruments here trade at: give MICs such as"
            " 'XNYS', or '24/7'"
        )
    found = [row for row in rows if row["mic"] is not None]
    newest: dict[str, date] = {}
    for row in found:
        newest[row["mic"]] = max(newest.get(row["mic"], row["newest_date"]), row["newest_date"])
    if screen.on is not None:
        _check(screen.on, max(newest.values(), default=None))
    exchanges = {row["mic"]: _exchange(row) for row in found}
    return Universe(
        exchanges=tuple(exchanges.values()),
        dates={mic: screen.on or newest[mic] for mic in exchanges},
        groups=tuple(
            Group(mic=row["mic"], minutes=row["minutes"], instrument_ids=row["instrument_ids"])
            for row in found
            if row["instrument_ids"]
        ),
        stale=rows[0]["stale"],
        splits=rows[0]["splits"],
        marks=marks_of(rows[0]),
    )


def _check(on: date, newest: date | None) -> None:
    """Refuse a date on which nothing can have happened yet, neither here nor by the clock."""
    last = max(filter(None, (newest, datetime.now(UTC).date())))
    if on > last:
        raise BadRange(f"`on` {on.isoformat()!r} is in the future: the last date is {last}")


def _listed(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else [str(each) for each in values]


def _exchange(row: Row) -> Exchange:
    return Exchange(mic=row["mic"], calendar=row["calendar"], timezone=row["timezone"])
