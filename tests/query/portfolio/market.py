"""Daily bars of stocks in two currencies, a coin that trades at weekends, and exchange rates."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from app.market.candle_spec import Adjust, CandleSpec
from app.market.interval import Interval
from app.query.market import Market
from app.query.portfolio.checking import asked_portfolio
from app.query.portfolio.found import Portfolio
from app.query.portfolio.read import read_portfolio
from app.query.portfolio.terms import CostMethod, Position, Transaction, TransactionKind
from tests.graphql_schema.market import add_bars, add_instruments
from tests.query.portfolio.spreadsheet import Line

FIRST, DAYS = date(2024, 1, 1), 120
ALL_DAYS = [FIRST + timedelta(days=n) for n in range(DAYS)]
WEEKDAYS = [day for day in ALL_DAYS if day.weekday() < 5]
INSTRUMENTS = [
    {"symbol": "AAA", "exchange": "XNYS", "currency": "USD"},
    {"symbol": "BBB", "exchange": "XNYS", "currency": "USD"},
    {"symbol": "EEE", "exchange": "XETR", "currency": "EUR"},
    {"symbol": "COIN", "exchange": "24/7", "currency": "USD", "asset_class": "CRYPTO"},
    {"symbol": "LATE", "exchange": "XNYS", "currency": "USD"},
    {"symbol": "GONE", "exchange": "XNYS", "currency": "USD"},
    {"symbol": "EMPTY", "exchange": "XNYS", "currency": "USD"},
    {"symbol": "YEN", "exchange": "XTKS", "currency": "JPY"},
    {"symbol": "EURUSD", "exchange": "24/7", "currency": "USD", "asset_class": "FX"},
    {"symbol": "GBP/USD", "exchange": "24/7", "currency": "USD", "asset_class": "FX"},
    {"symbol": "OIL", "exchange": "XNYS", "currency": "USD", "asset_class": "FUTURE"},
    # Named like a rate, and none.
    {"symbol": "JPYUSD", "exchange": "XNYS", "currency": "USD", "asset_class": "EQUITY"},
]
CURRENCIES = {each["symbol"]: each["currency"] for each in INSTRUMENTS}
TRADED = ["AAA", "BBB", "EEE", "COIN"]


def walk(seed: int, days: Sequence[date], start: str, step: float) -> dict[date, Decimal]:
    rng = random.Random(seed)
    price, found = Decimal(start), {}
    places = Decimal(1).scaleb(Decimal(start).as_tuple().exponent)  # type: ignore[arg-type]
    for day in days:
        price = (price * Decimal(1 + rng.uniform(-step, step))).quantize(places)
        found[day] = max(price, places)
    return found


def skipping(seed: int, days: Sequence[date]) -> list[date]:
    """Leave one in eight out, never the first."""
    rng = random.Random(seed)
    return [day for place, day in enumerate(days) if not place or rng.random() > 0.125]


CLOSES: dict[str, dict[date, Decimal]] = {
    "AAA": walk(1, skipping(11, WEEKDAYS), "101.25", 0.03),
    "BBB": walk(2, skipping(12, WEEKDAYS), "17.5", 0.05),
    "EEE": walk(3, skipping(13, WEEKDAYS), "55.125", 0.02),
    "COIN": walk(4, ALL_DAYS, "0.123456789012345678", 0.06),
    "LATE": walk(5, WEEKDAYS[40:], "30.00", 0.02),
    "GONE": walk(6, WEEKDAYS[:20], "30.00", 0.02),
    "YEN": walk(9, WEEKDAYS, "1500", 0.02),
    "EURUSD": walk(7, WEEKDAYS, "1.0850", 0.004),
    "GBP/USD": walk(8, WEEKDAYS, "1.2700", 0.004),
    "OIL": dict.fromkeys(WEEKDAYS, Decimal("-3.50")),
    "JPYUSD": walk(10, WEEKDAYS, "5.00", 0.004),
}


def fractions(known: Mapping[date, Decimal]) -> dict[date, Fraction]:
    return {day: Fraction(price) for day, price in known.items()}


def store(url: str) -> None:
    add_instruments(url, INSTRUMENTS)
    add_bars(
        url,
        "1d",
        [
            (symbol, day.isoformat(), *(str(price),) * 4, "1000")
            for symbol, closes in CLOSES.items()
            for day, price in closes.items()
        ],
    )


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def transaction(line: Line) -> Transaction:
    """Give a line as a client would."""
    trades = line.kind in ("BUY", "SELL")
    return Transaction(
        kind=TransactionKind(line.kind),
        day=line.day,
        symbol=line.symbol,
        quantity=decimal(line.quantity) if trades else None,
        price=decimal(line.price) if trades else None,
        amount=None if trades else decimal(line.amount),
        fees=decimal(line.fees),
        currency=line.currency,
    )


def decimal(number: Fraction) -> Decimal:
    found = Decimal(number.numerator) / Decimal(number.denominator)
    assert Fraction(found) == number
    return found


async def portfolio(
    market: Market,
    *,
    transactions: Sequence[Transaction] = (),
    positions: Sequence[Position] = (),
    currency: str = "USD",
    interval: str = "1d",
    start: datetime | None = None,
    end: datetime | None = None,
    cash: Decimal | None = None,
    method: str = "FIFO",
    adjust: Adjust = Adjust.SPLITS,
    benchmark: str | None = None,
) -> Portfolio:
    asked = asked_portfolio(
        positions=list(positions),
        transactions=list(transactions),
        currency=currency,
        spec=CandleSpec(interval=Interval.parse(interval), adjust=adjust),
        start=start,
        end=end,
        cash=cash,
        method=CostMethod(method),
        benchmark=benchmark,
    )
    return await read_portfolio(market, asked, 100)
