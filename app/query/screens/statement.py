"""Write the one statement of a screen.

It first finds each instrument's own day and what the question chooses and orders by, which for most
screens is the previous close: ten days of rows. Only the rows of the page get the rest, their 52
weeks. Screens that choose by a longer past read that past of all instruments, once.
"""

from typing import Any

from app.query.ledger import MARKS
from app.query.screens.asked import Asked, before_recent, eve, subjects
from app.query.screens.clauses import behind, chosen, ordered
from app.query.screens.days import Bound
from app.query.screens.past import past, past_columns
from app.query.screens.splits import Adjusted


def screen_statement(asked: Asked) -> tuple[str, list[Any]]:
    """Give the SQL and its values; every row has the marks and the number of matches.

    Where the page is empty there is one row, without an instrument.
    """
    bound, days, adjusted = Bound(), asked.days, Adjusted(splits=asked.splits)
    ids = {minutes: bound.bind(asked.ids_of(minutes), "integer[]") for minutes in days.minutes}
    own_day = asked.read(lambda venue: venue.on, lambda venue: venue.on)
    recent = asked.read(lambda venue: venue.recent_from, eve)
    before = asked.read(lambda venue: venue.year_from, before_recent)
    year = asked.read(lambda venue: venue.year_from, eve)
    everything = asked.read(lambda venue: venue.earliest, lambda venue: venue.on)
    columns = past_columns(asked, adjusted)
    names = [name for column in columns for name in column.names()]
    looked_at = past(asked, columns, ids, adjusted, bound)
    average = ", " + _AVERAGE.format(average="t.average", volume="t.volume")
    texts = {
        "subjects": subjects(asked, ids, bound),
        "factors": adjusted.listed(days.minutes, min(each.first for each in everything), bound),
        "touched": "".join(f"{each},\n" for each in days.touched(bound, everything)),
        "day": days.of_subjects(own_day, bound, "d.trading_date = s.on_date"),
        "recent": days.of_subjects(
            recent, bound, "d.trading_date >= s.recent_from AND d.trading_date < s.on_date"
        ),
        "before": days.sql(before, bound),
        "year": days.sql(year, bound),
        "past": _PAST.format(names=", ".join(f"w.{name}" for name in names), past=looked_at)
        if looked_at
        else "",
        "nothing": "".join(f", NULL::numeric AS {name}" for name in names),
        "chosen": "".join(f", {column.chosen(bound)}" for column in columns),
        "measures": average if asked.averaged else "",
        "conditions": chosen(asked.screen, bound),
        "behind": behind(asked.screen.order, asked.after, bound),
        "order": ordered(asked.screen.order),
        "limit": bound.bind(asked.limit, "integer"),
        "marks": MARKS,
        "factor": adjusted.join,
        "close": adjusted.column("close"),
        "volume": adjusted.column("volume"),
        "high": adjusted.column("high"),
        "low": adjusted.column("low"),
    }
    return _SCREEN.format_map(texts), bound.values


_DATES = ("minutes", "place", "on_date", "recent_from", "average_from", "year_from")
_CANDLE = ("open", "high", "low", "close", "volume", "notional", "trades")
_DAY = ", ".join(f"d.{name}" for name in (*_DATES, *_CANDLE))
_NO_DAY = ", ".join("NULL" for _ in (*_DATES, *_CANDLE))
_MOST = ", ".join(f"max(g.{name}) AS {name}" for name in (*_DATES, *_CANDLE, "recent_close"))

_PAST = f"""
    UNION ALL
    SELECT w.instrument_id, {_NO_DAY}, NULL, {{names}}
    FROM ({{past}}) AS w"""  # noqa: S608 - built from constants of this package

_AVERAGE = """round({average}, 6) AS average_volume,
           round({volume} / nullif({average}, 0), 6) AS relative_volume"""

# screen: the rows of a page in their order, and how many match. Measures are rounded before they
# are compared: what is shown is what counts. The pieces of a day are put together by grouping: the
# planner takes them for a few rows, and would join them by nested loops (3.7 s against 0.1 s).
_SCREEN = f"""
WITH RECURSIVE {{subjects}}{{factors}}{{touched}}gathered AS (
    SELECT d.instrument_id, {_DAY}, NULL::numeric AS recent_close{{nothing}}
    FROM ({{day}}) AS d
    UNION ALL
    SELECT d.instrument_id, {_NO_DAY}, last({{close}}, d.trading_date){{nothing}}
    FROM ({{recent}}) AS d
    {{factor}}
    GROUP BY d.instrument_id{{past}}
), day AS MATERIALIZED (
    SELECT g.instrument_id, {_MOST}{{chosen}}
    FROM gathered AS g
    GROUP BY g.instrument_id
    HAVING count(g.on_date) > 0
), matched AS MATERIALIZED (
    SELECT m.*
    FROM (
        SELECT i.symbol, t.*, p.previous_close, t.close - p.previous_close AS change,
               CASE WHEN p.previous_close > 0
                   THEN round((t.close - p.previous_close) * 100 / p.previous_close, 6)
               END AS change_percent,
               CASE WHEN p.previous_close > 0
                   THEN round((t.open - p.previous_close) * 100 / p.previous_close, 6)
               END AS gap_percent{{measures}}
        FROM day AS t
        JOIN instrument AS i ON i.instrument_id = t.instrument_id
        LEFT JOIN LATERAL (
            SELECT {{close}} AS close
            FROM ({{before}}) AS d
            {{factor}}
            WHERE t.recent_close IS NULL
              AND d.instrument_id = t.instrument_id AND d.minutes = t.minutes
              AND d.trading_date >= t.year_from AND d.trading_date < t.recent_from
            ORDER BY d.trading_date DESC
            LIMIT 1
        ) AS b ON true
        CROSS JOIN LATERAL (SELECT coalesce(t.recent_close, b.close) AS previous_close) AS p
    ) AS m
    WHERE {{conditions}}
), page AS MATERIALIZED (
    SELECT m.*, row_number() OVER (ORDER BY {{order}}) AS position
    FROM matched AS m
    WHERE {{behind}}
    ORDER BY position
    LIMIT {{limit}}
)
SELECT n.newest, n.followed, n.matches, g.*
FROM (SELECT {{marks}}, (SELECT count(*) FROM matched) AS matches) AS n
LEFT JOIN (
    SELECT p.position, p.instrument_id, p.symbol, p.on_date, p.open, p.high, p.low, p.close,
           p.volume, p.notional, p.trades, p.previous_close, p.change, p.change_percent,
           p.gap_percent, {_AVERAGE.format(average="y.average", volume="p.volume")},
           greatest(p.high, y.high) AS high_52_week, least(p.low, y.low) AS low_52_week,
           p.high > y.high AS new_high, p.low < y.low AS new_low
    FROM page AS p
    CROSS JOIN LATERAL (
        SELECT avg({{volume}}) FILTER (WHERE d.trading_date >= p.average_from) AS average,
               max({{high}}) AS high, min({{low}}) AS low
        FROM ({{year}}) AS d
        {{factor}}
        WHERE d.instrument_id = p.instrument_id AND d.minutes = p.minutes
          AND d.trading_date >= p.year_from AND d.trading_date < p.on_date
    ) AS y
) AS g ON true
ORDER BY g.position
"""  # noqa: S608 - names from closed catalogues, values bound
