"""Lots lose nothing: what is paid and got always adds up, whatever is bought and sold."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.portfolio.lots import Lots
from app.query.portfolio.money import exactly, money
from app.query.portfolio.terms import CostMethod

UNITS = st.integers(-(10**6), 10**6).filter(bool).map(lambda n: Decimal(n).scaleb(-3))
PAID = st.integers(0, 10**9).map(lambda n: Decimal(n).scaleb(-4))
TRADES = st.lists(st.tuples(UNITS, PAID), max_size=30)


def run(method: CostMethod, trades: list[tuple[str, str]]) -> tuple[list[Decimal], Lots]:
    lots = Lots(method)
    with exactly():
        return [lots.trade(Decimal(units), Decimal(paid)) for units, paid in trades], lots


@given(TRADES, st.sampled_from(CostMethod))
def test_profit_is_what_came_out_less_what_went_in(
    trades: list[tuple[Decimal, Decimal]], method: CostMethod
) -> None:
    lots, realised, out = Lots(method), Decimal(0), Decimal(0)
    with exactly():
        for units, paid in trades:
            signed = money(paid if units > 0 else -paid)
            realised += lots.trade(units, signed)
            out -= signed
            assert realised == out + lots.cost
            if not lots.quantity:
                assert not lots.cost
    assert Fraction(lots.quantity) == sum((Fraction(units) for units, _ in trades), Fraction(0))


def test_first_bought_is_first_sold() -> None:
    realised, lots = run(CostMethod.FIFO, [("10", "100"), ("10", "200"), ("-15", "-300")])
    assert realised == [0, 0, 300 - (100 + 100)]
    assert lots.quantity == 5
    assert lots.cost == 100


def test_average_unit_is_sold() -> None:
    realised, lots = run(CostMethod.AVERAGE, [("10", "100"), ("10", "200"), ("-15", "-300")])
    assert realised == [0, 0, 300 - 225]
    assert lots.quantity == 5
    assert lots.cost == 75


@pytest.mark.parametrize("method", CostMethod)
def test_more_is_sold_than_held_and_bought_back(method: CostMethod) -> None:
    realised, lots = run(method, [("10", "100"), ("-30", "-360"), ("20", "200")])
    # 10 of the 30 sold for 12 had cost 10; the 20 short for 12 were bought back for 10.
    assert realised == [0, 20, 40]
    assert lots.quantity == 0
    assert lots.cost == 0


def test_fees_are_shared_by_units() -> None:
    realised, lots = run(CostMethod.FIFO, [("3", "301"), ("-1", "-120"), ("-2", "-240")])
    assert realised[0] == 0
    assert realised[1] == 120 - Decimal("100.333333333333333333")
    assert realised[2] == 240 - Decimal("200.666666666666666667")
    assert sum(realised) == 360 - 301
    assert not lots.quantity
