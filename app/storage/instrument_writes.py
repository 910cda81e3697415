"""Create and change instruments, and find out what a batch's symbols mean at its time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from app.market.instrument import AssetClass, Exchange
from app.storage.database import Connection

# add_exchange: a venue, once.
ADD_EXCHANGE = """
INSERT INTO exchange (mic, calendar, timezone)
VALUES (%s, %s, %s)
ON CONFLICT (mic) DO NOTHING
"""

# lock: one import makes instruments at a time, so that two that make the same ones in another order
# do not wait for each other. It is taken before the commit lock (app.storage.batches), never after.
LOCK = "SELECT pg_advisory_xact_lock(%s)"
_LOCK_KEY = 0x7469636B696E7374  # "tickinst"

# upsert: a new instrument, or new attributes of one that bears the symbol; absent ones are kept.
UPSERT = """
INSERT INTO instrument AS i (symbol, name, exchange, asset_class, currency, tick_size, listed_on,
                             delisted_on, simulated)
VALUES (%(symbol)s, %(name)s, coalesce(%(exchange)s, %(new_exchange)s),
        coalesce(%(asset_class)s, %(new_asset_class)s), coalesce(%(currency)s, %(new_currency)s),
        %(tick_size)s, %(listed_on)s, %(delisted_on)s, %(simulated)s)
ON CONFLICT (symbol) DO UPDATE SET
    name = coalesce(%(name)s, i.name),
    exchange = coalesce(%(exchange)s, i.exchange),
    asset_class = coalesce(%(asset_class)s, i.asset_class),
    currency = coalesce(%(currency)s, i.currency),
    tick_size = coalesce(%(tick_size)s, i.tick_size),
    listed_on = coalesce(%(listed_on)s, i.listed_on),
    delisted_on = coalesce(%(delisted_on)s, i.delisted_on)
WHERE (i.name, i.exchange, i.asset_class, i.currency, i.tick_size, i.listed_on, i.delisted_on)
      IS DISTINCT FROM
      (coalesce(%(name)s, i.name), coalesce(%(exchange)s, i.exchange),
       coalesce(%(asset_class)s, i.asset_class), coalesce(%(currency)s, i.currency),
       coalesce(%(tick_size)s, i.tick_size), coalesce(%(listed_on)s, i.listed_on),
       coalesce(%(delisted_on)s, i.delisted_on))
RETURNING i.instrument_id
"""

# rename: the instrument that bears the former symbol, where nobody bears the new one.
RENAME = """
UPDATE instrument
SET symbol = %(symbol)s
WHERE symbol = %(former)s AND NOT EXISTS (SELECT FROM instrument WHERE symbol = %(symbol)s)
"""

# alias: an instrument had the former symbol from its last change on, to midnight at its venue.
ALIAS = """
INSERT INTO symbol_alias (symbol, valid_from, valid_to, instrument_id)
SELECT %(former)s, coalesce(max(a.valid_to), '-infinity'), n.until, n.instrument_id
FROM (
    SELECT i.instrument_id, %(renamed_on)s::date::timestamp AT TIME ZONE e.timezone AS until
    FROM instrument AS i
    JOIN exchange AS e ON e.mic = i.exchange
    WHERE i.symbol = %(symbol)s
) AS n
LEFT JOIN symbol_alias AS a ON a.instrument_id = n.instrument_id AND a.valid_to < n.until
GROUP BY n.instrument_id, n.until
ON CONFLICT (symbol, valid_from) DO UPDATE SET valid_to = excluded.valid_to
WHERE symbol_alias.instrument_id = excluded.instrument_id
      AND symbol_alias.valid_to <> excluded.valid_to
RETURNING symbol
"""

# meanings: whom each symbol names, and when; a current symbol holds outside its former uses.
MEANINGS = """
SELECT i.symbol, i.instrument_id, i.exchange, i.asset_class, i.tick_size, i.listed_on,
       i.delisted_on, NULL::timestamptz AS valid_from, NULL::timestamptz AS valid_to,
       false AS former
