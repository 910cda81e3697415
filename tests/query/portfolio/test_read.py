"""Portfolios equal a spreadsheet: random trades, shorts, partial sales, currencies, cash."""

import random
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from app.market.grid import moment_of
from app.query.market import Market
from app.query.portfolio.found import Portfolio
from tests.conftest import TestDatabase
from tests.query.portfolio.market import (
    ALL_DAYS,
    CLOSES,
    CURRENCIES,
    TRADED,
    at,
    fractions,
    portfolio,
    store,
    transaction,
)
from tests.query.portfolio.spreadsheet import Line, Row, Sheet, contributions, returns, rows
from tests.query.reading import reading


@pytest.fixture(scope="module")
async def market(native_database: TestDatabase) -> AsyncIterator[Market]:
    store(native_database.url)
    async with reading(native_database.url) as opened:
        yield opened


def random_lines(seed: int, *, account: bool, shorts: bool) -> list[Line]:
    rng = random.Random(seed)
    held: dict[str, int] = {}
    lines = []
    days = sorted(rng.sample(ALL_DAYS[1:], 40))
    if account:
        amount = Fraction(rng.randint(100_000, 200_000))
        lines.append(Line(day=days[0], kind="DEPOSIT", amount=amount))
    for day in days:
        symbol = rng.choice(TRADED)
        quantity = rng.randint(1, 90_000)  # thousandths
        kind = rng.choice(("BUY", "BUY", "SELL", "DIVIDEND"))
        if kind == "SELL" and not shorts:
            quantity = min(quantity, held.get(symbol, 0))
        own = Fraction(quantity, 1000)
        near = Fraction(rng.randint(90, 110), 100) * 50
        if not quantity:
            continue
        fees = Fraction(rng.randint(0, 300), 100)
        currency = "EUR" if rng.random() < 0.2 else None
        amount = Fraction(rng.randint(1, 1000), 8)
        lines.append(
            Line(day=day, kind=kind, symbol=symbol, quantity=own, price=near, fees=fees,
                 amount=amount, currency=currency)
        )  # fmt: skip
        if kind != "DIVIDEND":
            held[symbol] = held.get(symbol, 0) + (quantity if kind == "BUY" else -quantity)
        if account and rng.random() < 0.1:
            lines.append(Line(day=day, kind="WITHDRAWAL", amount=amount, currency="EUR"))
    return lines


def sheet_of(lines: list[Line], currency: str, method: str, cash: Fraction | None = None) -> Sheet:
    euro, pound = fractions(CLOSES["EURUSD"]), fractions(CLOSES["GBP/USD"])
    rates = {"EUR": euro, "GBP": pound}
    if currency == "EUR":
        rates = {"USD": {day: 1 / price for day, price in euro.items()}}
    if currency == "GBP":
        over_usd = {day: 1 / price for day, price in pound.items()}
        rates = {"USD": over_usd, "EUR": {day: euro[day] * over_usd[day] for day in euro}}
    return Sheet(
        closes={symbol: fractions(own) for symbol, own in CLOSES.items()},
        currencies=CURRENCIES,
        rates=rates,
        currency=currency,
        lines=lines,
        method=method,
        cash=cash,
    )


def bucket_days(lines: list[Line]) -> list[date]:
    named = {line.symbol for line in lines if line.symbol is not None}
    every = {day for symbol in named for day in CLOSES[symbol]} | {line.day for line in lines}
    return sorted(day for day in every if day >= min(line.day for line in lines))


def near(found: Decimal, expected: Fraction) -> bool:
    return abs(Fraction(found) - expected) <= Fraction(1, 10**13) * (1 + abs(expected))


def assert_identity(found: Portfolio) -> None:
    """Hold profits to add up to the last digit."""
    totals, own = found.totals, found.holdings
    with localcontext(prec=150):
        gained = totals.realised_profit + totals.unrealised_profit + totals.income
        assert totals.value - totals.invested == gained == totals.profit
        assert totals.value == totals.cash + sum(each.value for each in own)
        assert totals.cost == sum(each.cost for each in own)
        for name in ("realised_profit", "unrealised_profit", "income", "fees"):
            assert getattr(totals, name) == sum(getattr(each, name) for each in own)


