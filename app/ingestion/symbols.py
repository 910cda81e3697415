"""Resolve the symbols of rows to instruments, as they were named at the time of each row."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from app.market.calendar import TradingCalendar
from app.market.instrument import MAY_BE_NEGATIVE, AssetClass, Exchange
from app.storage import instrument_writes
from app.storage.database import Connection
from app.storage.instrument_writes import InstrumentRecord, Meaning

_START = datetime(1, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "symbol": pl.String,
    "instrument_id": pl.Int32,
    "mic": pl.String,
    "may_be_negative": pl.Boolean,
    "valid_from": pl.Datetime("us", "UTC"),
    "valid_to": pl.Datetime("us", "UTC"),
    "former": pl.Boolean,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstruments:
    """What instruments are like that a file names and nobody knows yet."""

    exchange: Exchange
    asset_class: AssetClass
    currency: str
    simulated: bool = False


class Symbols:
    """What the symbols of one source mean; asks the database once for each symbol."""

    def __init__(self, connection: Connection, create: NewInstruments | None) -> None:
        self._connection = connection
        self._create = create
        self._asked: set[str] = set()
        self._meanings = pl.DataFrame(schema=_SCHEMA)
        self._exchanges: dict[str, Exchange] = {}
        self._calendars: dict[tuple[str, int, int], TradingCalendar] = {}

    def resolve(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add instrument_id, mic and may_be_negative to rows with `symbol` and `event_time`.

        They are null where the symbol names nothing at that time. Rows keep their order.
        """
        self._learn(rows["symbol"].drop_nulls().unique().to_list())
        if not self._meanings["symbol"].is_duplicated().any():
            found = self._meanings.drop("valid_from", "valid_to", "former")
            return rows.join(found, on="symbol", how="left", maintain_order="left")
        found = (
            rows.select("line", "symbol", "event_time")
            .join(self._meanings, on="symbol")
            .filter(
                pl.col("event_time").is_null()
                | pl.col("event_time").is_between("valid_from", "valid_to", closed="left")
            )
            .sort("former", descending=True, maintain_order=True)
            .unique("line", keep="first")
            .select("line", "instrument_id", "mic", "may_be_negative")
        )
        return rows.join(found, on="line", how="left", maintain_order="left")

    def zones(self) -> list[str]:
        """Give the time zones of the venues met so far."""
        return sorted({exchange.timezone for exchange in self._exchanges.values()})

    def place(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add session and trading_date to resolved rows, from their venues' calendars."""
        session = np.zeros(rows.height, dtype=np.int16)
        trading_date = np.zeros(rows.height, dtype=np.int32)
        moments = rows["event_time"].dt.epoch("us").to_numpy()
        mics = rows["mic"].to_numpy()
        for mic in rows["mic"].unique():
            where = mics == mic
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

    def _learn(self, symbols: list[str]) -> None:
        new = [symbol for symbol in symbols if symbol not in self._asked]
        if not new:
            return
        self._asked.update(new)
        meanings = instrument_writes.meanings(self._connection, new)
        known = {meaning.symbol for meaning in meanings}
        unknown = [symbol for symbol in new if symbol not in known]
        if self._create is not None and unknown:
            for symbol in unknown:
                self._make(symbol, self._create)
            meanings += instrument_writes.meanings(self._connection, unknown)
        self._exchanges |= {meaning.exchange.mic: meaning.exchange for meaning in meanings}
        rows = [_row(meaning) for meaning in meanings]
        self._meanings = self._meanings.vstack(pl.DataFrame(rows, schema=_SCHEMA, orient="row"))

    def _make(self, symbol: str, like: NewInstruments) -> None:
        instrument_writes.upsert(
            self._connection,
            InstrumentRecord(
                symbol=symbol,
                exchange=like.exchange,
                asset_class=like.asset_class,
                currency=like.currency,
                simulated=like.simulated,
            ),
        )


def _row(meaning: Meaning) -> tuple[object, ...]:
    return (
        meaning.symbol,
        meaning.instrument_id,
        meaning.exchange.mic,
        meaning.asset_class in MAY_BE_NEGATIVE,
        meaning.valid_from or _START,
        meaning.valid_to or _END,
        meaning.former,
    )