FROM instrument AS i
WHERE i.symbol = ANY (%(symbols)s)
UNION ALL
SELECT a.symbol, a.instrument_id, i.exchange, i.asset_class, i.tick_size, i.listed_on,
       i.delisted_on, nullif(a.valid_from, '-infinity'), nullif(a.valid_to, 'infinity'), true
FROM symbol_alias AS a
JOIN instrument AS i USING (instrument_id)
WHERE a.symbol = ANY (%(symbols)s)
ORDER BY symbol, former, valid_from
"""
EXCHANGES = "SELECT mic, calendar, timezone FROM exchange WHERE mic = ANY (%s)"


class Written(StrEnum):
    """What an upsert did."""

    STORED = "STORED"
    UNCHANGED = "UNCHANGED"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstruments:
    """What a new instrument is like where its source does not say."""

    exchange: Exchange
    asset_class: AssetClass
    currency: str
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentRecord:
    """What a source says of an instrument; None: it does not say."""

    symbol: str
    name: str | None = None
    exchange: Exchange | None = None
    asset_class: AssetClass | None = None
    currency: str | None = None
    tick_size: Decimal | None = None
    listed_on: date | None = None
    delisted_on: date | None = None
    former_symbol: str | None = None  # with renamed_on, the first date of `symbol`
    renamed_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """The instrument that a symbol names within [valid_from, valid_to); None: unbounded."""

    symbol: str
    instrument_id: int
    exchange: Exchange
    asset_class: AssetClass
    tick_size: Decimal | None
    listed_on: date | None
    delisted_on: date | None
    valid_from: datetime | None
    valid_to: datetime | None
    former: bool


def lock_instruments(connection: Connection) -> None:
    """Wait for other imports that make instruments; held until this transaction ends."""
    connection.execute(LOCK, (_LOCK_KEY,))


def upsert(connection: Connection, record: InstrumentRecord, new: NewInstruments) -> Written:
    """Create the instrument, or bring the one with its symbol up to date; needs the lock."""
    exchange = record.exchange or new.exchange
    connection.execute(ADD_EXCHANGE, (exchange.mic, exchange.calendar, exchange.timezone))
    values = {
        "symbol": record.symbol,
        "name": record.name,
        "exchange": None if record.exchange is None else record.exchange.mic,
        "asset_class": record.asset_class,
        "currency": record.currency,
        "tick_size": record.tick_size,
        "listed_on": record.listed_on,
        "delisted_on": record.delisted_on,
        "new_exchange": new.exchange.mic,
        "new_asset_class": new.asset_class,
        "new_currency": new.currency,
        "simulated": new.simulated,
    }
    names = {
        "symbol": record.symbol,
        "former": record.former_symbol,
        "renamed_on": record.renamed_on,
    }
    if record.former_symbol is not None:
        connection.execute(RENAME, names)
    changed = connection.execute(UPSERT, values).fetchone()
    if record.former_symbol is not None:
        changed = connection.execute(ALIAS, names).fetchone() or changed
    return Written.UNCHANGED if changed is None else Written.STORED


def meanings(connection: Connection, symbols: Sequence[str]) -> list[Meaning]:
    """Give every instrument that one of the symbols names or once named."""
    rows = connection.execute(MEANINGS, {"symbols": list(symbols)}).fetchall()
    venues = {
        mic: Exchange(mic=mic, calendar=calendar, timezone=timezone)
        for mic, calendar, timezone in connection.execute(
            EXCHANGES, ([row[2] for row in rows],)
        ).fetchall()
    }
    return [
        Meaning(
            symbol=row[0],
            instrument_id=row[1],
            exchange=venues[row[2]],
            asset_class=AssetClass(row[3]),
            tick_size=row[4],
            listed_on=row[5],
            delisted_on=row[6],
            valid_from=row[7],
            valid_to=row[8],
            former=row[9],
        )
        for row in rows
    ]
