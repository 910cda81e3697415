"""Write the reads of day candles: one row for each instrument and trading date, from any source.

Days of trades and of bars finer than a day come from the daily roll-ups; where batches have touched
days that roll-ups have not followed yet (`touched`), from finer ones, down to the rows. Daily bars
are days as they are. Every read is bounded in time by constants, which let the planner leave chunks
out; names are from the catalogue, values bound.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.market.candle import Session
from app.market.interval import midnight
from app.query.asks import DAY_MINUTES
from app.query.screens.lookback import Stretch
from app.rollups.catalogue import DAY


@dataclass(slots=True)
class Bound:
    """What is bound to the places of a statement, in their order."""

    values: list[Any] = field(default_factory=list)

    def bind(self, value: Any, kind: str) -> str:
        """Give the place of a value in the text."""
        self.values.append(value)
        return f"${len(self.values)}::{kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Reads days made of rows of some intervals in minutes (0: trades); session None: all.

    `stale`: the roll-ups may lack batches, and the statement has what `touched` gives.
    """

    minutes: tuple[int, ...]
    session: Session | None
    stale: bool

    def sql(self, read: Sequence[Stretch], bound: Bound) -> str:
        """Give a relation of instrument_id, minutes, trading_date, the candle and its trades.

        It holds all instruments' days of the stretches and some around them.
        """
        return " UNION ALL ".join(days for _, days in self.each(read, bound)) or _NONE

    def of_subjects(self, read: Sequence[Stretch], bound: Bound, within: str) -> str:
        """Give the same days with the columns of their subject, `within` a condition on both.

        Each interval is joined with its own subjects: a condition on the interval, too, the planner
        would take for one that leaves a few instruments, and read their days one by one.
        """
        return " UNION ALL ".join(
            _OF_SUBJECTS.format(minutes=minutes, days=days, within=within)
            for minutes, days in self.each(read, bound)
        )

    def each(self, read: Sequence[Stretch], bound: Bound) -> Iterator[tuple[int, str]]:
        """Give the relation of each interval and stretch."""
        for stretch in read:
            for minutes in self.minutes:
                if minutes == DAY_MINUTES:
                    days = self._daily(stretch, bound)
                else:
                    days = _GROUPED.format(
                        minutes=minutes,
                        rows=self._rows(minutes, stretch, bound),
                        first=bound.bind(stretch.first, "date"),
                        last=bound.bind(stretch.last, "date"),
                    )
                yield minutes, days

    def touched(self, bound: Bound, read: Sequence[Stretch]) -> list[str]:
        """Give the CTEs of what the roll-ups lack, by instrument, for all stretches that are read.

        Rows before the horizon of retention are gone, and roll-ups hold all of them.
        """
        if not self.stale or not read:
            return []
        start = bound.bind(min(each.start for each in read), "timestamptz")
        end = bound.bind(max(each.end for each in read), "timestamptz")
        return [
            _TOUCHED.format(name=name, kind=kind, start=start, end=end)
            for name, kind in (("touched_trades", "TRADES"), ("touched_bars", "BARS"))
        ]

    def _daily(self, each: Stretch, bound: Bound) -> str:
        start, end = midnight(each.first), midnight(each.last) + DAY
        return _DAILY.format(
            start=bound.bind(start, "timestamptz"),
            end=bound.bind(end, "timestamptz"),
            session=self._session("b", bound),
        )

    def _rows(self, minutes: int, each: Stretch, bound: Bound) -> str:
        start, end = bound.bind(each.start, "timestamptz"), bound.bind(each.end, "timestamptz")
        session = self._session("v", bound)
        if minutes:
            return self._of_bars(minutes, f"v.{{}} >= {start} AND v.{{}} < {end} {session}")
        return self._of_trades(f"v.{{}} >= {start} AND v.{{}} < {end} {session}")

    def _of_trades(self, bounds: str) -> str:
        """Give rows of trades' days; `bounds` has two places for the name of the time."""
        of_buckets = bounds.format("bucket", "bucket")
        if not self.stale:
            return _ALL.format(view="trade_candle_1d", bounds=of_buckets)
        finer = (("trade_candle_1h", "days", "hours"), ("trade_candle_1m", "hours", "minutes"))
        return " UNION ALL ".join(
            [
                _FRESH.format(view="trade_candle_1d", touched="trades", bounds=of_buckets),
                *(
                    _FINER.format(view=view, ranges=ranges, without=without, bounds=of_buckets)
                    for view, ranges, without in finer
                ),
                _RAW_TRADES.format(bounds=bounds.format("event_time", "event_time")),
            ]
        )

    def _of_bars(self, minutes: int, bounds: str) -> str:
        """Give rows of the days of bars of an interval; `bounds` as above."""
        of_interval = f"v.interval_minutes = {minutes} AND {bounds}"
        of_buckets = of_interval.format("bucket", "bucket")
        if not self.stale:
            return _ALL.format(view="bar_candle_1d", bounds=of_buckets)
        fresh = _FRESH.format(view="bar_candle_1d", touched="bars", bounds=of_buckets)
        raw = _RAW_BARS.format(bounds=of_interval.format("bar_start", "bar_start"))
        return " UNION ALL ".join([fresh, raw])

    def _session(self, relation: str, bound: Bound) -> str:
        if self.session is None:
            return ""
        return f"AND {relation}.session = {bound.bind(int(self.session), 'smallint')}"


