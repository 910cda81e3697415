"""What prices of the past are multiplied by, as corporate actions after them demand.

Remembered and yet never stale: an entry is made from the actions and the closes around them, and
forgotten when a batch touches its instrument where they are. Whoever reads with it compares the
marks of that statement with what the instrument's facts were read at (app.query.facts): a batch
that came between has made those outdated, and everything is asked again.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.market.adjustment import (
    ActionKind,
    Adjustment,
    Closes,
    Effect,
    adjustments,
    effects,
)
from app.market.candle_spec import Adjust
from app.market.interval import midnight
from app.query.ledger import Ledger, Touched
from app.query.plan import DATE_AFTER
from app.storage.corporate_actions import InstrumentActions, of_instruments
from app.storage.reader import Reader

__all__ = ["Adjustment", "AdjustmentBook", "InForce"]

MAX_INSTRUMENTS = 100_000

# Batches of actions touch all time; no row is as early.
_FIRST = datetime(1900, 1, 1, tzinfo=UTC) + timedelta(microseconds=1)

ReadCloses = Callable[[Sequence[int]], Awaitable[dict[int, Closes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """An instrument's effects and the ranges that they come to, in order, without overlaps.

    Rows at `settled_by` or later change nothing of it; None: any row may.
    """

    effects: tuple[Effect, ...]
    ranges: tuple[Adjustment, ...]
    settled_by: datetime | None


class AdjustmentBook:
    """Adjustments of instruments; the least recently asked for out first."""

    def __init__(
        self, reader: Reader, ledger: Ledger, *, max_instruments: int = MAX_INSTRUMENTS
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._max = max_instruments
        self._entries: OrderedDict[int, dict[Adjust, InForce]] = OrderedDict()
        self._loading: list[set[int]] = []
        ledger.tell(self._forget)

    async def of(
        self, instrument_ids: Sequence[int], adjust: Adjust, read_closes: ReadCloses
    ) -> dict[int, InForce]:
        """Give each instrument's adjustments, from memory where they are there; NONE has none.

        `read_closes` gives the daily closes of instruments. At most one statement for the actions
        and one read of closes for all instruments.
        """
        if adjust is Adjust.NONE:
            return {}
        wanted = dict.fromkeys(instrument_ids)
        kept = {each: self._entries[each] for each in wanted if each in self._entries}
        for each in kept:
            self._entries.move_to_end(each)
        missing = [each for each in wanted if each not in kept]
        if missing:
            kept |= await self._load(missing, read_closes)
        return {each: entry[adjust] for each, entry in kept.items()}

    async def _load(
        self, instrument_ids: Sequence[int], read_closes: ReadCloses
    ) -> dict[int, dict[Adjust, InForce]]:
        # A batch between the two statements is told of by the time that this ends: the second one
        # follows the log to its own snapshot.
        untouched = set(instrument_ids) if self._ledger.marks is not None else set()
        self._loading.append(untouched)
        try:
            known = await of_instruments(self._reader, instrument_ids)
            priced = [each for each in known if _needs_closes(known[each])]
            closes = await read_closes(priced) if priced else {}
        finally:
            self._loading = [each for each in self._loading if each is not untouched]
        loaded = {each: _entry(known[each], closes.get(each, Closes())) for each in known}
        self._entries |= {each: entry for each, entry in loaded.items() if each in untouched}
        while len(self._entries) > self._max:
            self._entries.popitem(last=False)
        return loaded

    def _forget(self, touched: list[Touched], everything: bool) -> None:
        if everything:
            self._entries.clear()
        for loading in self._loading:
            if everything:
                loading.clear()
            loading.difference_update(each.instrument_id for each in touched)
        for each in touched:
            entry = self._entries.get(each.instrument_id)
            if entry is None:
                continue
            settled_by = entry[Adjust.ALL].settled_by
            if settled_by is None or each.first_time < settled_by:
                del self._entries[each.instrument_id]


def _needs_closes(known: InstrumentActions) -> bool:
    return known.last_date is not None and any(
        each.kind is not ActionKind.SPLIT and each.ex_date <= known.last_date
        for each in known.actions
    )


def _entry(known: InstrumentActions, closes: Closes) -> dict[Adjust, InForce]:
    entry = {}
    settled_by = _settled_by(known, closes)
    for adjust in Adjust:
        found = effects(
            known.actions,
            closes,
            last_date=known.last_date,
            currency=known.currency,
            adjust=adjust,
        )
        entry[adjust] = InForce(effects=found, ranges=adjustments(found), settled_by=settled_by)
    return entry


def _settled_by(known: InstrumentActions, closes: Closes) -> datetime | None:
    """Give the time from which on rows cannot be among those that were looked at."""
    if not known.actions:
        return _FIRST
    newest = max(each.ex_date for each in known.actions)
    if known.last_date is None or newest > known.last_date:
        return None
    if _needs_closes(known):
        since = closes.since(newest)
        if since is None:
            return None
        newest = max(newest, since[0])
    return midnight(newest) + DATE_AFTER
