"""Read the quotes in force at given times: each the newest at or before its time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.market.quote import Quote
from app.query.looks import WIDEN
from app.query.market import Market
from app.query.quotes.rows import COLUMNS, FIRST_LOOK, quote_of
from app.query.quotes.spans import TICK, Span, read_spans
from app.storage.reader import Reader

# in_force: the newest quote before each of some instruments' times; a row without one too.
IN_FORCE = f"""
SELECT s.part, f.*
FROM unnest($3::integer[], $4::timestamptz[], $5::timestamptz[]) WITH ORDINALITY
     AS s (instrument_id, look_from, before, part)
LEFT JOIN LATERAL (
    SELECT {COLUMNS}
    FROM quote
    WHERE instrument_id = s.instrument_id
      AND event_time >= s.look_from AND event_time < s.before
      AND event_time >= $1 AND event_time < $2
    ORDER BY event_time DESC, quote_id DESC
    LIMIT 1
) AS f ON true
ORDER BY s.part
"""  # noqa: S608 - built from a constant of this package


@dataclass(frozen=True, slots=True, kw_only=True)
class _Back:
    place: int
    instrument_id: int
    look_from: datetime
    before: datetime
    first: datetime


async def read_in_force(
    market: Market, asked: Sequence[tuple[int, datetime]]
) -> list[Quote | None]:
    """Give the newest quote at or before each (instrument, time); None where there is none yet.

    The look back begins with some days and widens for those that have none there.
    """
    reader = market.reader
    spans = await read_spans(reader, [instrument_id for instrument_id, _ in asked])
    return await quotes_before(reader, [(each, at + TICK) for each, at in asked], spans)


async def read_latest_quotes(market: Market, instrument_ids: Sequence[int]) -> list[Quote | None]:
    """Give each instrument's newest quote."""
    spans = await read_spans(market.reader, instrument_ids)
    asked = [(each, spans[each].end) for each in instrument_ids if each in spans]
    found = await quotes_before(market.reader, asked, spans)
    newest = {each: quote for (each, _), quote in zip(asked, found, strict=True)}
    return [newest.get(each) for each in instrument_ids]


async def quotes_before(
    reader: Reader, asked: Sequence[tuple[int, datetime]], spans: Mapping[int, Span]
) -> list[Quote | None]:
    """Give the newest quote before each (instrument, time), of instruments with known spans."""
    found: list[Quote | None] = []
    looks = []
    for place, (instrument_id, moment) in enumerate(asked):
        found.append(None)
        span = spans.get(instrument_id)
        if span is None or moment <= span.first:
            continue
        before = min(moment, span.end)
        look_from = max(span.first, before - FIRST_LOOK)
        looks.append(
            _Back(place=place, instrument_id=instrument_id, look_from=look_from, before=before,
                  first=span.first)
        )  # fmt: skip
    while looks:
        rows = await reader.fetch(
            IN_FORCE,
            min(look.look_from for look in looks),
            max(look.before for look in looks),
            [look.instrument_id for look in looks],
            [look.look_from for look in looks],
            [look.before for look in looks],
        )
        again = []
        for look, row in zip(looks, rows, strict=True):
            if row["quote_id"] is not None:
                found[look.place] = quote_of(row)
            elif look.look_from > look.first:
                again.append(_further_back(look))
        looks = again
    return found


def _further_back(look: _Back) -> _Back:
    """Look at what lies before, further back."""
    reach = (look.before - look.look_from) * WIDEN
    before = look.look_from
    far = before - look.first <= reach
    return replace(look, before=before, look_from=look.first if far else before - reach)