_COLUMNS = """v.instrument_id, v.trading_date, v.open, v.high, v.low, v.close, v.volume,
                   v.notional, v.trades, v.first_time, v.last_time"""

_OF_SUBJECTS = """
        SELECT s.*, d.trading_date, d.open, d.high, d.low, d.close, d.volume, d.notional, d.trades
        FROM subject_{minutes} AS s
        JOIN ({days}) AS d ON d.instrument_id = s.instrument_id AND {within}"""

_NONE = """
        SELECT NULL::integer AS instrument_id, NULL::integer AS minutes, NULL::date AS trading_date,
               NULL::numeric AS open, NULL::numeric AS high, NULL::numeric AS low,
               NULL::numeric AS close, NULL::numeric AS volume, NULL::numeric AS notional,
               NULL::bigint AS trades
        WHERE false"""

_DAILY = """
        SELECT b.instrument_id, b.interval_minutes AS minutes, b.trading_date, b.open, b.high,
               b.low, b.close, b.volume, b.notional, coalesce(b.trades, 0) AS trades
        FROM bar AS b
        WHERE b.interval_minutes = 1440 AND b.bar_start >= {start} AND b.bar_start < {end}
              {session}"""

# One date has a row for each session and UTC day.
_GROUPED = """
        SELECT r.instrument_id, {minutes} AS minutes, r.trading_date,
               first(r.open, r.first_time) FILTER (WHERE r.open IS NOT NULL) AS open,
               max(r.high) AS high, min(r.low) AS low,
               last(r.close, r.last_time) FILTER (WHERE r.open IS NOT NULL) AS close,
               sum(r.volume) AS volume,
               CASE WHEN bool_and(r.notional IS NOT NULL OR r.open IS NULL) THEN sum(r.notional) END
                   AS notional,
               coalesce(sum(r.trades), 0)::bigint AS trades
        FROM ({rows}) AS r
        WHERE r.trading_date >= {first} AND r.trading_date <= {last}
        GROUP BY r.instrument_id, r.trading_date
        HAVING count(r.open) > 0"""

