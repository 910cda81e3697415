"""Quotes as they are read back: the best bid and ask of a moment, either of which may be missing.

A crossed quote (bid above ask) has a spread below zero and a mid like any other: imports refuse it,
and who releases one from quarantine wants it counted.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from enum import StrEnum

from app.market.candle import Session

# Prices have up to 38 digits: with this, nothing of them is rounded.
EXACT = Context(prec=80)
_TWO = Decimal(2)
_TICK = timedelta(microseconds=1)


class QuoteMatch(StrEnum):
    """Which quote is in force for a trade, where quotes have the trade's own time."""

    BEFORE = "BEFORE"
    AT_OR_BEFORE = "AT_OR_BEFORE"


class TradeSide(StrEnum):
    """Who made a trade happen."""

    BUYER = "BUYER"
    SELLER = "SELLER"


class SideRule(StrEnum):
    """What told the side of a trade: the quote in force, or the price before."""

    QUOTE = "QUOTE"
    TICK = "TICK"


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """How trades are matched with quotes; `lag` is how much earlier the quote must have been."""

    lag: timedelta = timedelta()
    match: QuoteMatch = QuoteMatch.BEFORE

    @property
    def shift(self) -> timedelta:
        """What a trade's time is moved by to give the time that its quote lies before."""
        return (_TICK if self.match is QuoteMatch.AT_OR_BEFORE else timedelta()) - self.lag


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One quote: in force from its time until the instrument's next one, of whatever session."""

    time: datetime
    quote_id: int
    bid: Decimal | None
    ask: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None
    session: Session
    trading_date: date

    @property
    def spread(self) -> Decimal | None:
        """The ask less the bid; None where a side is missing."""
        if self.bid is None or self.ask is None:
            return None
        return EXACT.subtract(self.ask, self.bid)

    @property
    def mid(self) -> Decimal | None:
        """Halfway between bid and ask; None where a side is missing."""
        if self.bid is None or self.ask is None:
            return None
        return EXACT.divide(EXACT.add(self.bid, self.ask), _TWO)
