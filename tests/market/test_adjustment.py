"""Factors equal plain fractions, whatever the actions; odd ones adjust nothing and say why."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market.adjustment import (
    ActionKind,
    Closes,
    CorporateAction,
    Unused,
    adjustments,
    effects,
    factors_of,
    times,
)
from app.market.candle_spec import Adjust

START = date(2020, 1, 1)
DAYS = 30
SPLIT, DIVIDEND, SPIN_OFF = ActionKind.SPLIT, ActionKind.DIVIDEND, ActionKind.SPIN_OFF
D = Decimal


def action(
    day: int,
    kind: ActionKind,
    value: str | Decimal | None,
    old: str | Decimal = "1",
    number: int = 1,
    currency: str | None = None,
) -> CorporateAction:
    given_value = None if value is None else D(value)
    split = kind is SPLIT
    return CorporateAction(
        ex_date=START + timedelta(days=day),
        kind=kind,
        number=number,
        new_shares=given_value if split else None,
        old_shares=D(old) if split else None,
        amount=None if split else given_value,
        currency=currency,
        source="test",
        revision=1,
    )


def flat(price: str = "100", days: int = DAYS) -> Closes:
    dates = [START + timedelta(days=each) for each in range(days)]
    return Closes(dates=dates, prices=[D(price) + each for each in range(days)])


def found(
    actions: list[CorporateAction],
    adjust: Adjust = Adjust.ALL,
    closes: Closes | None = None,
    last: int = DAYS - 1,
) -> list[tuple[Decimal, Decimal, Unused | None]]:
    made = effects(
        actions,
        flat() if closes is None else closes,
        last_date=START + timedelta(days=last),
        currency="USD",
        adjust=adjust,
    )
    return [(each.price_factor, each.volume_factor, each.unused) for each in made]


prices = st.decimals("1", "1000", places=4)
small = st.decimals("0.0001", "0.9", places=4)
shares = st.decimals("0.01", "50", places=2)
kinds = st.sampled_from([SPLIT, DIVIDEND, SPIN_OFF])


@given(
    closes=st.dictionaries(st.integers(0, DAYS), prices, min_size=1),
    drawn=st.dictionaries(
        st.tuples(st.integers(-3, DAYS + 5), kinds, st.integers(1, 2)),
        st.tuples(small, shares, shares),
        max_size=8,
    ),
    adjust=st.sampled_from(list(Adjust)),
)
def test_ranges_equal_products_of_fractions_day_by_day(
    closes: dict[int, Decimal],
    drawn: dict[tuple[int, ActionKind, int], tuple[Decimal, Decimal, Decimal]],
    adjust: Adjust,
) -> None:
    actions = [
        action(day, kind, new if kind is SPLIT else amount, old, number)
        for (day, kind, number), (amount, new, old) in drawn.items()
    ]
    days = sorted(closes)
    last = days[-1]
    made = effects(
        actions,
        Closes(
            dates=[START + timedelta(days=each) for each in days],
            prices=[closes[each] for each in days],
        ),
        last_date=START + timedelta(days=last),
        currency="USD",
        adjust=adjust,
    )
    ranges = adjustments(made)
    assert all(one.end_date == two.first_date for one, two in zip(ranges, ranges[1:], strict=False))
    for day in range(-5, DAYS + 8):
        price, volume = expected(day, actions, closes, adjust)
        own = factors_of(ranges, START + timedelta(days=day))
        assert abs(Fraction(own[0]) / price - 1) < Fraction(1, 10**36)
        assert abs(Fraction(own[1]) / volume - 1) < Fraction(1, 10**36)


def expected(
    day: int, actions: list[CorporateAction], closes: dict[int, Decimal], adjust: Adjust
) -> tuple[Fraction, Fraction]:
    """Give a day's factors, written apart from the code under test: date by date, as sums."""
    price = volume = Fraction(1)
    for ex in {(each.ex_date - START).days for each in actions}:
        if ex <= day or ex > max(closes) or adjust is Adjust.NONE:
            continue
        own = [each for each in actions if (each.ex_date - START).days == ex]
        ratio = Fraction(1)
        for each in own:
            if each.new_shares is not None and each.old_shares is not None:
                ratio *= Fraction(each.new_shares) / Fraction(each.old_shares)
        price /= ratio
        volume *= ratio
        before = [closes[each] for each in sorted(closes) if each < ex]
        if adjust is Adjust.SPLITS or not before:
            continue
        left, paid = Fraction(before[-1]), Fraction(0)
        for each in sorted(own, key=lambda each: (list(ActionKind).index(each.kind), each.number)):
            if each.amount is not None and each.amount < left:
                left -= Fraction(each.amount)
                paid += Fraction(each.amount)
        if adjust is Adjust.ALL:
            price *= left / Fraction(before[-1])
        else:
            since = Fraction(next(closes[each] for each in sorted(closes) if each >= ex))
            price *= since * ratio / (since * ratio + paid)
    return price, volume


