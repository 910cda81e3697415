"""Units are multiplied by splits as prices are divided: values are those of the raw closes."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from app.errors import BadInput
from app.market.candle_spec import Adjust
from app.market.grid import moment_of
from app.query.market import Market
from app.query.portfolio.terms import Position, Transaction, TransactionKind
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_bars, add_instruments
from tests.query.actions import sample, store_actions, store_sample
from tests.query.portfolio.market import at, portfolio
from tests.query.reading import reading

SPLITS = (date(2000, 6, 21), date(2005, 2, 28))  # AAPL's, two for one each
THIRDS = [
    ("THIRD", f"2024-03-{day:02}", *(price,) * 4, "10")
    for day, price in ((4, "1.00"), (5, "1.10"), (6, "3.60"), (7, "3.90"))
]  # one for three on the 6th
BUY, SELL = TransactionKind.BUY, TransactionKind.SELL


@pytest.fixture(scope="module")
async def market(
    native_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Market]:
    url = native_database.url
    add_instruments(url, [{"symbol": "THIRD", "exchange": "XNYS", "currency": "USD"}])
    add_bars(url, "1d", THIRDS)
    with connect(url, timeout_s=10, statement_timeout_s=60) as connection:
        store_sample(connection)
        folder = tmp_path_factory.mktemp("actions")
        store_actions(connection, folder, [("THIRD", "2024-03-06", "SPLIT", "", "1:3")])
    async with reading(url) as opened:
        yield opened


def trade(
    day: date, kind: TransactionKind, quantity: str, price: Decimal, symbol: str = "AAPL"
) -> Transaction:
    return Transaction(kind=kind, day=day, symbol=symbol, quantity=Decimal(quantity), price=price)


async def test_units_bought_before_splits_are_worth_the_raw_closes(market: Market) -> None:
    raw = {each.day: each.close for each in sample()["AAPL"]}
    first, last = date(2000, 3, 1), max(raw)
    sold, price = date(2003, 5, 1), raw[date(2003, 5, 1)]
    found = await portfolio(
        market,
        transactions=[
            trade(first, BUY, "100", raw[first]),
            trade(sold, SELL, "50", price),
        ],
    )
    days = [moment_of(each).date() for each in found.columns.time.tolist()]
    held = [
        (100 if day < SPLITS[0] else 200 - 50 * (day >= sold)) * (1 + (day >= SPLITS[1]))
        for day in days
    ]
    expected = [float(raw[day] * units) for day, units in zip(days, held, strict=True)]
    np.testing.assert_allclose(found.columns.value, expected, rtol=1e-13)
    (row,) = found.holdings
    assert row.quantity == 300
    assert row.price == raw[last]
    assert row.value == 300 * raw[last]
    assert row.realised_profit == 50 * price - 25 * raw[first]
    assert row.cost == 75 * raw[first]
    assert found.totals.profit == row.value + 50 * price - 100 * raw[first]


@pytest.mark.parametrize(
    ("day", "units"),
    [
        (date(2000, 6, 20), 400),
        (date(2000, 6, 21), 200),
        (date(2005, 2, 25), 200),
        (date(2005, 2, 28), 100),
    ],
)
async def test_units_bought_on_the_ex_date_are_new_ones(
    market: Market, day: date, units: int
) -> None:
    found = await portfolio(market, transactions=[trade(day, BUY, "100", Decimal(50))])
    assert found.holdings[0].quantity == units


async def test_without_adjustment_units_stay_as_they_are_given(market: Market) -> None:
    raw = {each.day: each.close for each in sample()["AAPL"]}
    first = date(2000, 3, 1)
    found = await portfolio(
        market, transactions=[trade(first, BUY, "100", raw[first])], adjust=Adjust.NONE
    )
    assert found.holdings[0].quantity == 100
    assert found.totals.value == 100 * raw[max(raw)]


async def test_units_of_a_reverse_split_come_out_whole(market: Market) -> None:
    first = date(2024, 3, 4)
    found = await portfolio(
        market,
        transactions=[
            trade(first, BUY, "300", Decimal("1.00"), "THIRD"),
            trade(date(2024, 3, 7), SELL, "100", Decimal("3.90"), "THIRD"),
        ],
    )
    assert found.holdings[0].quantity == 0
    assert found.totals.value == 0
    assert found.totals.profit == found.totals.realised_profit == 90
    np.testing.assert_allclose(found.columns.value, [300, 330, 360, 0], rtol=1e-9)
    np.testing.assert_allclose(found.returns, [0, 0.1, 0.2, 0.3], atol=1e-9)


async def test_positions_are_in_units_of_today(market: Market) -> None:
    raw = {each.day: each.close for each in sample()["AAPL"]}
    day = date(2000, 3, 1)
    found = await portfolio(
        market,
        positions=[Position(symbol="AAPL", quantity=Decimal(400))],
        start=at(day),
        end=at(date(2000, 3, 10)),
    )
    assert found.columns.value[0] == pytest.approx(100 * float(raw[day]))


async def test_dividends_come_with_adjusted_prices_or_as_transactions(market: Market) -> None:
    raw = {each.day: each.close for each in sample()["MSFT"]}
    first, last = date(2013, 1, 2), max(raw)
    both = {}
    for adjust in (Adjust.SPLITS, Adjust.ALL):
        found = await portfolio(
            market,
            positions=[Position(symbol="MSFT", quantity=Decimal(10))],
            start=at(first),
            adjust=adjust,
        )
        assert found.totals.value == 10 * raw[last]
        both[adjust] = found.totals.total_return or 0
    adjusted = {each.day: each.adjusted_close for each in sample()["MSFT"]}
    before = max(day for day in adjusted if day < first)
    assert both[Adjust.SPLITS] == pytest.approx(float(raw[last] / raw[before]) - 1, abs=1e-12)
    assert both[Adjust.ALL] == pytest.approx(float(adjusted[last] / adjusted[before]) - 1, abs=2e-3)
    assert both[Adjust.ALL] > both[Adjust.SPLITS]
    for adjust in (Adjust.ALL, Adjust.TOTAL_RETURN):
        with pytest.raises(BadInput, match=f"adjust '{adjust}' changes prices for dividends"):
            await portfolio(
                market,
                transactions=[trade(first, BUY, "1", Decimal(27), "MSFT")],
                adjust=adjust,
            )
