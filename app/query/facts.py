"""What is known of instruments before their rows are read: spans, sources, unfollowed batches.

Kept in the process and yet never stale: every statement that was planned from these facts also
tells the newest batch of its own snapshot (`MARKS`). If that is newer than the facts, the log says
which instruments it touched, and questions about those are asked again.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from app.market.instrument import CandleSource
from app.query.ledger import MARKS, Ledger, Marks, Touched, marks_of
from app.storage.reader import Reader, Row

MAX_INSTRUMENTS = 100_000

# facts: which rows each instrument has (trades as interval 0), and what unfollowed batches touched.
FACTS = f"""
SELECT i.instrument_id, i.candle_source, l.interval_minutes, l.first_time, l.last_time,
       l.first_trading_date, l.last_trading_date, {MARKS},
       u.batch_ids, u.kinds, u.first_times, u.last_times
FROM instrument AS i
LEFT JOIN latest AS l USING (instrument_id)
CROSS JOIN LATERAL (
    SELECT array_agg(r.batch_id) AS batch_ids, array_agg(r.kind) AS kinds,
           array_agg(greatest(r.first_time, h.kept_from)) AS first_times,
           array_agg(r.last_time) AS last_times
    FROM batch_range AS r
    LEFT JOIN retention AS h ON h.kind = r.kind
    WHERE r.instrument_id = i.instrument_id AND r.kind IN ('TRADES', 'BARS')
      AND r.last_time >= coalesce(h.kept_from, '-infinity')
      AND r.batch_id > (SELECT refreshed_batch_id FROM rollup_state)
) AS u
WHERE i.instrument_id = ANY ($1::integer[])
ORDER BY i.instrument_id, l.interval_minutes
"""  # noqa: S608 - built from a constant of this module


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """First and last time and trading date of an instrument's rows of one kind."""

    first_time: datetime
    last_time: datetime
    first_trading_date: date
    last_trading_date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfollowed:
    """A closed range that a batch touched and the roll-ups may not have yet."""

    batch_id: int
    kind: CandleSource
    first_time: datetime
    last_time: datetime


@dataclass(slots=True, kw_only=True)
class Facts:
    """What is known of one instrument; extents by native interval in minutes, trades as 0."""

    candle_source: CandleSource | None = None
    extents: dict[int, Extent] = field(default_factory=dict)
    unfollowed: list[Unfollowed] = field(default_factory=list)

    def watermark(self, minutes: int) -> datetime:
        """Give the time up to which rows have come in: a bar counts to its end."""
        return self.extents[minutes].last_time + timedelta(minutes=minutes)

    def stale(self, source: CandleSource) -> list[tuple[datetime, datetime]]:
        """Give the ranges that must be read from the rows."""
        return [
            (each.first_time, each.last_time) for each in self.unfollowed if each.kind is source
        ]

    def follow(self, batch_id: int) -> None:
        """Let go of what the roll-ups have followed by now."""
        if self.unfollowed:
            self.unfollowed = [each for each in self.unfollowed if each.batch_id > batch_id]


class FactBook:
    """The facts of many instruments as of the ledger's marks; least recently asked out first."""

    def __init__(
        self,
        reader: Reader,
        ledger: Ledger,
        *,
        continuous: bool,
        max_instruments: int = MAX_INSTRUMENTS,
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._continuous = continuous
        self._max = max_instruments
        self._facts: OrderedDict[int, Facts] = OrderedDict()
        ledger.tell(self._forget)

    async def of(self, instrument_ids: Iterable[int]) -> dict[int, Facts]:
        """Give the facts of each instrument, from memory where they are there."""
        wanted = dict.fromkeys(instrument_ids)
        kept = {each: self._facts[each] for each in wanted if each in self._facts}
        for each in kept:
            self._facts.move_to_end(each)
        missing = [each for each in wanted if each not in kept]
        return kept | await self.anew(missing) if missing else kept

    async def anew(self, instrument_ids: Sequence[int]) -> dict[int, Facts]:
        """Give the facts of each instrument, read now."""
        loaded: dict[int, Facts] = {}
        if not instrument_ids:
            return loaded
        rows = await self._reader.fetch(FACTS, instrument_ids)
        for row in rows:
            facts = loaded.get(row["instrument_id"])
            if facts is None:
                facts = loaded[row["instrument_id"]] = self._facts_of(row)
            if row["interval_minutes"] is not None:
                facts.extents[row["interval_minutes"]] = Extent(
                    first_time=row["first_time"],
                    last_time=row["last_time"],
                    first_trading_date=row["first_trading_date"],
                    last_trading_date=row["last_trading_date"],
                )
        marks = marks_of(rows[0])
        await self._ledger.follow(marks)
        # Where a batch came between, what it touched is not known for these.
        if self._ledger.marks is not None and self._ledger.marks.newest == marks.newest:
            # Equal questions load at one time: what the first has put in stays, for all of them.
            loaded = {each: self._facts.setdefault(each, new) for each, new in loaded.items()}
        while len(self._facts) > self._max:
            self._facts.popitem(last=False)
        return loaded

    async def outdated(self, marks: Marks | None, facts: dict[int, Facts]) -> set[int]:
        """Give the instruments that a batch has touched since their facts were read.

        `marks` are those of the statement that was planned from the facts, or None where there was
        no need for one. An answer of a touched instrument may be torn: it must be asked for again.
        """
        if marks is None:
            (row,) = await self._reader.fetch(f"SELECT {MARKS}")
            marks = marks_of(row)
        await self._ledger.follow(marks)
        for each in facts.values():
            each.follow(marks.followed)
        return {each for each, known in facts.items() if self._facts.get(each) is not known}

    def _forget(self, touched: list[Touched], everything: bool) -> None:
        if everything:
            self._facts.clear()
        for each in touched:
            self._facts.pop(each.instrument_id, None)

    def _facts_of(self, row: Row) -> Facts:
        source = row["candle_source"]
        unfollowed = zip(
            row["batch_ids"] or (),
            row["kinds"] or (),
            row["first_times"] or (),
            row["last_times"] or (),
            strict=True,
        )
        return Facts(
            candle_source=None if source is None else CandleSource(source),
            unfollowed=[
                Unfollowed(
                    batch_id=batch_id,
                    kind=CandleSource(kind),
                    first_time=first_time,
                    last_time=last_time,
                )
                for batch_id, kind, first_time, last_time in unfollowed
                if self._continuous
            ],
        )
