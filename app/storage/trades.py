"""Store trades: staged by COPY, then one set-based insert under the commit lock."""

from datetime import datetime

from app.storage.database import Connection, one_row
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

# number_staged: where the source has no ids, a trade's id is its place among those of its instant.
NUMBER = """
CREATE TEMPORARY TABLE numbered_trade ON COMMIT DROP AS
SELECT line, instrument_id, event_time,
       row_number() OVER (PARTITION BY instrument_id, event_time ORDER BY line) - 1 AS trade_id,
       price, size, session, trading_date
FROM staged_trade
"""

_INSERT = """
WITH stored AS (
    INSERT INTO trade (instrument_id, event_time, trade_id, price, size, session, trading_date,
                       received_at, batch_id)
    SELECT instrument_id, event_time, trade_id, price, size, session, trading_date,
           %(received_at)s, %(batch_id)s
    FROM {source}
    ON CONFLICT (instrument_id, event_time, trade_id) {on_conflict}
    RETURNING instrument_id, event_time, trading_date, price, size, order_key
), touched AS (
    SELECT instrument_id, count(*) AS rows, min(event_time) AS first_time,
           max(event_time) AS last_time, min(trading_date) AS first_date,
           max(trading_date) AS last_date, last(price, order_key) AS price,
           last(size, order_key) AS size, last(order_key, order_key) AS order_key
    FROM stored
    GROUP BY instrument_id
), ranges AS (
    INSERT INTO batch_range (batch_id, kind, instrument_id, first_time, last_time)
    SELECT %(batch_id)s, 'TRADES', instrument_id, first_time, last_time
    FROM touched
), prices AS (
    INSERT INTO latest (instrument_id, interval_minutes, first_time, last_time,
                        first_trading_date, last_trading_date, price, size, order_key, batch_id)
    SELECT instrument_id, 0, first_time, last_time, first_date, last_date, price, size, order_key,
           %(batch_id)s
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
INSERT = _INSERT.format(source="{source}", on_conflict="DO NOTHING", merge=MERGE)

# replace_trades: like insert_trades, and a row with other content is corrected by the last line.
REPLACE = _INSERT.format(
    source="""(
        SELECT DISTINCT ON (instrument_id, event_time, trade_id) *
        FROM {source}
        ORDER BY instrument_id, event_time, trade_id, line DESC
    ) AS newest""",
    on_conflict="""DO UPDATE SET
        price = excluded.price, size = excluded.size, cancelled = false,
        received_at = excluded.received_at, batch_id = excluded.batch_id
    WHERE (trade.price, trade.size, trade.cancelled)
          IS DISTINCT FROM (excluded.price, excluded.size, false)""",
    merge=MERGE,
)

# contradictions: lines whose trade is stored with another price or size.
CONTRADICTIONS = """
SELECT s.line, concat_ws(',', i.symbol, s.event_time, s.trade_id, s.price, s.size)
FROM {source} AS s
JOIN instrument AS i USING (instrument_id)
JOIN trade AS t USING (instrument_id, event_time, trade_id)
WHERE t.event_time >= %(first)s AND t.event_time <= %(last)s
  AND (t.price, t.size) IS DISTINCT FROM (s.price, s.size)
ORDER BY s.line
"""

BOUNDS = "SELECT count(*), min(event_time), max(event_time) FROM staged_trade"


def prepare(connection: Connection, *, has_ids: bool) -> str:
    """Make the staged rows ready for `insert`; gives the table that it reads.

    A sort of the rows where they need numbers; done before the commit lock is taken.
    """
    if has_ids:
        return STAGING.table
    connection.execute(NUMBER)
    return "numbered_trade"


def insert(
    connection: Connection, source: str, *, batch_id: int, received_at: datetime, replace: bool
) -> Stored:
    """Store the prepared rows as one batch; a trade sent again changes nothing.

    With `replace`, a trade that is stored with another price or size is corrected instead of being
    reported as a contradiction.
    """
    staged, first, last = one_row(connection, BOUNDS)
    statement = (REPLACE if replace else INSERT).format(source=source)
    values = {"batch_id": batch_id, "received_at": received_at}
    stored = int(one_row(connection, statement.encode(), values)[0])
    conflicts: list[tuple[int, str]] = []
    if stored < staged and not replace:
        found = connection.execute(
            CONTRADICTIONS.format(source=source).encode(), {"first": first, "last": last}
        )
        conflicts = [(line, record) for line, record in found]
    return Stored(stored=stored, duplicate=staged - stored - len(conflicts), conflicts=conflicts)
