"""Buckets of an hour: venues with different hours, and a rate that has gaps of its own."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from app.market.grid import moment_of
from app.query.market import Market
from app.query.portfolio.terms import Position, Transaction, TransactionKind
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_bars, add_instruments
from tests.query.market import busy_trades, store_trades
from tests.query.portfolio.market import fractions, portfolio, walk
from tests.query.portfolio.spreadsheet import Line, Sheet, last, rows
from tests.query.reading import reading
from tests.query.recompute import from_trades

START = datetime(2024, 3, 4, tzinfo=UTC)
HOURS = [START + timedelta(hours=n) for n in range(96)]
OPEN_HOURS = [hour for hour in HOURS if 14 <= hour.hour <= 20]
RATE_HOURS = [hour for hour in HOURS if hour.hour % 7 in (0, 1)]
STOCK = walk(1, OPEN_HOURS, "120.50", 0.01)
RATE = walk(2, RATE_HOURS, "1.0850", 0.002)
TRADES = busy_trades(3, START, 2000, 150.0)
COIN: dict[date, Decimal] = {each.time: each.close for each in from_trades(TRADES, "1h")}


@pytest.fixture(scope="module")
async def market(
    native_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Market]:
    url = native_database.url
    add_instruments(
        url,
        [
            {"symbol": "STOCK", "exchange": "XNYS", "currency": "USD"},
            {"symbol": "USDEUR", "exchange": "24/7", "currency": "EUR", "asset_class": "FX"},
        ],
    )
    for symbol, closes in (("STOCK", STOCK), ("USDEUR", RATE)):
        add_bars(
            url,
            "1h",
            [(symbol, at.isoformat(), *(str(price),) * 4, "1") for at, price in closes.items()],
        )
    with connect(url, timeout_s=10, statement_timeout_s=60) as connection:
        folder = tmp_path_factory.mktemp("trades")
        store_trades(connection, folder, "COIN", "24/7", TRADES)
    async with reading(url) as opened:
        yield opened


@pytest.mark.parametrize("seed", range(4))
async def test_trades_at_any_second_equal_the_spreadsheet(market: Market, seed: int) -> None:
    rng = random.Random(seed)
    given, lines = [], []
    for second in sorted(rng.sample(range(3600, 3600 * 70), 25)):
        at = START + timedelta(seconds=second)
        symbol = rng.choice(("STOCK", "COIN")) if at > OPEN_HOURS[0] else "COIN"
        kind, quantity = rng.choice(("BUY", "BUY", "SELL")), rng.randint(1, 500)
        given.append(
            Transaction(kind=TransactionKind(kind), time=at, symbol=symbol,
                        quantity=Decimal(quantity), price=Decimal(101))
        )  # fmt: skip
        lines.append(
            Line(day=at.replace(minute=0, second=0), kind=kind, symbol=symbol,
                 quantity=Fraction(quantity), price=Fraction(101))
        )  # fmt: skip
    found = await portfolio(market, transactions=given, currency="EUR", interval="1h")
    closes = {"STOCK": fractions(STOCK), "COIN": fractions(COIN)}
    named = {line.symbol for line in lines if line.symbol}
    buckets = {at for symbol in named for at in closes[symbol]} | {line.day for line in lines}
    table = rows(
        Sheet(
            closes=closes,
            currencies={"STOCK": "USD", "COIN": "USD"},
            rates={"USD": fractions(RATE)},
            currency="EUR",
            lines=lines,
        ),
        sorted(at for at in buckets if at >= lines[0].day),
    )
    assert [moment_of(each) for each in found.columns.time.tolist()] == [row.day for row in table]
    np.testing.assert_allclose(
        found.columns.value, [float(row.value or 0) for row in table], rtol=1e-11
    )
    np.testing.assert_allclose(
        found.columns.realised, [float(row.realised) for row in table], atol=1e-7
    )
    end = table[-1].value
    assert end is not None
    assert abs(Fraction(found.totals.value) - end) < Fraction(1, 10**12)


async def test_price_and_rate_before_the_range_are_in_force_in_it(market: Market) -> None:
    start = datetime(2024, 3, 6, 3, tzinfo=UTC)
    found = await portfolio(
        market,
        positions=[
            Position(symbol="STOCK", quantity=Decimal(2)),
            Position(symbol="COIN", quantity=Decimal(1)),
        ],
        currency="EUR",
        interval="1h",
        start=start,
        end=start + timedelta(hours=2),
    )
    hours = [start, start + timedelta(hours=1)]
    stock, coin, rate = (fractions(each) for each in (STOCK, COIN, RATE))

    def worth(at: datetime) -> float:
        price, other, to_euro = last(stock, at), last(coin, at), last(rate, at)
        assert price is not None
        assert other is not None
        assert to_euro is not None
        return float((2 * price + other) * to_euro)

    np.testing.assert_allclose(found.columns.value, [worth(hour) for hour in hours], rtol=1e-12)
    before = worth(start - timedelta(hours=1))
    assert float(found.totals.invested) == pytest.approx(before)
    assert found.returns[0] == pytest.approx(worth(start) / before - 1)


async def test_a_date_alone_counts_from_the_open(market: Market) -> None:
    found = await portfolio(
        market,
        transactions=[
            Transaction(day=date(2024, 3, 5), symbol="STOCK", quantity=Decimal(1),
                        price=Decimal(100))
        ],
        interval="1h",
    )  # fmt: skip
    assert found.since == datetime(2024, 3, 5, 14, tzinfo=UTC)
    assert found.columns.value[0] == float(STOCK[datetime(2024, 3, 5, 14, tzinfo=UTC)])
