"""Which stored FX instruments turn one currency into another, and the rates that they give.

A pair X to Y is quoted by an instrument of class FX (or CRYPTO) named XY in one of the usual ways,
whose prices are in Y; or inversely by YX, whose prices are in X; or by two such through USD. Pence
and the like are hundredths of their currency.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from app.errors import UnknownSymbol
from app.market.grid import Micros
from app.market.instrument import AssetClass, Instrument
from app.query.portfolio.closes import Floats, Prices
from app.query.portfolio.money import ONE, inverse, rate

FORMS = ("{}{}", "{}/{}", "{}{}=X", "{}-{}", "{}_{}")
VIA = "USD"
MINOR = {"GBX": "GBP", "ILA": "ILS", "ZAC": "ZAR"}  # London, Tel Aviv, Johannesburg
_HUNDREDTH = Decimal("0.01")
_CLASSES = frozenset({AssetClass.FX, AssetClass.CRYPTO})


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One quoted pair on the way; `inverted`: one divided by its price."""

    instrument: Instrument
    inverted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The way from a currency to another; no legs where they are the same, but for `units`.

    The rate of the legs is times `units`: 0.01 from pence, 100 to pence.
    """

    base: str
    quote: str
    legs: tuple[Leg, ...]
    units: Decimal = ONE

    def exact(self, prices: Mapping[int, Prices], bucket: int) -> Decimal | None:
        """Give the rate in force in a bucket: 20 digits where something is divided or crossed.

        None before the first.
        """
        found = ONE
        for leg in self.legs:
            price = prices[leg.instrument.instrument_id].exact(bucket)
            if price is None:
                return None
            found *= inverse(price) if leg.inverted else price
        return (rate(found) if len(self.legs) > 1 else found) * self.units

    def at(self, prices: Mapping[int, Prices], buckets: Micros) -> Floats:
        """Give the rate in force in each bucket; NaN before the first."""
        found = np.full(len(buckets), float(self.units))
        for leg in self.legs:
            own = prices[leg.instrument.instrument_id].at(buckets)
            found = found / own if leg.inverted else found * own
        return found


def candidates(currencies: Iterable[str], quote: str) -> list[str]:
    """Give the symbols of every instrument that could convert one of the currencies."""
    pairs: dict[tuple[str, str], None] = {}
    quote, _ = _major(quote)
    for base in {_major(each)[0]: None for each in currencies}:
        if base != quote:
            pairs |= dict.fromkeys([(base, quote), (base, VIA), (VIA, quote)])
    return list(
        dict.fromkeys(
            symbol for base, to in pairs if base != to for symbol in _symbols(base, to)
        )
    )  # fmt: skip


def route(base: str, quote: str, found: Mapping[str, Instrument]) -> Route:
    """Choose the way between two currencies among instruments by symbol.

    Raises:
        UnknownSymbol: there is none.
    """
    (major, units), (to, parts) = _major(base), _major(quote)
    legs = () if major == to else _legs(major, to, found)
    return Route(base=base, quote=quote, legs=legs, units=units / parts)


def _major(currency: str) -> tuple[str, Decimal]:
    """Give the currency that one is a part of, and which part: itself and 1, if of none."""
    return (MINOR[currency], _HUNDREDTH) if currency in MINOR else (currency, ONE)


def _legs(base: str, quote: str, found: Mapping[str, Instrument]) -> tuple[Leg, ...]:
    direct = _leg(base, quote, found)
    if direct is not None:
        return (direct,)
    looked_for = _symbols(base, quote)
    if VIA not in (base, quote):
        first, second = _leg(base, VIA, found), _leg(VIA, quote, found)
        if first is not None and second is not None:
            return first, second
        looked_for += _symbols(base, VIA) + _symbols(VIA, quote)
    named = ", ".join(map(repr, looked_for))
    raise UnknownSymbol(
        f"{base} cannot be converted to {quote}: no FX instrument with data has one of the symbols"
        f" {named}, and its prices in the second currency of the name"
    )


def _symbols(base: str, quote: str) -> list[str]:
    straight = [form.format(base, quote) for form in FORMS]
    return straight + [form.format(quote, base) for form in FORMS]


def _leg(base: str, quote: str, found: Mapping[str, Instrument]) -> Leg | None:
    for one, other in ((base, quote), (quote, base)):
        for form in FORMS:
            row = found.get(form.format(one, other))
            if row is None or row.asset_class not in _CLASSES or row.currency != other:
                continue
            if row.candle_source is not None:
                return Leg(instrument=row, inverted=one == quote)
    return None
