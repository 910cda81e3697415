"""Compress old chunks, and compress again those that late rows have opened.

Answers do not change, and rows can still come in and be corrected: the server unpacks what they
touch. One chunk at a time, each in a transaction of its own.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from app.rollups.policies import Policies, Table, refuse_impossible
from app.rollups.refresh import alone, clock
from app.storage.database import Connection, one_row
from app.storage.faults import psycopg_faults

_LOG = logging.getLogger("tickgraph.compression")

# enabled: whether chunks of the table can be compressed.
ENABLED = """
SELECT compression_enabled
FROM timescaledb_information.hypertables
WHERE hypertable_schema = current_schema() AND hypertable_name = %s
"""

# enable: rows of one segment are kept together, in this order.
ENABLE = SQL(
    "ALTER TABLE {} SET (timescaledb.compress, timescaledb.compress_segmentby = {},"
    " timescaledb.compress_orderby = {})"
)

# chunks: those that end by a time, and whether they are compressed but for rows that came late.
# status: bit 0 is compressed, bit 2 frozen, bit 3 has rows outside; bit 1 is out of order.
CHUNKS = """
SELECT format('%%I.%%I', c.schema_name, c.table_name), c.status
FROM timescaledb_information.chunks AS i
JOIN _timescaledb_catalog.chunk AS c
  ON c.schema_name = i.chunk_schema AND c.table_name = i.chunk_name
WHERE i.hypertable_schema = current_schema() AND i.hypertable_name = %s AND i.range_end <= %s
ORDER BY i.range_start
"""
_COMPRESSED, _UNORDERED, _FROZEN, _PARTIAL = 1, 2, 4, 8

COMPRESS = "SELECT compress_chunk(%s::regclass, true)"

# Whoever uses the chunk makes this wait, and this makes later ones wait: not for long.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"


@dataclass(frozen=True, slots=True, kw_only=True)
class OldChunk:
    """A chunk that should be compressed; `due` where it is not, or not all of it."""

    name: str
    due: bool


def compress(
    connection: Connection, policies: Policies, *, now: datetime | None = None
) -> list[str]:
    """Compress what is older than the policies say; gives the names of the chunks.

    What has to wait is logged and tried again the next time. The connection must be outside a
    transaction.

    Raises:
        SettingInvalid: the server's edition has no compression.
    """
    done: list[str] = []
    if not policies.compress_after_days:
        return done
    with psycopg_faults(), alone(connection) as granted:
        if not granted:
            return done
        refuse_impossible(connection, policies)
        moment = now or clock(connection)
        for table, age in policies.compressed():
            chunks = [each.name for each in old_chunks(connection, table, moment - age) if each.due]
            if chunks:
                done += _compress(connection, table, chunks)
    return done


def old_chunks(connection: Connection, table: Table, before: datetime) -> list[OldChunk]:
    """Give the table's chunks that end by a time, oldest first; frozen ones are not ours."""
    return [
        OldChunk(name=name, due=not status & _COMPRESSED or bool(status & (_UNORDERED | _PARTIAL)))
        for name, status in connection.execute(CHUNKS, (table.name, before))
        if not status & _FROZEN
    ]


def _compress(connection: Connection, table: Table, chunks: list[str]) -> list[str]:
    done: list[str] = []
    try:
        with connection.transaction():
            connection.execute(LOCK_TIMEOUT)
            if not one_row(connection, ENABLED, (table.name,))[0]:
                names = (Identifier(table.name), Literal(table.segment_by), Literal(table.order_by))
                connection.execute(ENABLE.format(*names))
        for chunk in chunks:
            with connection.transaction():
                connection.execute(LOCK_TIMEOUT)
                connection.execute(COMPRESS, (chunk,))
            done.append(chunk)
    except psycopg.errors.LockNotAvailable:
        _LOG.warning("chunks of %s are in use, and not compressed yet", table.name)
    return done
