"""Resolve the symbols of rows to instruments, as they were named at the time of each row."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import polars as pl

from app.market.calendar import TradingCalendar
from app.market.instrument import MAY_BE_NEGATIVE, Exchange
from app.storage import instrument_writes
from app.storage.database import Connection
from app.storage.instrument_writes import InstrumentRecord, Meaning, NewInstruments
from app.validation.rules import NUMBER, exact

_START = datetime(1, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "symbol": pl.String,
    "instrument_id": pl.Int32,
    "mic": pl.String,
    "may_be_negative": pl.Boolean,
    "asset_class": pl.String,
    "tick": NUMBER,
    "listed_on": pl.Date,
    "delisted_on": pl.Date,
    "valid_from": pl.Datetime("us", "UTC"),
    "valid_to": pl.Datetime("us", "UTC"),
    "former": pl.Boolean,
}
_FOUND = ("instrument_id", "mic", "may_be_negative", "asset_class")
_LISTING = ("listed_on", "delisted_on")
# What `resolve` and `place` add.
_ADDED = (*_FOUND, "tick", *_LISTING, "is_new", "session", "trading_date")


class Symbols:
    """What the symbols of one source mean; asks the database once for each symbol.

    With `create`, instruments that nobody knows can be made.
    """

    def __init__(self, connection: Connection, create: NewInstruments | None) -> None:
        self._connection = connection
        self._create = create
        self._asked: set[str] = set()
        self._known: set[str] = set()
        self._meanings = pl.DataFrame(schema=_SCHEMA)
        self._exchanges: dict[str, Exchange] = {}
        self._calendars: dict[tuple[str, int, int], TradingCalendar] = {}

    def resolve(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add instrument_id, mic, may_be_negative, asset_class and is_new; rows keep their order.

        The rows have `symbol` and `event_time`. The first four are null where the symbol names
        nothing at that time; is_new tells the rows whose instrument `make` would make. Where some
        instrument has a tick size there is also `tick`, and where some has dates of listing
        `listed_on` and `delisted_on`; null where it has none.
        """
        self._ask(rows["symbol"].drop_nulls().unique().to_list())
        if self._meanings["former"].any():
            found, key = self._found(rows), "line"
        else:
            found, key = self._meanings.select("symbol", *self._telling()), "symbol"
        rows = rows.join(found, on=key, how="left", maintain_order="left")
        if self._create is None:
            return rows.with_columns(pl.lit(value=False).alias("is_new"))
        negative = pl.lit(self._create.asset_class in MAY_BE_NEGATIVE)
        return rows.with_columns(
            pl.col("symbol").is_in(self._known).not_().alias("is_new"),
            pl.col("may_be_negative").fill_null(negative),
        )

    def make(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Make the instruments of resolved rows that are new, and resolve those rows."""
        unknown = rows.filter("is_new")["symbol"].unique().sort().to_list()
        if self._create is None or not unknown:
            return rows
        instrument_writes.lock_instruments(self._connection)
        # Another import may have made some while this one waited.
        self._keep(instrument_writes.meanings(self._connection, unknown))
        unknown = [symbol for symbol in unknown if symbol not in self._known]
        for symbol in unknown:
            record = InstrumentRecord(symbol=symbol)
            instrument_writes.upsert(self._connection, record, self._create)
        self._keep(instrument_writes.meanings(self._connection, unknown))
        return self.resolve(rows.drop(_ADDED, strict=False))

    def _found(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give what rows' symbols name at their times; a former name goes before a present one."""
        return (
            rows.select("line", "symbol", "event_time")
            .join(self._meanings, on="symbol")
            .filter(pl.col("event_time").is_between("valid_from", "valid_to", closed="left"))
            .sort("former", descending=True, maintain_order=True)
            .unique("line", keep="first")
            .select("line", *self._telling())
        )

    def _telling(self) -> list[str]:
        """Give the columns that tell something of some instrument."""
        told = [name for name in ("tick",) if self._meanings[name].count()]
        if any(self._meanings[name].count() for name in _LISTING):
            told += _LISTING
        return [*_FOUND, *told]

    def zones(self, symbols: pl.Series) -> dict[str, list[str]]:
        """Give the time zones of the symbols' venues, and which symbols have each; make nothing."""
        names = symbols.drop_nulls().unique().sort().to_list()
        self._ask(names)
        found: dict[str, list[str]] = {}
        for symbol, mic in self._meanings.select("symbol", "mic").unique().sort(pl.all()).rows():
            found.setdefault(self._exchanges[mic].timezone, []).append(symbol)
        if self._create is not None:
            unknown = [name for name in names if name not in self._known]
            found.setdefault(self._create.exchange.timezone, []).extend(unknown)
        return found

    def place(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add session and trading_date to resolved rows, from their venues' calendars.

        No moment is outside every session (app.market.calendar). Rows whose instrument is still to
        be made have no venue yet, and get values without a meaning.
        """
        session = np.zeros(rows.height, dtype=np.int16)
        trading_date = np.zeros(rows.height, dtype=np.int32)
        moments = rows["event_time"].dt.epoch("us").to_numpy()
        for mic in rows["mic"].drop_nulls().unique():
            where = (rows["mic"] == mic).fill_null(value=False).to_numpy()
            placed = self._calendar(mic, moments[where]).place(moments[where])
            session[where], trading_date[where] = placed.session, placed.trading_date
        return rows.with_columns(
            pl.Series("session", session),
            pl.Series("trading_date", trading_date).cast(pl.Date),
        )

    def _calendar(self, mic: str, moments_us: np.ndarray) -> TradingCalendar:
        first, last = (
            int(np.datetime64(int(edge), "us").astype("datetime64[Y]").astype(int)) + 1970
            for edge in (moments_us.min(), moments_us.max())
        )
        key = (mic, first, last)
        if key not in self._calendars:
            self._calendars[key] = TradingCalendar(self._exchanges[mic], first, last)
        return self._calendars[key]

    def _ask(self, symbols: list[str]) -> None:
        new = [symbol for symbol in symbols if symbol not in self._asked]
        if new:
            self._asked.update(new)
            self._keep(instrument_writes.meanings(self._connection, new))

    def _keep(self, meanings: list[Meaning]) -> None:
        self._known.update(meaning.symbol for meaning in meanings)
        self._exchanges |= {meaning.exchange.mic: meaning.exchange for meaning in meanings}
        rows = [_row(meaning) for meaning in meanings]
        self._meanings = self._meanings.vstack(pl.DataFrame(rows, schema=_SCHEMA, orient="row"))


def _row(meaning: Meaning) -> tuple[object, ...]:
    return (
        meaning.symbol,
        meaning.instrument_id,
        meaning.exchange.mic,
        meaning.asset_class in MAY_BE_NEGATIVE,
        meaning.asset_class.value,
        _tick(meaning.tick_size),
        meaning.listed_on,
        meaning.delisted_on,
        meaning.valid_from or _START,
        meaning.valid_to or _END,
        meaning.former,
    )


def _tick(size: Decimal | None) -> Decimal | None:
    """Give a tick size that fits the column; imports make no other."""
    return None if size is None else exact(format(size, "f"))
