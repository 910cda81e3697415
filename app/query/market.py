"""What reading a market takes: connections, remembered facts, and what the server promises."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from app.query.adjustments import AdjustmentBook
from app.query.answers import AnswerCache
from app.query.calendars import Calendars
from app.query.facts import FactBook
from app.query.instruments import InstrumentBook
from app.query.ledger import Ledger
from app.storage.reader import Reader

_MAX_ANSWERS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Shared by all questions of a process; `max_points` bounds one list."""

    reader: Reader
    ledger: Ledger
    instruments: InstrumentBook
    book: FactBook
    calendars: Calendars
    adjustments: AdjustmentBook
    fragments: AnswerCache
    responses: AnswerCache
    max_points: int
    lateness: timedelta


def open_market(
    reader: Reader,
    *,
    continuous: bool,
    max_points: int,
    lateness: timedelta,
    cache_bytes: int,
    clock: Callable[[], float] = time.monotonic,
) -> Market:
    """Put together what reading takes; half of the cache is for fragments, half for responses.

    `continuous` tells that the roll-ups are continuous aggregates, which have to be followed.
    """
    ledger = Ledger(reader, clock=clock)
    return Market(
        reader=reader,
        ledger=ledger,
        instruments=InstrumentBook(reader, ledger),
        book=FactBook(reader, ledger, continuous=continuous),
        calendars=Calendars(),
        adjustments=AdjustmentBook(reader, ledger),
        fragments=AnswerCache(ledger, max_bytes=cache_bytes // 2, max_entries=_MAX_ANSWERS),
        responses=AnswerCache(ledger, max_bytes=cache_bytes // 2, max_entries=_MAX_ANSWERS),
        max_points=max_points,
        lateness=lateness,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The instrument asked about."""

    instrument_id: int
    symbol: str
    exchange: str
