"""Candles and trades as they are read back."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum


class Session(IntEnum):
    """The part of an exchange's day, in the order in which they follow each other."""

    PRE = 0
    REGULAR = 1
    POST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """One bucket; `revision` grows whenever anything under it changes."""

    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    vwap: Decimal | None
    trades: int
    revision: int
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One trade; `order_key` (hex) sorts as (time, trade_id)."""

    time: datetime
    trade_id: int
    price: Decimal
    size: Decimal
    session: Session
    trading_date: date
    order_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestPrice:
    """The newest price known: the last trade, or the last bar's close and volume."""

    time: datetime
    price: Decimal
    size: Decimal
    trading_date: date