def test_a_split_divides_prices_and_multiplies_volumes() -> None:
    assert found([action(5, SPLIT, "2")]) == [(D("0.5"), D(2), None)]
    assert found([action(5, SPLIT, "1", "10")]) == [(D(10), D("0.1"), None)]


def test_a_dividend_is_held_against_the_close_before_it_and_leaves_volumes_alone() -> None:
    assert found([action(10, DIVIDEND, "10.9")]) == [(D("0.9"), D(1), None)]  # the close is 109
    assert found([action(10, SPIN_OFF, "54.5")]) == [(D("0.5"), D(1), None)]


def test_a_total_return_holds_it_against_the_close_of_its_date() -> None:
    ((factor, volume_factor, unused),) = found([action(10, DIVIDEND, "10")], Adjust.TOTAL_RETURN)
    assert (volume_factor, unused) == (D(1), None)
    # The closes are 109 and 110: the return is (110 + 10) / 109 - 1.
    adjusted_return = Fraction(110) / (109 * Fraction(factor)) - 1
    assert abs(adjusted_return - (Fraction(120, 109) - 1)) < Fraction(1, 10**36)


def test_distributions_of_one_date_count_as_their_sum() -> None:
    both = [action(10, DIVIDEND, "10.9"), action(10, DIVIDEND, "21.8", number=2)]
    (one, two) = found(both)
    assert abs(one[0] * two[0] - D("0.7")) < D("1e-38")


@pytest.mark.parametrize(
    ("given_action", "why"),
    [
        (action(DAYS, SPLIT, "2"), Unused.NOT_YET),
        (action(DAYS, DIVIDEND, "1"), Unused.NOT_YET),
        (action(0, DIVIDEND, "1"), Unused.NO_PRIOR_CLOSE),
        (action(-400, SPIN_OFF, "1"), Unused.NO_PRIOR_CLOSE),
        (action(10, DIVIDEND, "109"), Unused.NOT_BELOW_PRICE),
        (action(10, DIVIDEND, "1000"), Unused.NOT_BELOW_PRICE),
        (action(10, DIVIDEND, "1", currency="EUR"), Unused.OTHER_CURRENCY),
        (action(10, SPIN_OFF, None), Unused.NO_VALUE),
    ],
)
def test_what_cannot_be_used_changes_nothing_and_says_why(
    given_action: CorporateAction, why: Unused
) -> None:
    for adjust in (Adjust.ALL, Adjust.TOTAL_RETURN):
        assert found([given_action], adjust) == [(D(1), D(1), why)]


def test_an_instrument_without_data_adjusts_nothing() -> None:
    made = effects(
        [action(3, SPLIT, "2")], Closes(), last_date=None, currency="USD", adjust=Adjust.ALL
    )
    assert [each.unused for each in made] == [Unused.NOT_YET]
    assert adjustments(made) == ()


def test_splits_leave_distributions_out() -> None:
    actions = [action(5, SPLIT, "3"), action(10, DIVIDEND, "1")]
    assert len(found(actions, Adjust.SPLITS)) == 1
    assert found(actions, Adjust.NONE) == []


@pytest.mark.parametrize(
    ("value", "factor", "product"),
    [
        ("3", "0.3333333333333333333333333333333333333333", "1"),
        ("100.00", "0.5", "50"),
        ("0.00000000015", "1.0000000000000000001", "0.0000000002"),  # half up
        ("-0.00000000015", "1.0000000000000000001", "-0.0000000002"),
        ("123456789012345678.25", "2", "246913578024691356.5"),
        ("7.10", "1", "7.10"),
    ],
)
def test_products_are_rounded_half_up_to_ten_places(value: str, factor: str, product: str) -> None:
    assert format(times(D(value), D(factor)), "f") == product
