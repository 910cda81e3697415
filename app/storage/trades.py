"""Store trades: staged by COPY, then one set-based insert under the commit lock."""

from datetime import datetime

from app.storage.database import Connection, one_row
from app.storage.fresh import insert_rows
from app.storage.keyed_rows import KeyedRows, outcome
from app.storage.latest import MERGE
from app.storage.staging import Staging, Stored

STAGING = Staging(
    table="staged_trade",
    columns=(
        ("line", "bigint"),
        ("instrument_id", "integer"),
        ("event_time", "timestamptz"),
        ("trade_id", "bigint"),
        ("price", "numeric"),
        ("size", "numeric"),
        ("session", "smallint"),
        ("trading_date", "date"),
    ),
)

ROWS = KeyedRows(table="trade", row_id="trade_id", staging=STAGING)

_ON_KEY = "ON CONFLICT (instrument_id, event_time, trade_id)"
_INSERT = """
WITH stored AS (
    INSERT INTO trade (instrument_id, event_time, trade_id, price, size, session, trading_date,
                       received_at, batch_id)
    SELECT instrument_id, event_time, trade_id, price, size, session, trading_date,
           %(received_at)s, %(batch_id)s
    FROM {source}
    {on_conflict}
    RETURNING instrument_id, event_time, trading_date, price, size, order_key
), touched AS (
    SELECT instrument_id, count(*) AS rows, min(event_time) AS first_time,
           max(event_time) AS last_time, min(trading_date) AS first_date,
           max(trading_date) AS last_date, last(trading_date, order_key) AS price_date,
           last(price, order_key) AS price,
           last(size, order_key) AS size, last(order_key, order_key) AS order_key
    FROM stored
    GROUP BY instrument_id
), ranges AS (
    INSERT INTO batch_range (batch_id, kind, instrument_id, first_time, last_time)
    SELECT %(batch_id)s, 'TRADES', instrument_id, first_time, last_time
    FROM touched
), prices AS (
    INSERT INTO latest (instrument_id, interval_minutes, first_time, last_time,
                        first_trading_date, last_trading_date, price_time, price_date, price, size,
                        order_key, batch_id)
    SELECT instrument_id, 0, first_time, last_time, first_date, last_date, last_time, price_date,
           price, size, order_key, %(batch_id)s
    FROM touched
    {merge}
), sourced AS (
    UPDATE instrument AS i
    SET candle_source = 'TRADES'
    FROM touched AS t
    WHERE i.instrument_id = t.instrument_id AND i.candle_source IS NULL
)
SELECT coalesce(sum(rows), 0)::bigint FROM touched
"""

# insert_trades: the staged rows that are new; also their ranges and the latest prices.
INSERT = _INSERT.format(source="{source}", on_conflict=f"{_ON_KEY} DO NOTHING", merge=MERGE)

# insert_new_trades: like insert_trades, where no key can be known.
PLAIN = _INSERT.format(source="{source}", on_conflict="", merge=MERGE)

# replace_trades: like insert_trades, and a stored row with other content is corrected.
REPLACE = _INSERT.format(
    source="""(
        SELECT DISTINCT ON (instrument_id, event_time, trade_id) *
        FROM {source}
        ORDER BY instrument_id, event_time, trade_id, line DESC
    ) AS last_of_key""",
    on_conflict=f"""{_ON_KEY} DO UPDATE SET
        price = excluded.price, size = excluded.size, cancelled = false,
        received_at = excluded.received_at, batch_id = excluded.batch_id
    WHERE (trade.price, trade.size, trade.cancelled)
          IS DISTINCT FROM (excluded.price, excluded.size, false)""",
    merge=MERGE,
)

# contradictions: lines whose trade is stored, now, with another price or size.
CONTRADICTIONS = """
SELECT s.line
FROM {source} AS s
JOIN trade AS t USING (instrument_id, event_time, trade_id)
WHERE t.event_time >= %(first)s AND t.event_time <= %(last)s
  AND (t.price, t.size) IS DISTINCT FROM (s.price, s.size)
ORDER BY s.line
"""

BOUNDS = "SELECT count(*), min(event_time), max(event_time) FROM staged_trade"


def insert(
    connection: Connection, source: str, *, batch_id: int, received_at: datetime, replace: bool
) -> Stored:
    """Store the prepared rows as one batch; a trade sent again changes nothing.

    With `replace`, a trade that was stored with another price or size is corrected instead of being
    reported as a contradiction; lines of one key that contradict each other are reported all the
    same.
    """
    staged, first, last = one_row(connection, BOUNDS)
    values = {"batch_id": batch_id, "received_at": received_at, "interval_minutes": 0}
    stored = insert_rows(
        connection,
        source=source,
        time="event_time",
        rows=staged,
        plain=PLAIN.format(source=source),
        careful=(REPLACE if replace else INSERT).format(source=source),
        values=values,
    )
    return outcome(
        connection,
        staged=staged,
        stored=stored,
        contradictions=CONTRADICTIONS.format(source=source),
        values={"first": first, "last": last},
    )