_TOUCHED = """{name} AS MATERIALIZED (
    SELECT r.instrument_id,
           range_agg(tstzrange(time_bucket(INTERVAL '1 day', r.first_time),
                               time_bucket(INTERVAL '1 day', r.last_time) + INTERVAL '1 day'))
               AS days,
           range_agg(tstzrange(time_bucket(INTERVAL '1 hour', r.first_time),
                               time_bucket(INTERVAL '1 hour', r.last_time) + INTERVAL '1 hour'))
               AS hours,
           range_agg(tstzrange(time_bucket(INTERVAL '1 minute', r.first_time),
                               time_bucket(INTERVAL '1 minute', r.last_time)
                                   + INTERVAL '1 minute'))
               AS minutes
    FROM (
        SELECT b.instrument_id, greatest(b.first_time, h.kept_from) AS first_time, b.last_time
        FROM batch_range AS b
        LEFT JOIN retention AS h ON h.kind = b.kind
        WHERE b.kind = '{kind}'
          AND b.batch_id > (SELECT refreshed_batch_id FROM rollup_state)
          AND b.last_time >= coalesce(h.kept_from, '-infinity')
          AND b.last_time >= {start} AND b.first_time < {end}
    ) AS r
    GROUP BY r.instrument_id
)"""

_ALL = f"""
            SELECT {_COLUMNS}
            FROM {{view}} AS v
            WHERE {{bounds}}"""  # noqa: S608 - names from the catalogue, values bound

_FRESH = f"""
            SELECT {_COLUMNS}
            FROM {{view}} AS v
            LEFT JOIN touched_{{touched}} AS u ON u.instrument_id = v.instrument_id
            WHERE {{bounds}} AND (u.instrument_id IS NULL OR NOT v.bucket <@ u.days)"""  # noqa: S608

_FINER = f"""
            SELECT l.*
            FROM touched_trades AS u
            CROSS JOIN LATERAL unnest(u.{{ranges}}) AS g (part)
            CROSS JOIN LATERAL (
                SELECT {_COLUMNS}
                FROM {{view}} AS v
                WHERE v.instrument_id = u.instrument_id AND {{bounds}}
                  AND v.bucket >= lower(g.part) AND v.bucket < upper(g.part)
                  AND NOT v.bucket <@ u.{{without}}
            ) AS l"""  # noqa: S608

_RAW_TRADES = """
            SELECT l.*
            FROM touched_trades AS u
            CROSS JOIN LATERAL unnest(u.minutes) AS g (part)
            CROSS JOIN LATERAL (
                SELECT v.instrument_id, v.trading_date,
                       first(v.price, v.order_key) FILTER (WHERE NOT v.cancelled) AS open,
                       max(v.price) FILTER (WHERE NOT v.cancelled) AS high,
                       min(v.price) FILTER (WHERE NOT v.cancelled) AS low,
                       last(v.price, v.order_key) FILTER (WHERE NOT v.cancelled) AS close,
                       sum(v.size) FILTER (WHERE NOT v.cancelled) AS volume,
                       sum(v.price * v.size) FILTER (WHERE NOT v.cancelled) AS notional,
                       count(*) FILTER (WHERE NOT v.cancelled) AS trades,
                       min(v.event_time) FILTER (WHERE NOT v.cancelled) AS first_time,
                       max(v.event_time) FILTER (WHERE NOT v.cancelled) AS last_time
                FROM trade AS v
                WHERE v.instrument_id = u.instrument_id AND {bounds}
                  AND v.event_time >= lower(g.part) AND v.event_time < upper(g.part)
                GROUP BY v.instrument_id, v.trading_date
            ) AS l"""

_RAW_BARS = """
            SELECT v.instrument_id, v.trading_date, v.open, v.high, v.low, v.close, v.volume,
                   v.notional, v.trades, v.bar_start AS first_time, v.bar_start AS last_time
            FROM touched_bars AS u
            CROSS JOIN LATERAL unnest(u.days) AS g (part)
            JOIN bar AS v ON v.instrument_id = u.instrument_id
            WHERE {bounds} AND v.bar_start >= lower(g.part) AND v.bar_start < upper(g.part)"""
