"""Read quotes page by page, of many instruments at once, oldest first."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import groupby
from operator import attrgetter, itemgetter

from app.errors import BadCursor
from app.market.grid import micros, moment_of
from app.market.quote import Quote
from app.query.looks import Look, check_page, first_look, look
from app.query.market import Market
from app.query.quotes.rows import COLUMNS, FIRST_LOOK, quote_of
from app.query.quotes.spans import TICK, read_spans
from app.storage.reader import Reader

_CURSOR = re.compile(r"(-?[0-9]{1,17})\.([0-9]{1,19})")
_MAX_ID = (1 << 63) - 1

# quotes: each instrument's next quotes after a key, in the order of the key; a row without any too.
QUOTES = f"""
SELECT s.part, f.*
FROM unnest($3::integer[], $4::timestamptz[], $5::timestamptz[]) WITH ORDINALITY
     AS s (instrument_id, first_time, end_time, part)
LEFT JOIN LATERAL (
    SELECT {COLUMNS}
    FROM quote
    WHERE instrument_id = s.instrument_id
      AND event_time >= s.first_time AND event_time < s.end_time
      AND event_time >= $1 AND event_time < $2
      AND (event_time, quote_id) > ($6::timestamptz, $7::bigint)
    ORDER BY event_time, quote_id
    LIMIT $8
) AS f ON true
ORDER BY s.part, f.event_time, f.quote_id
"""  # noqa: S608 - built from a constant of this package


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotePage:
    """Which quotes: within [start, end), after a key (time, id), the first so many."""

    start: datetime | None
    end: datetime | None
    first: int
    after: tuple[datetime, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotes:
    """One page, and whether there is more behind it."""

    quotes: list[Quote]
    has_next: bool


def quote_page(
    start: datetime | None, end: datetime | None, first: int, after: str | None, max_points: int
) -> QuotePage:
    """Check the arguments of a quote list; `after` is a key as `quote_key` writes it.

    Raises:
        BadRange, RangeTooLarge, BadInput, BadCursor: one of them cannot be used.
    """
    check_page(start, end, first, max_points)
    return QuotePage(
        start=start, end=end, first=first, after=None if after is None else _read_key(after)
    )


def quote_key(quote: Quote) -> str:
    """Write a quote's place in its list: microseconds since 1970 and its id."""
    return f"{micros(quote.time)}.{quote.quote_id}"


def _read_key(key: str) -> tuple[datetime, int]:
    match = _CURSOR.fullmatch(key)
    if match is not None and int(match[2]) <= _MAX_ID:
        with suppress(OverflowError):
            return moment_of(int(match[1])), int(match[2])
    raise BadCursor(f"{key!r} is no cursor of a quote list")


async def read_quotes(
    market: Market, instrument_ids: Sequence[int], page: QuotePage
) -> list[Quotes]:
    """Give each instrument's page. The number of statements does not depend on their number."""
    found = [Quotes(quotes=[], has_next=False) for _ in instrument_ids]
    spans = await read_spans(market.reader, instrument_ids)
    since = [each for each in (page.start, page.after and page.after[0]) if each]
    looks: list[Look] = []
    for place, instrument_id in enumerate(instrument_ids):
        span = spans.get(instrument_id)
        if span is None:
            continue
        start = max(span.first, *since) if since else span.first
        end = span.end if page.end is None else min(span.end, page.end)
        looks += first_look(place, instrument_id, start, end, FIRST_LOOK)
    return await look(looks, partial(_page, market.reader, page), attrgetter("has_next"), found)


async def _page(reader: Reader, page: QuotePage, looks: Sequence[Look]) -> dict[int, Quotes]:
    start = min(each.start for each in looks)
    after = page.after or (start - TICK, 0)
    rows = await reader.fetch(
        QUOTES,
        start,
        max(each.until for each in looks),
        [each.instrument_id for each in looks],
        [each.start for each in looks],
        [each.until for each in looks],
        *after,
        page.first + 1,
    )
    pages = {}
    for part, own in groupby(rows, key=itemgetter("part")):
        quotes = [quote_of(row) for row in own if row["quote_id"] is not None]
        more = len(quotes) > page.first
        pages[looks[part - 1].place] = Quotes(quotes=quotes[: page.first], has_next=more)
    return pages
