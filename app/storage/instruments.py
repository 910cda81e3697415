"""Look instruments and exchanges up: by symbol (also one they once had), by id, by search."""

from collections.abc import Sequence

from app.market.instrument import AssetClass, CandleSource, Exchange, Instrument
from app.storage.reader import Reader, Row

COLUMNS = """i.instrument_id, i.symbol, i.name, i.exchange, i.asset_class, i.currency, i.tick_size,
       i.candle_source, i.simulated, i.listed_on, i.delisted_on"""

# by_symbols: the instrument that bears each symbol now, else the one that bore it last.
BY_SYMBOLS = f"""
SELECT {COLUMNS}, i.symbol AS asked
FROM instrument AS i
WHERE i.symbol = ANY ($1::text[])
UNION ALL
SELECT {COLUMNS}, a.symbol AS asked
FROM (
    SELECT DISTINCT ON (symbol) symbol, instrument_id
    FROM symbol_alias
    WHERE symbol = ANY ($1::text[])
    ORDER BY symbol, valid_to DESC
) AS a
JOIN instrument AS i USING (instrument_id)
WHERE NOT EXISTS (SELECT FROM instrument AS now WHERE now.symbol = a.symbol)
"""  # noqa: S608 - the column list is a constant of this module

# by_ids: instruments by key.
BY_IDS = f"""
SELECT {COLUMNS}
FROM instrument AS i
WHERE i.instrument_id = ANY ($1::integer[])
"""  # noqa: S608

# search: symbol or name contains the text; an exact symbol first, then symbols that begin with it.
SEARCH = f"""
SELECT {COLUMNS}, s.rank
FROM instrument AS i
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN $1::text IS NULL THEN 2
        WHEN upper(i.symbol) = upper($1) THEN 0
        WHEN starts_with(upper(i.symbol), upper($1)) THEN 1
        ELSE 2
    END AS rank
) AS s
WHERE ($1::text IS NULL
       OR strpos(upper(i.symbol), upper($1)) > 0
       OR strpos(upper(i.name), upper($1)) > 0)
  AND ($2::text IS NULL OR i.asset_class = $2)
  AND ($3::text IS NULL OR i.exchange = $3)
  AND ($4::integer IS NULL OR (s.rank, i.symbol) > ($4, $5::text))
ORDER BY s.rank, i.symbol
LIMIT $6
"""  # noqa: S608

# exchanges: venues by MIC.
EXCHANGES = """
SELECT mic, calendar, timezone
FROM exchange
WHERE mic = ANY ($1::text[])
"""


async def by_symbols(reader: Reader, symbols: Sequence[str]) -> dict[str, Instrument]:
    """Find instruments by current or former symbol; unknown symbols are absent."""
    rows = await reader.fetch(BY_SYMBOLS, list(symbols))
    return {row["asked"]: _instrument(row) for row in rows}


async def by_ids(reader: Reader, instrument_ids: Sequence[int]) -> dict[int, Instrument]:
    """Find instruments by key; unknown keys are absent."""
    rows = await reader.fetch(BY_IDS, list(instrument_ids))
    return {row["instrument_id"]: _instrument(row) for row in rows}


async def search(
    reader: Reader,
    *,
    text: str | None,
    asset_class: AssetClass | None,
    exchange: str | None,
    after: tuple[int, str] | None,
    limit: int,
) -> list[tuple[int, Instrument]]:
    """Give up to `limit` matches as (rank, instrument), by (rank, symbol), after a match."""
    rank, symbol = after if after is not None else (None, None)
    rows = await reader.fetch(SEARCH, text or None, asset_class, exchange, rank, symbol, limit)
    return [(row["rank"], _instrument(row)) for row in rows]


async def exchanges(reader: Reader, mics: Sequence[str]) -> dict[str, Exchange]:
    """Find venues by MIC."""
    rows = await reader.fetch(EXCHANGES, list(mics))
    return {
        row["mic"]: Exchange(mic=row["mic"], calendar=row["calendar"], timezone=row["timezone"])
        for row in rows
    }


def _instrument(row: Row) -> Instrument:
    source = row["candle_source"]
    return Instrument(
        instrument_id=row["instrument_id"],
        symbol=row["symbol"],
        name=row["name"],
        exchange=row["exchange"],
        asset_class=AssetClass(row["asset_class"]),
        currency=row["currency"],
        tick_size=row["tick_size"],
        candle_source=None if source is None else CandleSource(source),
        simulated=row["simulated"],
        listed_on=row["listed_on"],
        delisted_on=row["delisted_on"],
    )
