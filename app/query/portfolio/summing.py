"""Sum a portfolio up: rows and totals in Decimal, columns and returns in floats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import numpy as np

from app.market.grid import Micros, moment_of
from app.market.instrument import Instrument
from app.market.schedule import ALWAYS_OPEN
from app.query.portfolio.books import Known, buckets_of, entries, unpriced
from app.query.portfolio.closes import Floats
from app.query.portfolio.found import Holding, Portfolio, Totals
from app.query.portfolio.journal import Step, by_instrument, journal, sums
from app.query.portfolio.money import ZERO, exactly, money, rounded, trimmed
from app.query.portfolio.returns import Growth, contribution, growth, money_weighted
from app.query.portfolio.valuation import Columns, columns, holding
from app.query.statistics.returns import Values, number

_AVERAGE_PLACES = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawn:
    """Values by bucket, and before the first one (None: not known, or nothing of the kind)."""

    steps: Sequence[Step]
    own: Mapping[int, Sequence[Step]]
    values: Mapping[int, Floats]
    columns: Columns
    openings: Mapping[int, float]
    opening: float | None
    grown: Growth


def portfolio_of(known: Known) -> Portfolio:
    """Keep the books and value them; may take a second: call it beside the event loop.

    Raises:
        NoData: there is nothing in the range, or a price or rate is not known where it is needed.
        BadInput: a price is below 0 where none can be.
        RangeTooLarge: there are too many buckets.
    """
    with exactly():
        buckets = buckets_of(known)
        steps = journal(entries(known, buckets), known.asked.method)
        drawn = _drawn(known, buckets, steps)
        totals, holdings = _totals(drawn, _holdings(known, drawn, int(buckets[-1])))
    levels = _levels(known, drawn)
    returns = np.full(len(buckets), np.nan)
    returns[drawn.grown.places] = levels.level[-len(drawn.grown.places) :] - 1
    venues = [each.exchange for each in known.held]
    return Portfolio(
        currency=known.asked.currency,
        spec=known.asked.spec,
        since=moment_of(int(buckets[0])),
        until=moment_of(int(buckets[-1])),
        columns=drawn.columns,
        returns=returns,
        holdings=holdings,
        totals=totals,
        levels=levels,
        benchmark=_benchmark(known, levels),
        venue=ALWAYS_OPEN if ALWAYS_OPEN in venues or not venues else venues[0],
    )


def _drawn(known: Known, buckets: Micros, steps: Sequence[Step]) -> _Drawn:
    own = by_instrument(steps)
    instruments = {each.instrument_id: each for each in known.held}
    before = buckets[:1] - 1
    values, openings = {}, {}
    for instrument_id, its in own.items():
        quoted = known.quoted(instruments[instrument_id])
        values[instrument_id] = holding(buckets, its, quoted, known.prices)
        openings[instrument_id] = float(holding(before, its, quoted, known.prices)[0])
        if np.isnan(values[instrument_id][-1]):
            unpriced(known, instruments[instrument_id], int(buckets[-1]))
    drawn = columns(buckets, steps, values)
    earlier = [step for step in steps if step.bucket < buckets[0]]
    opening = number(sum(openings.values()) + float(sums(earlier).cash))
    within = steps[len(earlier) :]
    return _Drawn(
        steps=steps,
        own=own,
        values=values,
        columns=drawn,
        openings=openings,
        opening=opening,
        grown=growth(buckets, drawn.value, within, opening),
    )


def _holdings(known: Known, drawn: _Drawn, last: int) -> list[Holding]:
    found = []
    for each in known.held:
        steps = drawn.own.get(each.instrument_id, ())
        if steps:
            found.append(_holding(known, drawn, each, steps, last))
    return found


def _holding(
    known: Known, drawn: _Drawn, instrument: Instrument, steps: Sequence[Step], last: int
) -> Holding:
    summed = sums(steps)
    price, rate = known.worth(instrument, last)
    value = ZERO
    if summed.held:
        assert price is not None
        assert rate is not None
        value = money(summed.held * price * rate)
    first = drawn.columns.time[0]
    added = contribution(
        drawn.grown,
        drawn.columns.time,
        drawn.values[instrument.instrument_id],
        [step for step in steps if step.bucket >= first],
        None if drawn.opening is None else drawn.openings[instrument.instrument_id],
    )
    return Holding(
        instrument=instrument,
        quantity=trimmed(summed.held),
        price=price,
        rate=rate,
        value=trimmed(value),
        cost=trimmed(summed.cost),
        average_cost=rounded(summed.cost / summed.held, _AVERAGE_PLACES) if summed.held else None,
        weight=None,
        realised_profit=trimmed(summed.realised),
        unrealised_profit=trimmed(value - summed.cost),
        income=trimmed(summed.income),
        fees=trimmed(summed.fees),
        contribution=number(added),
    )


def _totals(drawn: _Drawn, holdings: Sequence[Holding]) -> tuple[Totals, tuple[Holding, ...]]:
    """Give the totals, and the rows with their weights in them."""
    summed = sums(drawn.steps)
    value = sum((each.value for each in holdings), summed.cash)
    weighted = tuple(_weighted(each, value) for each in holdings)
    return (
        Totals(
            value=trimmed(value),
            cash=trimmed(summed.cash),
            cost=trimmed(summed.cost),
            invested=trimmed(summed.flow),
            realised_profit=trimmed(summed.realised),
            unrealised_profit=trimmed(value - summed.cash - summed.cost),
            income=trimmed(summed.income),
            profit=trimmed(value - summed.flow),
            fees=trimmed(summed.fees),
            cash_weight=_weight(summed.cash, value),
            total_return=number(drawn.grown.level[-1] - 1),
            money_weighted_return=money_weighted(
                drawn.columns.time,
                drawn.columns.value,
                [step for step in drawn.steps if step.bucket >= drawn.columns.time[0]],
                drawn.opening,
            ),
        ),
        weighted,
    )


def _weighted(row: Holding, value: Decimal) -> Holding:
    return replace(row, weight=_weight(row.value, value))


def _weight(part: Decimal, whole: Decimal) -> float | None:
    return float(part / whole) if whole else None


def _levels(known: Known, drawn: _Drawn) -> Values:
    """Give the growth of one unit; where it began before the first bucket, at the candle before."""
    times = drawn.columns.time[drawn.grown.places]
    if drawn.opening is None:
        return Values(time=times, level=drawn.grown.level)
    first = int(drawn.columns.time[0])
    earlier = [
        int(prices.times[place - 1])
        for prices in known.prices.values()
        if (place := int(np.searchsorted(prices.times, first)))
    ]
    width = known.asked.spec.interval.width // timedelta(microseconds=1)
    base = max(earlier, default=first - width)
    return Values(time=np.append(base, times), level=drawn.grown.level)


def _benchmark(known: Known, levels: Values) -> Values | None:
    """Give the benchmark's closes over the same time, in the portfolio's currency."""
    if known.asked.benchmark is None:
        return None
    instrument = known.instruments[known.asked.benchmark]
    prices = known.prices[instrument.instrument_id]
    inside = prices.times[(prices.times >= levels.time[0]) & (prices.times <= levels.time[-1])]
    worth = prices.at(inside) * known.routes[instrument.currency].at(known.prices, inside)
    there = ~np.isnan(worth)
    return Values(time=inside[there], level=worth[there])
