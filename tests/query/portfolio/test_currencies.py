"""Which instruments convert currencies: by name, class and the currency of their prices."""

from decimal import Decimal

import numpy as np
import pytest

from app.errors import UnknownSymbol
from app.market.instrument import AssetClass, CandleSource, Instrument
from app.query.portfolio.closes import Prices
from app.query.portfolio.currencies import candidates, route
from app.query.portfolio.money import exactly


def pair(symbol: str, currency: str, place: int = 1, **changes: object) -> Instrument:
    fields: dict[str, object] = {
        "instrument_id": place, "symbol": symbol, "name": None, "exchange": "24/7",
        "asset_class": AssetClass.FX, "currency": currency, "tick_size": None,
        "candle_source": CandleSource.BARS, "simulated": False, "listed_on": None,
        "delisted_on": None,
    }  # fmt: skip
    return Instrument(**fields | changes)  # type: ignore[arg-type]


def by_symbol(*pairs: Instrument) -> dict[str, Instrument]:
    return {each.symbol: each for each in pairs}


@pytest.mark.parametrize("symbol", ["EURUSD", "EUR/USD", "EURUSD=X", "EUR-USD", "EUR_USD"])
def test_pair_is_found_by_each_of_its_names_and_inversely(symbol: str) -> None:
    known = by_symbol(pair(symbol, "USD"))
    for base, quote, inverted in (("EUR", "USD", False), ("USD", "EUR", True)):
        assert symbol in candidates([base], quote)
        (leg,) = route(base, quote, known).legs
        assert (leg.instrument.symbol, leg.inverted) == (symbol, inverted)


@pytest.mark.parametrize(
    "wrong",
    [
        pair("EURUSD", "EUR"),
        pair("EURUSD", "USD", asset_class=AssetClass.EQUITY),
        pair("EURUSD", "USD", candle_source=None),
    ],
)
def test_what_only_looks_like_a_pair_is_left_out(wrong: Instrument) -> None:
    with pytest.raises(UnknownSymbol, match="EUR cannot be converted to USD"):
        route("EUR", "USD", by_symbol(wrong))
    assert route("EUR", "USD", by_symbol(wrong, pair("EUR/USD", "USD"))).legs


def test_direct_goes_before_inverse_before_dollars() -> None:
    direct, inverse = pair("EUR_GBP", "GBP", 1), pair("GBPEUR", "EUR", 2)
    first, second = pair("EURUSD", "USD", 3), pair("USDGBP", "GBP", 4)
    every = [direct, inverse, first, second]
    for left, legs in ((every, [1]), (every[1:], [2]), (every[2:], [3, 4])):
        found = route("EUR", "GBP", by_symbol(*left))
        assert [leg.instrument.instrument_id for leg in found.legs] == legs


def test_crossed_rate_divides_where_it_must() -> None:
    prices = {
        place: Prices(
            times=np.array([10, 20]), closes=np.array(list(map(float, own))),
            text=",".join(own).encode(),
        )
        for place, own in ((1, ("1.25", "1.1")), (2, ("160", "150")))
    }  # fmt: skip
    known = by_symbol(pair("EURUSD", "USD", 1), pair("USDJPY", "JPY", 2))
    yen = route("JPY", "EUR", known)
    with exactly():
        assert yen.exact(prices, 10) == Decimal("0.005")  # 1 / 160 / 1.25
        assert yen.exact(prices, 25) == Decimal("0.0060606060606060606061")
        assert yen.exact(prices, 9) is None
        assert route("EUR", "JPY", known).exact(prices, 25) == 165
        assert route("EUR", "EUR", known).exact(prices, 25) == 1
    drawn = yen.at(prices, np.array([9, 10, 19, 20]))
    np.testing.assert_allclose(drawn, [np.nan, 0.005, 0.005, 1 / 165])


def test_pence_are_hundredths_of_pounds() -> None:
    prices = {1: Prices(times=np.array([10]), closes=np.array([1.25]), text=b"1.25")}
    known = by_symbol(pair("GBPUSD", "USD"))
    assert candidates(["GBX"], "USD") == candidates(["GBP"], "USD")
    for base, quote, expected in (
        ("GBX", "USD", "0.0125"), ("GBX", "GBP", "0.01"), ("GBP", "GBX", "100"),
        ("USD", "GBX", "80"), ("GBX", "GBX", "1"),
    ):  # fmt: skip
        own = route(base, quote, known)
        with exactly():
            assert own.exact(prices, 10) == Decimal(expected)
        np.testing.assert_allclose(own.at(prices, np.array([10])), [float(expected)])


def test_error_names_the_pair_and_all_that_was_looked_for() -> None:
    with pytest.raises(UnknownSymbol) as caught:
        route("CHF", "EUR", by_symbol(pair("EURUSD", "USD")))
    assert "CHF cannot be converted to EUR" in caught.value.message
    for symbol in ("CHFEUR", "CHF/EUR", "EURCHF=X", "USD_CHF", "EUR-USD"):
        assert repr(symbol) in caught.value.message
    named = caught.value.message.split("symbols ")[1].split(", and")[0]
    assert {part.strip("'") for part in named.split(", ")} == set(candidates(["CHF"], "EUR"))
