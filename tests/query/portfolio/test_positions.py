"""Positions held over a range, held against loops over days."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal, localcontext

import numpy as np
import pytest

from app.market.grid import moment_of
from app.query.market import Market
from app.query.portfolio.terms import Position
from tests.conftest import TestDatabase
from tests.query.portfolio.market import CLOSES, WEEKDAYS, at, portfolio, store
from tests.query.reading import reading

FROM, END = date(2024, 2, 3), date(2024, 4, 1)
HELD = {"AAA": Decimal("10"), "EEE": Decimal("-3.5"), "COIN": Decimal("1000")}
POSITIONS = [Position(symbol=symbol, quantity=quantity) for symbol, quantity in HELD.items()]


@pytest.fixture(scope="module")
async def market(native_database: TestDatabase) -> AsyncIterator[Market]:
    store(native_database.url)
    async with reading(native_database.url) as opened:
        yield opened


def close(symbol: str, day: date) -> Decimal:
    return CLOSES[symbol][max(each for each in CLOSES[symbol] if each <= day)]


def worth(day: date) -> dict[str, Decimal]:
    with localcontext(prec=80):
        euro = {"EEE": close("EURUSD", day)}
        return {
            symbol: quantity * close(symbol, day) * euro.get(symbol, Decimal(1))
            for symbol, quantity in HELD.items()
        }


async def test_positions_are_worth_their_closes_on_the_days_of_any(market: Market) -> None:
    found = await portfolio(market, positions=POSITIONS, start=at(FROM), end=at(END))
    days = sorted({day for symbol in HELD for day in CLOSES[symbol] if FROM <= day < END})
    assert [moment_of(each).date() for each in found.columns.time.tolist()] == days
    values = [sum(worth(day).values()) for day in days]
    np.testing.assert_allclose(found.columns.value, list(map(float, values)), rtol=1e-13)
    # 2024-02-03 is a Saturday: what they were worth on Friday is what they have cost.
    before, end = worth(date(2024, 2, 2)), worth(days[-1])
    totals = found.totals
    with localcontext(prec=80):
        assert totals.value == sum(end.values())
        assert totals.invested == totals.cost == sum(before.values())
        assert totals.profit == totals.unrealised_profit == totals.value - totals.invested
        for each in found.holdings:
            symbol = each.instrument.symbol
            assert (each.value, each.cost) == (end[symbol], before[symbol])
            assert each.unrealised_profit == end[symbol] - before[symbol]
            assert each.quantity == HELD[symbol]
            assert each.rate == (close("EURUSD", days[-1]) if symbol == "EEE" else 1)
            assert each.weight == pytest.approx(float(end[symbol] / totals.value), rel=1e-13)
    # Without flows the return is that of the value.
    assert totals.total_return == pytest.approx(float(totals.value / totals.invested) - 1)
    growth = [float(value / totals.invested) - 1 for value in values]
    np.testing.assert_allclose(found.returns, growth, atol=1e-13)
    for each in found.holdings:
        gained = each.unrealised_profit / totals.invested
        assert each.contribution == pytest.approx(float(gained), abs=1e-13)


async def test_average_cost_is_in_the_instruments_currency(market: Market) -> None:
    own = [
        Position(symbol="EEE", quantity=Decimal("2"), average_cost=Decimal("50.25")),
        Position(symbol="AAA", quantity=Decimal("-1"), average_cost=Decimal("99")),
    ]
    found = await portfolio(market, positions=own, start=at(FROM), end=at(END))
    euro, share = found.holdings
    rate = close("EURUSD", date(2024, 2, 2))
    assert (euro.cost, euro.average_cost) == (2 * Decimal("50.25") * rate, Decimal("50.25") * rate)
    assert share.cost == -99
    assert share.average_cost == 99
    assert share.unrealised_profit == share.value + 99


async def test_cash_is_worth_itself_and_has_a_weight(market: Market) -> None:
    own = [Position(symbol="AAA", quantity=Decimal("1"))]
    found = await portfolio(
        market, positions=own, start=at(FROM), end=at(END), cash=Decimal("900.5")
    )
    (share,) = found.holdings
    totals = found.totals
    assert totals.cash == Decimal("900.5")
    assert totals.value == share.value + totals.cash
    assert totals.invested == share.cost + totals.cash
    assert totals.total_return == pytest.approx(float(totals.value / totals.invested) - 1)
    assert (share.weight or 0) + (totals.cash_weight or 0) == pytest.approx(1)


async def test_value_is_unknown_until_everything_has_a_price(market: Market) -> None:
    own = [
        Position(symbol="AAA", quantity=Decimal("1")),
        Position(symbol="LATE", quantity=Decimal("2")),
    ]
    found = await portfolio(market, positions=own, start=at(date(2024, 2, 1)))
    first = WEEKDAYS[40]
    days = [moment_of(each).date() for each in found.columns.time.tolist()]
    assert [
        day for day, value in zip(days, found.columns.value, strict=True) if value != value
    ] == [day for day in days if day < first]
    assert np.isnan(found.returns[: days.index(first)]).all()
    assert found.returns[days.index(first)] == 0
    assert found.totals.invested == close("AAA", first) + 2 * close("LATE", first)
    assert found.totals.total_return == pytest.approx(
        float(found.totals.value / found.totals.invested) - 1
    )


async def test_what_has_ended_keeps_its_last_price(market: Market) -> None:
    own = [
        Position(symbol="AAA", quantity=Decimal("1")),
        Position(symbol="GONE", quantity=Decimal("2")),
    ]
    found = await portfolio(market, positions=own, start=at(FROM))
    assert found.holdings[1].price == CLOSES["GONE"][WEEKDAYS[19]]
    assert found.holdings[1].unrealised_profit == 0


async def test_weeks_have_the_last_close_of_each(market: Market) -> None:
    own = [Position(symbol="COIN", quantity=Decimal("5"))]
    found = await portfolio(
        market, positions=own, start=at(date(2024, 2, 5)), end=at(date(2024, 2, 19)), interval="1w"
    )
    closes = [CLOSES["COIN"][date(2024, 2, 11)], CLOSES["COIN"][date(2024, 2, 18)]]
    np.testing.assert_allclose(found.columns.value, [5 * float(each) for each in closes])
    assert found.totals.value == 5 * closes[-1]