def assert_columns(found: Portfolio, table: list[Row]) -> None:
    columns = found.columns
    assert [moment_of(each).date() for each in columns.time.tolist()] == [row.day for row in table]
    expected_columns: dict[str, list[Fraction | None]] = {
        "value": [row.value for row in table],
        "cash": [row.cash for row in table],
        "cost": [row.cost for row in table],
        "invested": [row.invested for row in table],
        "flow": [row.flow for row in table],
        "realised": [row.realised for row in table],
        "income": [row.income for row in table],
        "unrealised": [(row.value or 0) - row.cash - row.cost for row in table],
    }
    for name, expected in expected_columns.items():
        numbers = [float(each or 0) for each in expected]
        np.testing.assert_allclose(getattr(columns, name), numbers, rtol=1e-12, atol=1e-7)


@pytest.mark.parametrize("currency", ["USD", "EUR", "GBP"])
@pytest.mark.parametrize("method", ["FIFO", "AVERAGE"])
@pytest.mark.parametrize("seed", range(6))
async def test_random_transactions_equal_the_spreadsheet(
    market: Market, seed: int, method: str, currency: str
) -> None:
    lines = random_lines(seed, account=seed % 2 == 0, shorts=seed % 3 == 0)
    found = await portfolio(
        market, transactions=[transaction(line) for line in lines], currency=currency, method=method
    )
    table = rows(sheet_of(lines, currency, method), bucket_days(lines))
    assert_columns(found, table)
    end, totals = table[-1], found.totals
    assert end.value is not None
    assert near(totals.value, end.value)
    assert near(totals.cash, end.cash)
    assert near(totals.cost, end.cost)
    assert near(totals.invested, end.invested)
    assert near(totals.realised_profit, end.realised)
    assert near(totals.income, end.income)
    for each in found.holdings:
        symbol = each.instrument.symbol
        assert each.quantity == end.held.get(symbol, 0)
        assert near(each.value, end.worth.get(symbol) or Fraction(0))
    assert_identity(found)
    growth = returns(table, Fraction(0))
    undefined = [place for place, each in enumerate(growth) if each is None]
    assert np.flatnonzero(np.isnan(found.returns)).tolist() == undefined
    if undefined:
        assert totals.total_return is None
        return
    np.testing.assert_allclose(found.returns, [float(each or 0) for each in growth], atol=1e-10)
    assert totals.total_return == pytest.approx(float(growth[-1] or 0), abs=1e-10)
    added = contributions(table, Fraction(0), {})
    for each in found.holdings:
        assert each.contribution == pytest.approx(
            float(added.get(each.instrument.symbol, 0)), abs=1e-10
        )
    assert sum(each.contribution or 0 for each in found.holdings) == pytest.approx(
        totals.total_return, abs=1e-12 * max(1, abs(float(totals.total_return or 0)))
    )
    weights = [each.weight or 0 for each in found.holdings]
    assert sum(weights) + (totals.cash_weight or 0) == pytest.approx(1, abs=1e-12)


async def test_some_random_portfolios_have_returns_and_some_have_none(market: Market) -> None:
    defined = []
    for seed in range(6):
        lines = random_lines(seed, account=seed % 2 == 0, shorts=seed % 3 == 0)
        found = await portfolio(market, transactions=[transaction(line) for line in lines])
        defined.append(found.totals.total_return is not None)
    assert sum(defined) >= 3
    assert not all(defined)


@pytest.mark.parametrize("place", [1, 20, 60])
async def test_a_range_has_the_same_rows_and_returns_since_the_close_before_it(
    market: Market, place: int
) -> None:
    lines = random_lines(2, account=True, shorts=True)
    given = [transaction(line) for line in lines]
    table = rows(sheet_of(lines, "EUR", "FIFO"), bucket_days(lines))
    first, end = table[place].day, table[90].day
    found = await portfolio(
        market, transactions=given, currency="EUR", start=at(first), end=at(end)
    )
    assert_columns(found, table[place:90])
    assert_identity(found)
    opening = table[place - 1].value
    assert opening is not None
    growth = returns(table[place:90], opening)
    np.testing.assert_allclose(found.returns, [float(each or 0) for each in growth], atol=1e-10)
