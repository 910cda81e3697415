"""Statistics of an instrument's spread over a range: by quote, and by the time in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.errors import BadRange, RangeTooLarge, TickgraphError
from app.query.looks import WIDEN
from app.query.market import Market, Subject
from app.query.quotes.rows import FIRST_LOOK
from app.query.quotes.spans import read_spans
from app.storage.reader import Reader, Row

# Half a minute of reading, about.
MAX_QUOTES = 5_000_000

# spread_statistics: of the quotes in [$1, $2) and the one in force before; $3 bounds the look back.
STATISTICS = """
SELECT s.part, p.event_time IS NOT NULL AS has_before, f.*
FROM unnest($4::integer[], $5::timestamptz[]) WITH ORDINALITY AS s (instrument_id, look_from, part)
LEFT JOIN LATERAL (
    SELECT event_time, quote_id, bid, ask
    FROM quote
    WHERE instrument_id = s.instrument_id
      AND event_time >= s.look_from AND event_time < $1 AND event_time >= $3
    ORDER BY event_time DESC, quote_id DESC
    LIMIT 1
) AS p ON true
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE w.counts) AS quotes,
           avg(w.spread) FILTER (WHERE w.counts) AS mean_spread,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY w.spread) FILTER (WHERE w.counts)
               AS median_spread,
           min(w.spread) FILTER (WHERE w.counts) AS min_spread,
           max(w.spread) FILTER (WHERE w.counts) AS max_spread,
           coalesce(sum(w.held), 0) AS seconds_quoted,
           coalesce(sum(w.held) FILTER (WHERE w.spread IS NOT NULL), 0) AS seconds_both,
           coalesce(sum(w.held) FILTER (WHERE w.spread < 0), 0) AS seconds_crossed,
           coalesce(sum(w.held) FILTER (WHERE w.spread = 0), 0) AS seconds_locked,
           sum(w.spread * w.held) AS spread_seconds,
           sum(w.relative * w.held) AS relative_seconds,
           sum(w.held) FILTER (WHERE w.relative IS NOT NULL) AS seconds_relative
    FROM (
        SELECT r.counts, (r.ask - r.bid)::double precision AS spread,
               CASE WHEN r.bid + r.ask > 0
                    THEN 20000 * (r.ask - r.bid)::double precision
                         / (r.bid + r.ask)::double precision END AS relative,
               greatest(0, date_part('epoch',
                   least(lead(r.event_time) OVER (ORDER BY r.event_time, r.quote_id), $2,
                         greatest(now(), r.event_time)) - greatest(r.event_time, $1))) AS held
        FROM (
            SELECT p.*, false AS counts
            WHERE p.event_time IS NOT NULL
            UNION ALL
            (SELECT event_time, quote_id, bid, ask, true
             FROM quote
             WHERE instrument_id = s.instrument_id AND event_time >= $1 AND event_time < $2
             ORDER BY event_time, quote_id
             LIMIT $6)
        ) AS r
        OFFSET 0  -- each spread is made once, not for every aggregate
    ) AS w
) AS f
ORDER BY s.part
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadStatistics:
    """Spreads in the instrument's currency, times in seconds, shares from 0 to 1; None: no such."""

    quotes: int
    mean_spread: float | None
    median_spread: float | None
    min_spread: float | None
    max_spread: float | None
    time_weighted_spread: float | None
    relative_spread_bps: float | None
    quoted_seconds: float
    both_sides_share: float | None
    locked_share: float | None
    crossed_share: float | None


def statistics_range(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Check a range that must be given.

    Raises:
        BadRange: it is inside out or empty.
    """
    if start >= end:
        raise BadRange(
            f"`from` {start.isoformat()} must be before `to` {end.isoformat()}: the range is empty"
        )
    return start, end


async def read_spread_statistics(
    market: Market, subjects: Sequence[Subject], start: datetime, end: datetime
) -> list[SpreadStatistics | TickgraphError]:
    """Give each subject's statistics; one statement for all, where quotes do not lie far apart."""
    found: dict[int, Row] = {}
    spans = await read_spans(market.reader, [each.instrument_id for each in subjects])
    ids = [each for each, span in spans.items() if span.first < end]
    back = FIRST_LOOK
    while ids:
        firsts = [min(spans[each].first, start) for each in ids]
        looks = [start - min(back, start - first) for first in firsts]
        rows = await _read(market.reader, ids, start, end, looks)
        found |= dict(zip(ids, rows, strict=True))
        ids = [
            each
            for each, look, first in zip(ids, looks, firsts, strict=True)
            if look > first and not found[each]["has_before"]
        ]
        back *= WIDEN
    return [_checked(subject, found.get(subject.instrument_id)) for subject in subjects]


async def _read(
    reader: Reader, ids: Sequence[int], start: datetime, end: datetime, looks: Sequence[datetime]
) -> list[Row]:
    return await reader.fetch(STATISTICS, start, end, min(looks), ids, looks, MAX_QUOTES + 1)


def _checked(subject: Subject, row: Row | None) -> SpreadStatistics | TickgraphError:
    if row is not None and row["quotes"] > MAX_QUOTES:
        return RangeTooLarge(
            f"{subject.symbol!r} has more than {MAX_QUOTES:,} quotes in the range: ask for a"
            " shorter one",
            max_quotes=MAX_QUOTES,
        )
    if row is None:
        return SpreadStatistics(
            quotes=0, mean_spread=None, median_spread=None, min_spread=None, max_spread=None,
            time_weighted_spread=None, relative_spread_bps=None, quoted_seconds=0.0,
            both_sides_share=None, locked_share=None, crossed_share=None,
        )  # fmt: skip
    both = row["seconds_both"]
    return SpreadStatistics(
        quotes=row["quotes"],
        mean_spread=row["mean_spread"],
        median_spread=row["median_spread"],
        min_spread=row["min_spread"],
        max_spread=row["max_spread"],
        time_weighted_spread=_share(row["spread_seconds"], both),
        relative_spread_bps=_share(row["relative_seconds"], row["seconds_relative"]),
        quoted_seconds=row["seconds_quoted"],
        both_sides_share=_share(both, row["seconds_quoted"]),
        locked_share=_share(row["seconds_locked"], both),
        crossed_share=_share(row["seconds_crossed"], both),
    )


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None
