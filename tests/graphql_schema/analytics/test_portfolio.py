"""Portfolios over GraphQL: real prices on every database, exact texts, statistics, refusals."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import empyrical  # type: ignore[import-untyped]
import pandas as pd
import pytest

from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_bars, add_instruments
from tests.query.actions import sample, store_sample
from tests.serving import Api, in_process

QUERY = """
query ($currency: String!, $positions: [PositionInput!], $transactions: [TransactionInput!],
       $interval: Interval! = "1d", $from: DateTime, $to: DateTime, $cash: Decimal,
       $method: CostMethod! = FIFO, $adjust: Adjust, $benchmark: String) {
  portfolio(currency: $currency, positions: $positions, transactions: $transactions,
            interval: $interval, from: $from, to: $to, cash: $cash, method: $method,
            adjust: $adjust, benchmark: $benchmark) {
    currency from to
    series { time value cash cost invested cashFlow realisedProfit unrealisedProfit income return }
    positions { symbol instrument { symbol exchange { mic } } quantity averageCost price rate value
                cost weight realisedProfit unrealisedProfit income fees contribution }
    totals { value cash cost invested profit realisedProfit unrealisedProfit income fees cashWeight
             totalReturn moneyWeightedReturn }
    statistics { observations from to totalReturn annualizedVolatility sharpe beta periodsPerYear
                 maxDrawdown { value } }
  }
}
"""
RATES = {"2012-06-01": "1.25", "2012-06-04": "1.28", "2012-06-05": "1.2"}
BOUGHT = {"date": "2012-06-01", "symbol": "IBM", "quantity": "10", "price": "189", "fees": "1.5"}
SOLD = {"date": "2012-06-04", "symbol": "IBM", "quantity": "-4", "price": "187.5", "fees": "1"}


@pytest.fixture(scope="module")
async def api(database: TestDatabase) -> AsyncIterator[Api]:
    with connect(database.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_sample(connection)
    add_instruments(
        database.url,
        [{"symbol": "EURUSD", "exchange": "24/7", "currency": "USD", "asset_class": "FX"}],
    )
    add_bars(
        database.url, "1d", [("EURUSD", day, *(rate,) * 4, "0") for day, rate in RATES.items()]
    )
    async with in_process(database.url) as running:
        yield running


async def ask(api: Api, **variables: Any) -> Any:
    return (await api.data(QUERY, **{"currency": "USD"} | variables))["portfolio"]


async def test_transactions_in_another_currency_are_exact_texts(api: Api) -> None:
    found = await ask(
        api, currency="EUR", transactions=[SOLD, BOUGHT], to="2012-06-06", adjust="SPLITS"
    )
    raw = {each.day: each.close for each in sample()["IBM"]}
    last = raw[date(2012, 6, 5)]
    # 1,891.5 USD were 1,513.2 EUR; 749 USD of the sale were 585.15625 EUR.
    (row,) = found["positions"]
    assert row["symbol"] == row["instrument"]["symbol"] == "IBM"
    assert row["quantity"] == "6"
    assert row["price"] == str(last.normalize())
    assert Decimal(row["rate"]) * Decimal("1.2") == pytest.approx(Decimal(1), abs=Decimal("1e-19"))
    assert row["cost"] == "907.92"
    assert row["averageCost"] == "151.32"
    assert row["realisedProfit"] == "-20.12375"
    assert row["fees"] == "1.98125"
    assert Decimal(row["value"]) == pytest.approx(6 * last / Decimal("1.2"), abs=Decimal("1e-15"))
    assert row["weight"] == 1
    totals = found["totals"]
    assert totals["invested"] == "928.04375"
    assert totals["cash"] == totals["income"] == "0"
    assert Decimal(totals["profit"]) == Decimal(totals["value"]) - Decimal("928.04375")
    assert row["contribution"] == pytest.approx(totals["totalReturn"], abs=1e-14)
    series = found["series"]
    assert found["currency"] == "EUR"
    assert (found["from"][:10], found["to"][:10]) == ("2012-06-01", "2012-06-05")
    assert [each / 86_400_000 for each in series["time"]] == [15492, 15495, 15496]
    assert series["invested"] == [1513.2, 928.04375, 928.04375]
    assert series["cashFlow"] == [1513.2, -585.15625, 0]
    assert series["value"] == pytest.approx(
        [
            float(10 * raw[date(2012, 6, 1)] / Decimal("1.25")),
            float(6 * raw[date(2012, 6, 4)] / Decimal("1.28")),
            float(Decimal(row["value"])),
        ]
    )
    assert series["return"][-1] == pytest.approx(totals["totalReturn"])


async def test_a_single_position_has_the_statistics_of_its_instrument(api: Api) -> None:
    given = {"from": "2010-01-04", "to": "2013-01-01"}
    found = await ask(
        api,
        positions=[{"symbol": "MSFT", "quantity": "7"}],
        benchmark="IBM",
        adjust="ALL",
        **given,
    )
    own = await api.data(
        """query ($from: DateTime, $to: DateTime) { instrument(symbol: "MSFT") {
             statistics(interval: "1d", from: $from, to: $to, benchmark: "IBM", adjust: ALL) {
               observations from to totalReturn annualizedVolatility sharpe beta periodsPerYear
               maxDrawdown { value } } } }""",
        **given,
    )
    expected = own["instrument"]["statistics"]
    drawdown, statistics = expected.pop("maxDrawdown"), found["statistics"]
    assert statistics.pop("maxDrawdown") == pytest.approx(drawdown, abs=1e-12)
    for name, value in expected.items():
        exact = isinstance(value, str)
        assert statistics[name] == (value if exact else pytest.approx(value, abs=1e-10)), name
    assert found["totals"]["totalReturn"] == pytest.approx(expected["totalReturn"], abs=1e-12)


async def test_statistics_of_two_positions_equal_empyrical(api: Api) -> None:
    closes = {
        symbol: {each.day: each.close for each in sample()[symbol]} for symbol in ("MSFT", "IBM")
    }
    days = [day for day in closes["IBM"] if date(2011, 12, 30) <= day < date(2013, 1, 1)]
    values = [float(10 * closes["IBM"][day] - 20 * closes["MSFT"][day] + 500) for day in days]
    returns = pd.Series(values).pct_change().dropna()
    found = await ask(
        api,
        positions=[
            {"symbol": "IBM", "quantity": "10"},
            {"symbol": "MSFT", "quantity": "-20"},
        ],
        cash="500",
        adjust="NONE",
        **{"from": "2012-01-01", "to": "2013-01-01"},
    )
    statistics = found["statistics"]
    assert statistics["observations"] == len(returns)
    assert statistics["from"] == "2011-12-30T00:00:00+00:00"
    for name, expected in {
        "totalReturn": empyrical.cum_returns_final(returns),
        "annualizedVolatility": empyrical.annual_volatility(returns),
        "sharpe": empyrical.sharpe_ratio(returns),
    }.items():
        assert statistics[name] == pytest.approx(expected, abs=1e-9), name
    assert statistics["maxDrawdown"]["value"] == pytest.approx(
        empyrical.max_drawdown(returns), abs=1e-9
    )
    weights = [each["weight"] for each in found["positions"]]
    assert weights[1] < 0
    assert sum(weights) + found["totals"]["cashWeight"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("variables", "code", "words"),
    [
        ({}, "BAD_INPUT", "0 positions and 0 transactions"),
        (
            {"transactions": [BOUGHT], "positions": [{"symbol": "IBM", "quantity": "1"}]},
            "BAD_INPUT",
            "1 positions and 1 transactions",
        ),
        ({"positions": [{"symbol": "IBM", "quantity": "1"}]}, "BAD_RANGE", "need `from`"),
        ({"transactions": [BOUGHT | {"symbol": "XXX"}]}, "UNKNOWN_SYMBOL", "'XXX'"),
        ({"transactions": [BOUGHT | {"quantity": "0"}]}, "BAD_INPUT", "'IBM' is 0"),
        ({"transactions": [BOUGHT | {"price": None}]}, "BAD_INPUT", "'IBM' has no price"),
        ({"transactions": [BOUGHT], "currency": "CHF"}, "UNKNOWN_SYMBOL", "USD cannot be"),
        ({"transactions": [BOUGHT], "adjust": "ALL"}, "BAD_INPUT", "adjust 'ALL'"),
        ({"transactions": [BOUGHT], "to": "2000-01-01"}, "BAD_RANGE", "no transaction is before"),
        (
            {"transactions": [BOUGHT | {"date": "2012-05-01"}], "currency": "EUR"},
            "NO_DATA",
            "no rate of USD to EUR is known at 2012-05-01",
        ),
    ],
)
async def test_refusal_is_coded_and_leaves_the_rest_of_the_answer(
    api: Api, variables: dict[str, Any], code: str, words: str
) -> None:
    query = QUERY.rstrip().removesuffix("}") + ' instrument(symbol: "IBM") { symbol } }'
    answer = await api.ask(query, **{"currency": "USD"} | variables)
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == code
    assert error["path"] == ["portfolio"]
    assert words in error["message"]
    assert answer["data"] == {"portfolio": None, "instrument": {"symbol": "IBM"}}
