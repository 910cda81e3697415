"""Value a portfolio in each bucket, in floats: to draw, and to measure returns with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from app.market.grid import Micros
from app.query.portfolio.closes import Floats, Prices
from app.query.portfolio.currencies import Route
from app.query.portfolio.journal import Step
from app.query.portfolio.money import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """How one instrument's units are valued: its prices, and the way into the currency."""

    instrument_id: int
    prices: Prices
    route: Route


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """One number a bucket each; NaN where something is held whose price is not known yet.

    `flow` is what came from outside in the bucket itself; all else is as it is at its end.
    """

    time: Micros
    value: Floats
    cash: Floats
    cost: Floats
    invested: Floats
    flow: Floats
    realised: Floats
    unrealised: Floats
    income: Floats


def columns(
    buckets: Micros,
    steps: Sequence[Step],
    holdings: Mapping[int, Floats],
) -> Columns:
    """Add the values of the instruments up, beside what the books say."""
    at = np.array([step.bucket for step in steps], dtype=np.int64)
    held = np.zeros(len(buckets))
    for value in holdings.values():
        held += value
    cash = stepped(buckets, at, running([step.cash for step in steps]))
    cost = stepped(buckets, at, running([step.cost for step in steps]))
    invested = stepped(buckets, at, running([step.flow for step in steps]))
    flow = np.zeros(len(buckets))
    inside = at >= buckets[0]
    places = np.searchsorted(buckets, at[inside])
    np.add.at(flow, places, np.array([float(step.flow) for step in steps])[inside])
    return Columns(
        time=buckets,
        value=held + cash,
        cash=cash,
        cost=cost,
        invested=invested,
        flow=flow,
        realised=stepped(buckets, at, running([step.realised for step in steps])),
        unrealised=held - cost,
        income=stepped(buckets, at, running([step.income for step in steps])),
    )


def holding(
    buckets: Micros, steps: Sequence[Step], quoted: Quoted, prices: Mapping[int, Prices]
) -> Floats:
    """Value one instrument's units in each bucket: 0 where none are held, NaN without a price."""
    at = np.array([step.bucket for step in steps], dtype=np.int64)
    units = stepped(buckets, at, [step.held for step in steps])
    value = units * quoted.prices.at(buckets) * quoted.route.at(prices, buckets)
    return np.where(units == 0, 0.0, value)


def stepped(buckets: Micros, at: Micros, values: Sequence[Decimal]) -> Floats:
    """Give the last value at or before each bucket; 0 before the first."""
    levels = np.array([0.0, *map(float, values)])
    found: Floats = levels[np.searchsorted(at, buckets, side="right")]
    return found


def running(differences: Sequence[Decimal]) -> list[Decimal]:
    """Give the sums so far; exact within `exactly`."""
    total, found = ZERO, []
    for each in differences:
        total += each
        found.append(total)
    return found
