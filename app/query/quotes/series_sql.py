"""Write the one statement that makes buckets of quotes, however they are cut.

$1 and $2 bound the time of all quotes, $3 that of the quotes in force before; $4 is how many of the
newest buckets, $5 to $10 the instruments, $11 the session; what follows depends on the cut.
"""

from dataclasses import dataclass
from enum import Enum


class Cut(Enum):
    """How buckets begin."""

    CLOCK = "every so many seconds"
    LISTED = "at the starts of a grid"
    DAYS = "at every so many trading dates"
    MONTHS = "at every so many months of trading dates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How buckets are cut, and whether only pieces of them count."""

    cut: Cut
    pieces: bool


# What tells a quote's bucket, made once a quote; then the bucket's time, start and end.
_DATED = "time_bucket(make_interval({} => $12::integer), q.trading_date)"
_CUTS = {
    Cut.CLOCK: (
        "time_bucket(make_interval(secs => $12::integer), q.event_time)",
        "r.cut",
        "r.cut",
        "r.cut + make_interval(secs => $12::integer)",
    ),
    Cut.LISTED: (
        "width_bucket(q.event_time, $12::timestamptz[])",
        "($12::timestamptz[])[r.cut]",
        "($12::timestamptz[])[r.cut]",
        "($13::timestamptz[])[r.cut]",
    ),
    Cut.DAYS: (_DATED.format("days"), "r.cut::timestamp AT TIME ZONE 'UTC'", "NULL", "NULL"),
    Cut.MONTHS: (_DATED.format("months"), "r.cut::timestamp AT TIME ZONE 'UTC'", "NULL", "NULL"),
}

# OFFSET 0 keeps what one level has made from being made again by the next: half the time.
# quote_series: each instrument's newest buckets with quotes, oldest first; a row without any too.
_SERIES = """
SELECT s.part, p.event_time IS NOT NULL AS has_before, f.*
FROM unnest($5::integer[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::date[],
            $10::date[]) WITH ORDINALITY
     AS s (instrument_id, first_time, end_time, look_from, first_date, end_date, part)
LEFT JOIN LATERAL (
    SELECT event_time, quote_id, bid, ask, session, trading_date
    FROM quote
    WHERE instrument_id = s.instrument_id
      AND event_time >= s.look_from AND event_time < s.first_time
      AND event_time >= $3 AND event_time < $2
    ORDER BY event_time DESC, quote_id DESC
    LIMIT 1
) AS p ON true
LEFT JOIN LATERAL (
    SELECT {columns}
    FROM (
        SELECT w.bucket AS time,
               last(w.bid, w.place)::double precision AS bid,
               last(w.ask, w.place)::double precision AS ask,
               (first(w.mid, w.place) FILTER (WHERE w.mid IS NOT NULL))::double precision AS open,
               max(w.mid)::double precision AS high,
               min(w.mid)::double precision AS low,
               (last(w.mid, w.place) FILTER (WHERE w.mid IS NOT NULL))::double precision AS close,
               avg(w.spread) AS mean_spread,
               (coalesce(sum(w.spread * w.held), 0) + coalesce(sum(w.spread_before * w.led), 0))
               / nullif(coalesce(sum(w.held) FILTER (WHERE w.spread IS NOT NULL), 0)
                        + coalesce(sum(w.led) FILTER (WHERE w.spread_before IS NOT NULL), 0), 0)
                   AS time_weighted_spread,
               (coalesce(sum(w.relative * w.held), 0)
                + coalesce(sum(w.relative_before * w.led), 0))
               / nullif(coalesce(sum(w.held) FILTER (WHERE w.relative IS NOT NULL), 0)
                        + coalesce(sum(w.led) FILTER (WHERE w.relative_before IS NOT NULL), 0), 0)
                   AS relative_spread_bps,
               count(*) AS count
        FROM (
            SELECT v.*,
                   {seconds_held} AS held,
                   CASE WHEN v.begins THEN {seconds_led} ELSE 0 END AS led
            FROM (
                SELECT u.*,
                       row_number() OVER by_time AS place,
                       lead(u.event_time) OVER by_time AS next_time,
                       lag(u.event_time) OVER by_time AS time_before,
                       lag(u.spread) OVER by_time AS spread_before,
                       lag(u.relative) OVER by_time AS relative_before,
                       lag(u.piece_start) OVER by_time IS DISTINCT FROM u.piece_start AS begins
                FROM (
                    SELECT r.*, (r.bid + r.ask) * 0.5 AS mid,
                           (r.ask - r.bid)::double precision AS spread,
                           CASE WHEN r.bid + r.ask > 0
                                THEN 20000 * (r.ask - r.bid)::double precision
                                     / (r.bid + r.ask)::double precision END AS relative,
                           CASE WHEN r.counts THEN {bucket} END AS bucket,
                           CASE WHEN r.counts THEN {start} END AS piece_start,
                           CASE WHEN r.counts THEN {end} END AS piece_end
                    FROM (
                        SELECT q.*, CASE WHEN q.counts THEN {cut} END AS cut, {part} AS part
                        FROM (
                            SELECT p.*, false AS counts
                            WHERE p.event_time IS NOT NULL
                            UNION ALL
                            SELECT event_time, quote_id, bid, ask, session, trading_date,
                                   ($11::smallint IS NULL OR session = $11::smallint) AND {within}
                            FROM quote
                            WHERE instrument_id = s.instrument_id
                              AND event_time >= s.first_time AND event_time < s.end_time
                              AND event_time >= $1 AND event_time < $2
                        ) AS q
                        OFFSET 0
                    ) AS r
                    OFFSET 0
                ) AS u
                WINDOW by_time AS (ORDER BY u.event_time, u.quote_id)
            ) AS v
            WHERE v.bucket IS NOT NULL
            OFFSET 0
        ) AS w
        GROUP BY 1
        ORDER BY 1 DESC
        LIMIT $4::integer
    ) AS b
) AS f ON true
ORDER BY s.part
"""

