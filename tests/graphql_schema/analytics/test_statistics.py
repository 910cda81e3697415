"""Statistics and correlations over GraphQL: the sample's stocks against pandas and empyrical."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import empyrical  # type: ignore[import-untyped]
import pandas as pd
import pytest

from app.storage.database import connect
from graphql_schema.ready_list import ReadyListExecutor
from tests.conftest import TestDatabase
from tests.graphql_schema.market import add_bars, add_former_symbol, add_instruments
from tests.query.actions import store_sample
from tests.query.statistics.returns import sample_closes
from tests.serving import Api, in_process

SYMBOLS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
MANY = [f"N{number:02}" for number in range(50)]
RANGE = 'from: "2010-01-01", to: "2012-01-01"'


class Statements(list[str]):
    """The SQL of every read but looks at the commit log."""

    def note(self, sql: str) -> None:
        if "look_at_log" not in sql:
            self.append(sql)


@pytest.fixture(scope="module")
def url(native_database: TestDatabase) -> str:
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_sample(connection)
    new = [{"symbol": symbol, "exchange": "XNYS"} for symbol in ("IDLE", *MANY)]
    add_instruments(native_database.url, new)
    rows = [
        (symbol, f"2024-01-{day:02}", *[str(100 + (day * place) % 7)] * 4, "1")
        for place, symbol in enumerate(MANY)
        for day in (2, 3, 4, 5, 8, 9)
    ]
    add_bars(native_database.url, "1d", rows)
    add_former_symbol(native_database.url, "META", "FB", until="infinity")
    return native_database.url


@pytest.fixture(scope="module")
def statements() -> Statements:
    return Statements()


@pytest.fixture(scope="module")
async def api(url: str, statements: Statements) -> AsyncIterator[Api]:
    async with in_process(url, on_statement=statements.note, cache_mb=0) as running:
        yield running


async def of(api: Api, symbol: str, field: str) -> Any:
    found = await api.data(
        f"query ($symbol: String!) {{ instrument(symbol: $symbol) {{ {field} }} }}", symbol=symbol
    )
    return found["instrument"]


def returns_of(*symbols: str) -> pd.DataFrame:
    closes = sample_closes()[list(symbols)].dropna()
    returns = closes.pct_change()
    return returns[(returns.index >= "2010-01-01") & (returns.index < "2012-01-01")]


async def test_statistics_of_real_prices_equal_empyrical(api: Api) -> None:
    returns = returns_of("AAPL", "IBM")
    found = await of(
        api,
        "AAPL",
        f"""statistics({RANGE}, benchmark: "IBM", riskFree: 0.02) {{
            observations from to periodsPerYear totalReturn annualizedVolatility sharpe beta alpha
            maxDrawdown {{ value peak trough recovery length }} benchmarkObservations
        }}""",
    )
    mine, other = returns["AAPL"].to_numpy(), returns["IBM"].to_numpy()
    free = 1.02 ** (1 / 252) - 1
    numbers = found["statistics"]
    # The sample rounds its adjusted closes.
    expected = {
        "totalReturn": empyrical.cum_returns_final(mine),
        "annualizedVolatility": empyrical.annual_volatility(mine),
        "sharpe": empyrical.sharpe_ratio(mine, free),
        "beta": empyrical.beta_aligned(mine, other),
        "alpha": empyrical.alpha_aligned(mine, other, free),
    }
    assert {name: numbers[name] for name in expected} == pytest.approx(expected, rel=1e-3)
    assert numbers["observations"] == numbers["benchmarkObservations"] == len(mine)
    assert (numbers["from"], numbers["to"]) == (
        "2009-12-31T00:00:00+00:00",
        "2011-12-30T00:00:00+00:00",
    )
    fall = numbers["maxDrawdown"]
    assert fall["value"] == pytest.approx(empyrical.max_drawdown(mine), rel=1e-3)
    wealth = (1 + returns["AAPL"]).cumprod()
    trough = pd.Timestamp(str((wealth / wealth.cummax()).idxmin()))
    assert fall["trough"] == trough.tz_localize("UTC").isoformat()
    peak = pd.Timestamp(str(wealth[:trough].idxmax()))
    assert fall["peak"] == peak.tz_localize("UTC").isoformat()
    assert (wealth[trough:] < wealth[peak]).all()
    assert (fall["recovery"], fall["length"]) == (None, len(wealth[peak:]) - 1)


async def test_splits_are_no_returns_unless_asked_for(api: Api) -> None:
    across = 'from: "2005-02-01", to: "2005-04-01"'
    found = await of(
        api,
        "AAPL",
        f"all: statistics({across}) {{ worst }}"
        f" unset: statistics({across}, adjust: null) {{ worst }}"
        f" none: statistics({across}, adjust: NONE) {{ worst }}",
    )
    assert found["all"] == found["unset"]
    assert found["all"]["worst"] > -0.1
    assert found["none"]["worst"] < -0.45


async def test_rolling_columns_equal_pandas(api: Api) -> None:
    found = await of(
        api,
        "MSFT",
        f"""rollingStatistics(window: 30, {RANGE}, benchmark: "IBM") {{
            time volatility beta correlation maxDrawdown periodsPerYear
        }}""",
    )
    columns = found["rollingStatistics"]
    closes = sample_closes()[["MSFT", "IBM"]].dropna()
    returns = closes.pct_change()
    wanted = returns_of("MSFT").index
    assert [datetime.fromtimestamp(each / 1000, UTC) for each in columns["time"]] == [
        each.tz_localize("UTC") for each in wanted
    ]
    volatility = returns["MSFT"].rolling(30).std()[wanted] * 252**0.5
    assert columns["volatility"] == pytest.approx(volatility.tolist(), rel=1e-2)
    assert columns["periodsPerYear"] == 252
    mine, other = returns["MSFT"], returns["IBM"]
    correlation = mine.rolling(30).corr(other)[wanted]
    assert columns["correlation"] == pytest.approx(correlation.tolist(), abs=1e-3)
    beta = mine.rolling(30).cov(other) / other.rolling(30).var()
    assert columns["beta"] == pytest.approx(beta[wanted].tolist(), abs=1e-2)


async def test_correlations_keep_the_order_of_symbols(api: Api) -> None:
    asked = ["MSFT", "META", "AAPL", "FB", "MSFT"]
    found = await api.data(
        """query ($symbols: [String!]!) {
            pearson: correlation(symbols: $symbols, from: "2012-06-01", to: "2013-01-01") {
                symbols values observations
            }
            ranks: correlation(
                symbols: $symbols, from: "2012-06-01", to: "2013-01-01", method: SPEARMAN
            ) { values }
        }""",
        symbols=asked,
    )
    closes = sample_closes()[["MSFT", "FB", "AAPL", "FB", "MSFT"]]
    returns = closes.pct_change()[(closes.index >= "2012-06-01") & (closes.index < "2013-01-01")]
    assert found["pearson"]["symbols"] == asked
    for name in ("pearson", "ranks"):
        expected = returns.corr(method="spearman" if name == "ranks" else "pearson").to_numpy()
        for row, wanted in zip(found[name]["values"], expected.tolist(), strict=True):
            assert row == pytest.approx(wanted, abs=2e-3)
    assert found["pearson"]["observations"] == [[len(returns)] * 5] * 5


async def test_ready_lists_are_what_the_ordinary_way_gives(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = """{
        instrument(symbol: "FB") {
            rollingStatistics(window: 9, last: 300) { time sharpe beta }
        }
        correlation(symbols: ["FB", "N00", "N01"], last: 20) { values observations symbols }
    }"""
    ready = await api.data(query)
    monkeypatch.delattr(ReadyListExecutor, "complete_list_value")
    assert await api.data(query) == ready
    assert None in ready["correlation"]["values"][0]
    assert ready["instrument"]["rollingStatistics"]["sharpe"][:9] == [None] * 9


FIELDS = {
    "statistics": 'statistics(last: 3, benchmark: "AAPL") { mean }',
    "range": 'statistics(from: "2024-01-03", benchmark: "N01") { beta from }',
    "rolling": 'rollingStatistics(window: 2, last: 3, benchmark: "N01") { time beta }',
    "both": "statistics(last: 3) { mean } again: statistics(last: 3) { sharpe }",
}


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
async def test_statements_do_not_grow_with_instruments(
    api: Api, statements: Statements, field: str
) -> None:
    query = f"query ($symbols: [String!]!) {{ instruments(symbols: $symbols) {{ {field} }} }}"
    counts = []
    for count in (1, 10, 50):
        for _ in range(3):
            statements.clear()
            found = await api.ask(query, symbols=MANY[:count])
        assert len(found["data"]["instruments"]) == count
        counts.append(len(statements))
    assert counts[0] > 0
    assert counts == [counts[0]] * 3


@pytest.mark.parametrize(
    ("field", "code", "words"),
    [
        ('statistics(from: "1999-01-01", to: "2000-01-01") { mean }', "NO_DATA",
         "'AAPL' has no candles of 1d from 1999-01-01"),
        ('statistics(from: "2011-01-01", to: "2010-01-01") { mean }', "BAD_RANGE",
         "`from` 2011-01-01"),
        ("statistics { mean }", "BAD_RANGE", "give `from`"),
        ("statistics(last: 0) { mean }", "BAD_RANGE", "`last` is 0"),
        ("statistics(last: 60000) { mean }", "RANGE_TOO_LARGE", "`last` is 60000"),
        ('statistics(last: 9, benchmark: "SPY") { mean }', "UNKNOWN_SYMBOL", "benchmark 'SPY'"),
        ('statistics(last: 9, benchmark: "IDLE") { mean }', "NO_DATA", "'IDLE' has no data yet"),
        ("statistics(last: 9, riskFree: -2) { mean }", "BAD_INPUT", "riskFree is -2.0"),
        ("statistics(last: 9, periodsPerYear: 0) { mean }", "BAD_INPUT", "periodsPerYear is 0.0"),
        ("statistics(last: 9, confidence: 1) { mean }", "BAD_INPUT", "confidence is 1.0"),
        ('statistics(last: 9, timezone: "Mars") { mean }', "BAD_INPUT", "timezone 'Mars'"),
        ('statistics(last: 9, interval: "1m") { mean }', "BAD_INTERVAL", "bars of 1d"),
        ("rollingStatistics(last: 9, window: 1) { beta }", "BAD_INPUT",
         "window is 1: it must be from 2 to 5000"),
        ('rollingStatistics(last: 9, window: 2, benchmark: "SPY") { beta }', "UNKNOWN_SYMBOL",
         "benchmark 'SPY'"),
    ],
)  # fmt: skip
async def test_bad_arguments_have_a_code_and_name_the_value(
    api: Api, field: str, code: str, words: str
) -> None:
    answer = await api.ask(f'{{ instrument(symbol: "AAPL") {{ symbol {field} }} }}')
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == code
    assert words in error["message"]
    assert answer["data"]["instrument"]["symbol"] == "AAPL"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("symbols: [], last: 5", "BAD_INPUT", "symbols is empty: give from 1 to 500"),
        ('symbols: ["X", "AAPL", "Y"], last: 5', "UNKNOWN_SYMBOL", "symbols 'X', 'Y'"),
        ('symbols: ["AAPL", "IDLE"], last: 5', "NO_DATA", "'IDLE' has no data yet"),
        ('symbols: ["AAPL"]', "BAD_RANGE", "give `from`"),
    ],
)
async def test_bad_matrices_have_a_code(api: Api, arguments: str, code: str, words: str) -> None:
    answer = await api.ask(f"{{ correlation({arguments}) {{ values }} }}")
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == code
    assert words in error["message"]
    assert answer["data"] == {"correlation": None}
