"""What is subscribed to: each distinct question is read once, however many ask it."""

from dataclasses import dataclass

from app.market.interval import Interval
from app.query.market import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleQuestion:
    """Candles of one interval."""

    subjects: tuple[Subject, ...]
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeQuestion:
    """Every trade."""

    subjects: tuple[Subject, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceQuestion:
    """Newest prices."""

    subjects: tuple[Subject, ...]


Question = CandleQuestion | TradeQuestion | PriceQuestion
