"""Store quotes: staged by COPY, then one set-based insert under the commit lock.

Quotes make no candles and no latest price: their ranges in the batch log are of a kind of their
own, which the roll-ups do not follow. The time that an instrument's quotes span is kept beside.
"""

from datetime import datetime

from app.storage.database import Connection, one_row
from app.storage.keyed_rows import KeyedRows, outcome
from app.storage.staging import Staging, Stored

STAGING = Staging(
    table="staged_quote",
    columns=(
        ("line", "bigint"),
        ("instrument_id", "integer"),
        ("event_time", "timestamptz"),
        ("quote_id", "bigint"),
        ("bid", "numeric"),
        ("ask", "numeric"),
        ("bid_size", "numeric"),
        ("ask_size", "numeric"),
        ("session", "smallint"),
        ("trading_date", "date"),
    ),
)

ROWS = KeyedRows(table="quote", row_id="quote_id", staging=STAGING)

_INSERT = """
WITH stored AS (
    INSERT INTO quote (instrument_id, event_time, quote_id, bid, ask, bid_size, ask_size, session,
                       trading_date, received_at, batch_id)
    SELECT instrument_id, event_time, quote_id, bid, ask, bid_size, ask_size, session,
           trading_date, %(received_at)s, %(batch_id)s
    FROM {source}
    ON CONFLICT (instrument_id, event_time, quote_id) {on_conflict}
    RETURNING instrument_id, event_time
), touched AS (
    SELECT instrument_id, count(*) AS rows, min(event_time) AS first_time,
           max(event_time) AS last_time
    FROM stored
    GROUP BY instrument_id
), ranges AS (
    INSERT INTO batch_range (batch_id, kind, instrument_id, first_time, last_time)
    SELECT %(batch_id)s, 'QUOTES', instrument_id, first_time, last_time
    FROM touched
), spans AS (
    INSERT INTO quote_span (instrument_id, first_time, last_time)
    SELECT instrument_id, first_time, last_time
    FROM touched
    ON CONFLICT (instrument_id) DO UPDATE SET
        first_time = least(quote_span.first_time, excluded.first_time),
        last_time = greatest(quote_span.last_time, excluded.last_time)
    WHERE excluded.first_time < quote_span.first_time
       OR excluded.last_time > quote_span.last_time
)
SELECT coalesce(sum(rows), 0)::bigint FROM touched
"""

# insert_quotes: the staged rows that are new, of one key the first line; also ranges and spans.
INSERT = _INSERT.format(source="{source}", on_conflict="DO NOTHING")

# replace_quotes: like insert_quotes, and a stored row with other content is corrected.
REPLACE = _INSERT.format(
    source="""(
        SELECT DISTINCT ON (instrument_id, event_time, quote_id) *
        FROM {source}
        ORDER BY instrument_id, event_time, quote_id, line DESC
    ) AS last_of_key""",
    on_conflict="""DO UPDATE SET
        bid = excluded.bid, ask = excluded.ask, bid_size = excluded.bid_size,
        ask_size = excluded.ask_size, received_at = excluded.received_at,
        batch_id = excluded.batch_id
    WHERE (quote.bid, quote.ask, quote.bid_size, quote.ask_size)
          IS DISTINCT FROM (excluded.bid, excluded.ask, excluded.bid_size, excluded.ask_size)""",
)

# contradictions: lines whose quote is stored, now, with other prices or sizes.
CONTRADICTIONS = """
SELECT s.line
FROM {source} AS s
JOIN quote AS q USING (instrument_id, event_time, quote_id)
WHERE q.event_time >= %(first)s AND q.event_time <= %(last)s
  AND (q.bid, q.ask, q.bid_size, q.ask_size)
      IS DISTINCT FROM (s.bid, s.ask, s.bid_size, s.ask_size)
ORDER BY s.line
"""

BOUNDS = "SELECT count(*), min(event_time), max(event_time) FROM staged_quote"


def insert(
    connection: Connection, source: str, *, batch_id: int, received_at: datetime, replace: bool
) -> Stored:
    """Store the prepared rows as one batch; a quote sent again changes nothing.

    With `replace`, a quote that was stored with other values is corrected instead of being reported
    as a contradiction; lines of one key that contradict each other are reported all the same.
    """
    staged, first, last = one_row(connection, BOUNDS)
    statement = (REPLACE if replace else INSERT).format(source=source)
    values = {"batch_id": batch_id, "received_at": received_at}
    stored = int(one_row(connection, statement.encode(), values)[0])
    return outcome(
        connection,
        staged=staged,
        stored=stored,
        contradictions=CONTRADICTIONS.format(source=source),
        values={"first": first, "last": last},
    )
