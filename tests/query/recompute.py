"""Candles from raw rows in plain Python: the independent truth that answers are held against."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

MONDAY = datetime(2000, 1, 3, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTrade:
    time: datetime
    trade_id: int
    price: Decimal
    size: Decimal
    trading_date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBar:
    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trading_date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int


def bucket(interval: str, time: datetime, day: date) -> datetime:
    """Give the start of the bucket, written apart from the code under test."""
    number = int("".join(c for c in interval if c.isdigit()))
    unit = interval.lstrip("0123456789")
    if unit in ("s", "m", "h"):
        width = timedelta(seconds=number * {"s": 1, "m": 60, "h": 3600}[unit])
        whole = int((time - MONDAY) / timedelta(microseconds=1)) // int(
            width / timedelta(microseconds=1)
        )
        return MONDAY + whole * width
    if unit in ("d", "w"):
        days = number * {"d": 1, "w": 7}[unit]
        first = MONDAY.date() + timedelta(days=(day - MONDAY.date()).days // days * days)
    else:
        months = number * {"mo": 1, "y": 12}[unit]
        count = (day.year - 2000) * 12 + day.month - 1
        start = count // months * months
        first = date(2000 + start // 12, start % 12 + 1, 1)
    return datetime(first.year, first.month, first.day, tzinfo=UTC)


def from_trades(trades: Iterable[RawTrade], interval: str) -> list[Expected]:
    groups: dict[datetime, list[RawTrade]] = {}
    for trade in sorted(trades, key=lambda each: (each.time, each.trade_id)):
        groups.setdefault(bucket(interval, trade.time, trade.trading_date), []).append(trade)
    return [
        Expected(
            time=time,
            open=group[0].price,
            high=max(each.price for each in group),
            low=min(each.price for each in group),
            close=group[-1].price,
            volume=sum((each.size for each in group), Decimal(0)),
            trades=len(group),
        )
        for time, group in sorted(groups.items())
    ]


def from_bars(bars: Iterable[RawBar], interval: str) -> list[Expected]:
    groups: dict[datetime, list[RawBar]] = {}
    for bar in sorted(bars, key=lambda each: each.time):
        groups.setdefault(bucket(interval, bar.time, bar.trading_date), []).append(bar)
    return [
        Expected(
            time=time,
            open=group[0].open,
            high=max(each.high for each in group),
            low=min(each.low for each in group),
            close=group[-1].close,
            volume=sum((each.volume for each in group), Decimal(0)),
            trades=0,
        )
        for time, group in sorted(groups.items())
    ]