# How long a quote was in force in its own piece: until the next, the piece's end, or now.
_HELD = """greatest(0, date_part('epoch',
        least(v.next_time, v.piece_end, greatest(now(), v.event_time))
        - greatest(v.event_time, v.piece_start)))"""
# And the quote before it, where this is the first of a piece.
_LED = """coalesce(greatest(0, date_part('epoch',
        least(v.event_time, v.piece_end) - greatest(v.time_before, v.piece_start))), 0)"""

COLUMNS = (
    "time",
    "bid",
    "ask",
    "open",
    "high",
    "low",
    "close",
    "mean_spread",
    "time_weighted_spread",
    "relative_spread_bps",
    "count",
)


def series_statement(layout: Layout) -> str:
    """Write the SQL of a layout; pieces are its last two values, arrays of starts and ends."""
    cut, bucket, start, end = _CUTS[layout.cut]
    part = "NULL"
    if layout.pieces:
        after = 14 if layout.cut is Cut.LISTED else 13
        starts, ends = f"${after}::timestamptz[]", f"${after + 1}::timestamptz[]"
        part = f"width_bucket(q.event_time, {starts})"
        start = f"greatest({start}, ({starts})[r.part])"
        end = f"least({end}, ({ends})[r.part])"
    dated = layout.cut in (Cut.DAYS, Cut.MONTHS)
    within = "trading_date >= s.first_date AND trading_date < s.end_date" if dated else "true"
    return _SERIES.format(
        columns=", ".join(f"array_agg(b.{each} ORDER BY b.time) AS {each}" for each in COLUMNS),
        cut=cut,
        part=part,
        bucket=bucket,
        start=start,
        end=end,
        within=within,
        seconds_held=_HELD,
        seconds_led=_LED,
    )
