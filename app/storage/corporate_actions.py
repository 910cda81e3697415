"""Corporate actions: stored set by set under the commit lock, read back by instrument."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from app.market.adjustment import ActionKind, CorporateAction
from app.storage.database import Connection, one_row
from app.storage.keyed_rows import outcome
from app.storage.reader import Reader, Row
from app.storage.staging import Staging, Stored

STAGING = Staging(
    table="staged_action",
    columns=(
        ("line", "bigint"),
        ("instrument_id", "integer"),
        ("ex_date", "date"),
        ("kind", "text"),
        ("number", "smallint"),
        ("new_shares", "numeric"),
        ("old_shares", "numeric"),
        ("amount", "numeric"),
        ("currency", "text"),
    ),
)

# An action touches its instrument over all its time: every adjusted answer may be another now.
EVER = "TIMESTAMPTZ '1900-01-01 00:00+00', TIMESTAMPTZ '2200-01-01 00:00+00'"

_INSERT = f"""
WITH stored AS (
    INSERT INTO corporate_action (instrument_id, ex_date, kind, number, new_shares, old_shares,
                                  amount, currency, source, received_at, batch_id)
    SELECT instrument_id, ex_date, kind, number, new_shares, old_shares, amount, currency,
           %(source)s, %(received_at)s, %(batch_id)s
    FROM {{source}}
    ON CONFLICT (instrument_id, ex_date, kind, number) {{on_conflict}}
    RETURNING instrument_id
), ranges AS (
    INSERT INTO batch_range (batch_id, kind, instrument_id, first_time, last_time)
    SELECT DISTINCT %(batch_id)s::bigint, 'ACTIONS', instrument_id, {EVER}
    FROM stored
)
SELECT count(*) FROM stored
"""  # noqa: S608 - built from constants of this module

# insert_actions: the staged actions that are new; of lines with one key the first counts.
INSERT = _INSERT.format(
    source="(SELECT * FROM staged_action ORDER BY line) AS s", on_conflict="DO NOTHING"
)

# replace_actions: like insert_actions, and a stored action with other content is corrected.
REPLACE = _INSERT.format(
    source="""(
        SELECT DISTINCT ON (instrument_id, ex_date, kind, number) *
        FROM staged_action
        ORDER BY instrument_id, ex_date, kind, number, line DESC
    ) AS s""",
    on_conflict="""DO UPDATE SET
        new_shares = excluded.new_shares, old_shares = excluded.old_shares,
        amount = excluded.amount, currency = excluded.currency, source = excluded.source,
        received_at = excluded.received_at, batch_id = excluded.batch_id
    WHERE (corporate_action.new_shares, corporate_action.old_shares, corporate_action.amount,
           corporate_action.currency)
          IS DISTINCT FROM (excluded.new_shares, excluded.old_shares, excluded.amount,
                            excluded.currency)""",
)

# contradictions: lines whose action is stored, now, with other values.
CONTRADICTIONS = """
SELECT s.line
FROM staged_action AS s
JOIN corporate_action AS a USING (instrument_id, ex_date, kind, number)
WHERE (a.new_shares, a.old_shares, a.amount, a.currency)
      IS DISTINCT FROM (s.new_shares, s.old_shares, s.amount, s.currency)
ORDER BY s.line
"""

STAGED = "SELECT count(*) FROM staged_action"
TOUCHING = "SELECT DISTINCT instrument_id FROM staged_action ORDER BY instrument_id"

# of_instruments: each instrument with its currency, its last date with data of its candle source,
# and its actions; a row without a kind where it has none.
OF_INSTRUMENTS = """
SELECT i.instrument_id, i.currency AS own_currency,
       (SELECT max(l.last_trading_date)
        FROM latest AS l
        WHERE l.instrument_id = i.instrument_id
          AND (l.interval_minutes = 0) = (i.candle_source = 'TRADES')) AS last_date,
       a.ex_date, a.kind, a.number, a.new_shares, a.old_shares, a.amount, a.currency, a.source,
       a.batch_id
FROM instrument AS i
LEFT JOIN corporate_action AS a USING (instrument_id)
WHERE i.instrument_id = ANY ($1::integer[])
ORDER BY i.instrument_id, a.ex_date, a.kind, a.number
"""


def touching(connection: Connection) -> list[int]:
    """Give the instruments of the staged actions."""
    return [instrument_id for (instrument_id,) in connection.execute(TOUCHING)]


def insert(
    connection: Connection, *, source: str, batch_id: int, received_at: datetime, replace: bool
) -> Stored:
    """Store the staged actions, under the commit lock; one sent again changes nothing.

    With `replace`, an action that was stored with other values is corrected instead of being
    reported as a contradiction.
    """
    (staged,) = one_row(connection, STAGED)
    values = {"source": source, "batch_id": batch_id, "received_at": received_at}
    statement = REPLACE if replace else INSERT
    (stored,) = one_row(connection, statement.encode(), values)
    return outcome(
        connection, staged=staged, stored=stored, contradictions=CONTRADICTIONS, values={}
    )


class InstrumentActions:
    """An instrument's actions, its currency, and its last trading date with data."""

    __slots__ = ("actions", "currency", "last_date")

    def __init__(self, currency: str, last_date: date | None) -> None:
        self.currency = currency
        self.last_date = last_date
        self.actions: list[CorporateAction] = []


async def of_instruments(
    reader: Reader, instrument_ids: Sequence[int]
) -> dict[int, InstrumentActions]:
    """Give what is known of each instrument, in the order of ex dates; one statement."""
    found: dict[int, InstrumentActions] = {}
    for row in await reader.fetch(OF_INSTRUMENTS, list(instrument_ids)):
        own = found.setdefault(
            row["instrument_id"], InstrumentActions(row["own_currency"], row["last_date"])
        )
        if row["kind"] is not None:
            own.actions.append(_action(row))
    return found


def _action(row: Row) -> CorporateAction:
    values: dict[str, Any] = dict(row.items())
    return CorporateAction(
        ex_date=values["ex_date"],
        kind=ActionKind(values["kind"]),
        number=values["number"],
        new_shares=values["new_shares"],
        old_shares=values["old_shares"],
        amount=values["amount"],
        currency=values["currency"],
        source=values["source"],
        revision=values["batch_id"],
    )
