"""Instruments and where they trade."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum


class AssetClass(StrEnum):
    """What kind of thing is priced."""

    EQUITY = "EQUITY"
    ETF = "ETF"
    FUND = "FUND"
    INDEX = "INDEX"
    FUTURE = "FUTURE"
    OPTION = "OPTION"
    SPREAD = "SPREAD"
    FX = "FX"
    CRYPTO = "CRYPTO"
    BOND = "BOND"
    RATE = "RATE"
    COMMODITY = "COMMODITY"
    OTHER = "OTHER"


# Prices that may be zero or below: crude oil futures did it on 2020-04-20, rates did for years.
MAY_BE_NEGATIVE = frozenset({AssetClass.FUTURE, AssetClass.SPREAD, AssetClass.RATE})


class CandleSource(StrEnum):
    """What an instrument's candles are made of."""

    TRADES = "TRADES"
    BARS = "BARS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A venue: MIC (or `24/7`), calendar code of exchange-calendars, IANA time zone."""

    mic: str
    calendar: str
    timezone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """Something that trades under one current symbol at one exchange."""

    instrument_id: int
    symbol: str
    name: str | None
    exchange: str
    asset_class: AssetClass
    currency: str
    tick_size: Decimal | None
    candle_source: CandleSource | None
    simulated: bool
    listed_on: date | None
    delisted_on: date | None
