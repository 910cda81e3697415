"""Transactions count to their exchange's day, or to the bucket of their moment."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from app.market.grid import moment_of
from app.market.instrument import AssetClass, Instrument
from app.market.interval import Interval
from app.query.portfolio.placement import placed
from app.query.portfolio.terms import Term, TransactionKind


def instrument(symbol: str, exchange: str) -> Instrument:
    return Instrument(
        instrument_id=1, symbol=symbol, name=None, exchange=exchange,
        asset_class=AssetClass.EQUITY, currency="USD", tick_size=None, candle_source=None,
        simulated=False, listed_on=None, delisted_on=None,
    )  # fmt: skip


LISTED = {each: instrument(each, each) for each in ("XNYS", "XTKS", "CMES", "24/7")}


def term(venue: str | None, when: str, place: int = 0) -> Term:
    """Give a term at a time (with a zone) or a date."""
    dated = len(when) == 10
    return Term(
        place=place,
        kind=TransactionKind.BUY if venue else TransactionKind.DEPOSIT,
        time=None if dated else datetime.fromisoformat(when),
        day=date.fromisoformat(when) if dated else None,
        symbol=venue,
        quantity=Decimal(1),
        price=None,
        paid=Decimal(1),
        fees=Decimal(0),
        currency=None,
    )


@pytest.mark.parametrize(
    ("venue", "when", "interval", "trading_date", "bucket"),
    [
        ("XNYS", "2024-03-05", "1d", "2024-03-05", "2024-03-05T00:00"),
        ("XNYS", "2024-03-05", "1w", "2024-03-05", "2024-03-04T00:00"),
        ("XNYS", "2024-03-05", "1mo", "2024-03-05", "2024-03-01T00:00"),
        # 19:30 in New York is after the close of the 4th.
        ("XNYS", "2024-03-05T00:30+00:00", "1d", "2024-03-04", "2024-03-04T00:00"),
        ("24/7", "2024-03-05T00:30+00:00", "1d", "2024-03-05", "2024-03-05T00:00"),
        # A Saturday's order is filled on Monday.
        ("XNYS", "2024-03-02T12:00+00:00", "1d", "2024-03-04", "2024-03-04T00:00"),
        # A session of futures begins on the evening before.
        ("CMES", "2024-03-04T23:30+00:00", "1d", "2024-03-05", "2024-03-05T00:00"),
        ("XNYS", "2024-03-05T15:44:59+00:00", "15m", "2024-03-05", "2024-03-05T15:30"),
        # A date alone counts to its open, half past nine; 24/7 opens at midnight.
        ("XNYS", "2024-03-05", "15m", "2024-03-05", "2024-03-05T14:30"),
        ("XNYS", "2024-03-12", "1h", "2024-03-12", "2024-03-12T13:00"),
        ("XTKS", "2024-03-05", "1h", "2024-03-05", "2024-03-05T00:00"),
        ("24/7", "2024-03-05", "1h", "2024-03-05", "2024-03-05T00:00"),
        ("XNYS", "2024-03-03", "1h", "2024-03-03", "2024-03-03T00:00"),
        # Money comes to no exchange: its days are UTC's.
        (None, "2024-03-05T23:59:59-05:00", "1d", "2024-03-06", "2024-03-06T00:00"),
        (None, "2024-03-05", "1h", "2024-03-05", "2024-03-05T00:00"),
        # Years that no calendar knows.
        ("XNYS", "1925-03-05", "1h", "1925-03-05", "1925-03-05T00:00"),
        ("XNYS", "1925-03-05T12:00+00:00", "1d", "1925-03-05", "1925-03-05T00:00"),
        ("XNYS", "2199-03-05T12:00+00:00", "1d", "2199-03-05", "2199-03-05T00:00"),
    ],
)
def test_place(venue: str, when: str, interval: str, trading_date: str, bucket: str) -> None:
    (found,) = placed([term(venue, when)], LISTED, Interval.parse(interval))
    assert found.trading_date == date.fromisoformat(trading_date)
    assert moment_of(found.bucket) == datetime.fromisoformat(bucket).replace(tzinfo=UTC)


def test_order_is_of_time_then_as_given() -> None:
    given = [
        term("XNYS", "2024-03-06", 0),
        term("24/7", "2024-03-05T10:00+00:00", 1),
        term(None, "2024-03-05", 2),
        term("XNYS", "2024-03-05", 3),
        term("24/7", "2024-03-05T09:00+00:00", 4),
    ]
    found = placed(given, LISTED, Interval.parse("1d"))
    assert [each.term.place for each in found] == [2, 3, 4, 1, 0]
