"""Quotes for tests: random ones of all sorts, imported as users do, and the time each is in force.

The recomputation is plain: every quote against every piece of time, in Decimal.
"""

import csv
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.rejects import Rejects
from app.storage.batches import BatchKind, Counts
from app.storage.database import Connection
from app.validation.reasons import Reason
from tests.query.market import new_instruments

FOREVER = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawQuote:
    time: datetime
    quote_id: int
    bid: Decimal | None
    ask: Decimal | None

    @property
    def mid(self) -> Decimal | None:
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2

    @property
    def spread(self) -> Decimal | None:
        return None if self.bid is None or self.ask is None else self.ask - self.bid

    @property
    def relative(self) -> Decimal | None:
        if self.spread is None or self.mid is None or self.mid <= 0:
            return None
        return self.spread / self.mid * 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a bucket: the bucket's label, and [start, end)."""

    label: datetime
    start: datetime
    end: datetime


def store_quotes(
    connection: Connection, folder: Path, symbol: str, mic: str, quotes: Iterable[RawQuote]
) -> Counts:
    path = folder / "quotes.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time", "quote_id", "bid", "ask", "bid_size", "ask_size"))
        for each in quotes:
            sizes = ("" if each.bid is None else 3, "" if each.ask is None else "0.5")
            writer.writerow((each.time.isoformat(), each.quote_id, each.bid, each.ask, *sizes))
    delivery = Delivery(
        kind=BatchKind.QUOTES,
        source="file:quotes.csv",
        actor="test",
        symbol=symbol,
        create=new_instruments(mic),
        waived=frozenset({Reason.CROSSED_QUOTE}),
    )
    counts = import_file(connection, path, delivery, Rejects(), lambda _: None).counts
    assert counts.rejected == 0
    return counts


def random_quotes(seed: int, times: Sequence[datetime]) -> list[RawQuote]:
    """Make a quote at each time: in ten one or two of one side, some locked and some crossed."""
    rng = random.Random(seed)
    ids = rng.sample(range(10**12), len(times))
    mid, quotes = Decimal("100"), []
    for time, quote_id in zip(times, ids, strict=True):
        mid += Decimal(rng.randint(-20, 20)).scaleb(-3)
        half = Decimal(rng.choice((0, 1, 2, 5, 9, 13, -3))).scaleb(-rng.choice((2, 3, 4)))
        bid: Decimal | None = mid - half
        ask: Decimal | None = mid + half + Decimal(rng.choice((0, 1, 7))).scaleb(-6)
        missing = rng.random()
        if missing < 0.07:
            bid = None
        elif missing < 0.14:
            ask = None
        quotes.append(RawQuote(time=time, quote_id=quote_id, bid=bid, ask=ask))
    return sorted(quotes, key=lambda each: (each.time, each.quote_id))


def random_times(
    seed: int, start: datetime, count: int, gap_s: float, far: timedelta | None = None
) -> list[datetime]:
    """Give times that wander on; one in five is the one before, some come `far` later."""
    rng = random.Random(seed)
    time, times = start, []
    for _ in range(count):
        if rng.random() > 0.2:
            time += timedelta(microseconds=rng.randint(1, int(gap_s * 2e6)))
        if far is not None and rng.random() < 4 / count:
            time += far
        times.append(time)
    return times


def held(
    quotes: Sequence[RawQuote], start: datetime, end: datetime
) -> list[tuple[RawQuote, Decimal]]:
    """Give the quotes in force within [start, end), each with its seconds there."""
    found = []
    nexts = [*(each.time for each in quotes[1:]), FOREVER]
    for quote, until in zip(quotes, nexts, strict=True):
        seconds = min(until, end) - max(quote.time, start)
        if seconds > timedelta():
            found.append((quote, Decimal(seconds // timedelta(microseconds=1)) / 1_000_000))
    return found


def weighted(
    parts: Sequence[tuple[RawQuote, Decimal]], of: Callable[[RawQuote], Decimal | None]
) -> float | None:
    """Average what quotes have by their seconds; those that have none are left out."""
    known = [(value, seconds) for quote, seconds in parts if (value := of(quote)) is not None]
    total = sum((seconds for _, seconds in known), Decimal())
    if not total:
        return None
    return float(sum((value * seconds for value, seconds in known), Decimal()) / total)


def mean(values: Iterable[Decimal | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(sum(known, Decimal()) / len(known)) if known else None
