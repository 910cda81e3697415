"""Store vendor bars: staged by COPY, then one set-based insert under the commit lock."""

from datetime import datetime

from app.storage.database import Connection, one_row
from app.storage.fresh import insert_rows
from app.storage.keyed_rows import outcome
from app.storage.latest import MERGE
from app.storage.staging import Staging, Stored

STAGING = Staging(
    table="staged_bar",
    columns=(
        ("line", "bigint"),
        ("instrument_id", "integer"),
        ("bar_start", "timestamptz"),
        ("open", "numeric"),
        ("high", "numeric"),
        ("low", "numeric"),
        ("close", "numeric"),
        ("volume", "numeric"),
        ("vwap", "numeric"),
        ("trades", "bigint"),
        ("session", "smallint"),
        ("trading_date", "date"),
    ),
)

_NO_ORDER = "'00000000-0000-0000-0000-000000000000'::uuid"  # bars of one start cannot tie

_ON_KEY = "ON CONFLICT (instrument_id, interval_minutes, bar_start)"
_INSERT = f"""
WITH stored AS (
    INSERT INTO bar (instrument_id, interval_minutes, bar_start, open, high, low, close, volume,
                     notional, trades, session, trading_date, received_at, batch_id)
    SELECT instrument_id, %(interval_minutes)s, bar_start, open, high, low, close, volume,
           vwap * volume, trades, session, trading_date, %(received_at)s, %(batch_id)s
    FROM {{source}}
    {{on_conflict}}
    RETURNING instrument_id, bar_start, trading_date, close, volume
), touched AS (
    SELECT instrument_id, count(*) AS rows, min(bar_start) AS first_time,
           max(bar_start) AS last_time, min(trading_date) AS first_date,
           max(trading_date) AS last_date, last(trading_date, bar_start) AS price_date,
           last(close, bar_start) AS price,
           last(volume, bar_start) AS size
    FROM stored
    GROUP BY instrument_id
), ranges AS (
    INSERT INTO batch_range (batch_id, kind, instrument_id, first_time, last_time)
    SELECT %(batch_id)s, 'BARS', instrument_id, first_time, last_time
    FROM touched
), prices AS (
    INSERT INTO latest (instrument_id, interval_minutes, first_time, last_time,
                        first_trading_date, last_trading_date, price_time, price_date, price, size,
                        order_key, batch_id)
    SELECT instrument_id, %(interval_minutes)s, first_time, last_time, first_date, last_date,
           last_time, price_date, price, size, {_NO_ORDER}, %(batch_id)s
    FROM touched
    {MERGE}
), sourced AS (
    UPDATE instrument AS i
    SET candle_source = 'BARS'
    FROM touched AS t
    WHERE i.instrument_id = t.instrument_id AND i.candle_source IS NULL
)
SELECT coalesce(sum(rows), 0)::bigint FROM touched
"""  # noqa: S608 - built from constants of this package

# insert_bars: the staged rows that are new; also their ranges and the latest prices.
INSERT = _INSERT.format(source="staged_bar", on_conflict=f"{_ON_KEY} DO NOTHING")

# insert_new_bars: like insert_bars, where no key can be known.
PLAIN = _INSERT.format(source="staged_bar", on_conflict="")

# replace_bars: like insert_bars, and a stored row with other content is corrected.
REPLACE = _INSERT.format(
    source="""(
        SELECT DISTINCT ON (instrument_id, bar_start) *
        FROM staged_bar
        ORDER BY instrument_id, bar_start, line DESC
    ) AS last_of_key""",
    on_conflict=f"""{_ON_KEY} DO UPDATE SET
        open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, notional = excluded.notional, trades = excluded.trades,
        received_at = excluded.received_at, batch_id = excluded.batch_id
    WHERE (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.notional, bar.trades)
          IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close,
                            excluded.volume, excluded.notional, excluded.trades)""",
)

# contradictions: lines whose bar is stored, now, with other values.
CONTRADICTIONS = """
SELECT s.line
FROM staged_bar AS s
JOIN bar AS b ON b.instrument_id = s.instrument_id AND b.bar_start = s.bar_start
             AND b.interval_minutes = %(interval_minutes)s
WHERE b.bar_start >= %(first)s AND b.bar_start <= %(last)s
  AND (b.open, b.high, b.low, b.close, b.volume, b.notional, b.trades)
      IS DISTINCT FROM (s.open, s.high, s.low, s.close, s.volume, s.vwap * s.volume, s.trades)
ORDER BY s.line
"""

BOUNDS = "SELECT count(*), min(bar_start), max(bar_start) FROM staged_bar"


def insert(
    connection: Connection,
    *,
    interval_minutes: int,
    batch_id: int,
    received_at: datetime,
    replace: bool,
) -> Stored:
    """Store the staged bars as one batch; a bar sent again changes nothing.

    With `replace`, a bar that was stored with other values is corrected instead of being reported
    as a contradiction; lines of one start that contradict each other are reported all the same.
    """
    staged, first, last = one_row(connection, BOUNDS)
    values = {
        "interval_minutes": interval_minutes,
        "batch_id": batch_id,
        "received_at": received_at,
        "first": first,
        "last": last,
    }
    stored = insert_rows(
        connection,
        source=STAGING.table,
        time="bar_start",
        rows=staged,
        plain=PLAIN,
        careful=REPLACE if replace else INSERT,
        values=values,
    )
    return outcome(
        connection, staged=staged, stored=stored, contradictions=CONTRADICTIONS, values=values
    )
