"""Returns that do not depend on when money came and went, what each holding gave, and XIRR.

The return of a bucket is its profit over the capital in it: the value at the bucket before, and the
most that had been put in on top of that at any moment of the bucket. What comes in works from the
bucket's beginning, what goes out worked until its end. Linked, they are the time-weighted return.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.market.grid import Micros
from app.query.portfolio.closes import Floats
from app.query.portfolio.journal import Step
from app.query.portfolio.money import ZERO

_YEAR_US = 365 * 86_400_000_000
_LOWEST, _HIGHEST = 1e-6, 1e6  # what one unit may have become in a year
_LOOKS, _HALVINGS = 600, 80


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Growth:
    """What one unit of capital has become, in the buckets that can be valued.

    `places` are those buckets. `level` begins with the 1 before the first of them; where nothing is
    known before it, with the first itself. NaN from where something is gained or lost on capital of
    zero or below. `capital` is what each return counts from: one number fewer.
    """

    places: Micros
    level: Floats
    capital: Floats


def growth(time: Micros, value: Floats, steps: Sequence[Step], opening: float | None) -> Growth:
    """Link the returns of the buckets.

    `steps` are those of the buckets, and the last bucket has a value. `opening` is the value before
    the first bucket; None: the first value there is is what returns count from.
    """
    places = np.flatnonzero(~np.isnan(value))
    at, worth = time[places], value[places]
    net, peak = _flows(at, steps)
    if opening is None:
        before, worth, net, peak = worth[:-1], worth[1:], net[1:], peak[1:]
    else:
        before = np.append(opening, worth[:-1])
    profit, capital = worth - before - net, before + peak
    returns = _over(profit, capital)
    returns[returns < -1] = np.nan
    return Growth(
        places=places, level=np.cumprod(np.append(1.0, 1 + returns)), capital=capital
    )  # fmt: skip


def contribution(
    grown: Growth, time: Micros, value: Floats, steps: Sequence[Step], opening: float | None
) -> float:
    """Give what one holding added to the level; all of them add up to its growth.

    Its profit in each bucket counts by the capital then, times what one unit had become by then.
    """
    at, worth = time[grown.places], value[grown.places]
    paid = np.zeros(len(at))
    np.add.at(paid, _groups(at, steps), [float(step.flow - step.cash) for step in steps])
    if opening is None:
        before, worth, paid = worth[:-1], worth[1:], paid[1:]
    else:
        before = np.append(opening, worth[:-1])
    profit = worth - before - paid
    return float(np.sum(grown.level[:-1] * _over(profit, grown.capital)))


def money_weighted(
    time: Micros, value: Floats, steps: Sequence[Step], opening: float | None
) -> float | None:
    """Give the yearly rate at which all that went in is worth all that came out (XIRR).

    Years have 365 days, flows count at their buckets. None where there is no such rate, or several.
    """
    places = np.flatnonzero(~np.isnan(value))
    at = time[places]
    net, _ = _flows(at, steps)
    if opening is None:
        net[0] = value[places[0]]
    else:
        net[0] += opening
    amounts = -net
    amounts[-1] += value[places[-1]]
    years = (at - at[0]) / _YEAR_US
    moved = amounts != 0
    return _root(years[moved], amounts[moved])


def _root(years: Floats, amounts: Floats) -> float | None:
    """Find the only rate at which the amounts are worth nothing together."""
    if not len(years) or years[-1] == 0 or (amounts > 0).all() or (amounts < 0).all():
        return None

    def worth(log_growth: float) -> float:
        with np.errstate(all="ignore"):
            return float(np.sum(amounts * np.exp(-log_growth * years)))

    looks = np.linspace(np.log(_LOWEST), np.log(_HIGHEST), _LOOKS)
    signs = np.sign([worth(look) for look in looks])
    changes = np.flatnonzero(signs[1:] != signs[:-1])
    if len(changes) != 1 or not np.isfinite(signs).all():
        return None
    low, high = looks[changes[0]], looks[changes[0] + 1]
    rising = worth(high) > worth(low)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if (worth(middle) > 0) == rising:
            high = middle
        else:
            low = middle
    return float(np.expm1((low + high) / 2))


def _over(profit: Floats, capital: Floats) -> Floats:
    """Divide, where there is capital; nothing on nothing is nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(capital > 0, profit / capital, np.nan)
    found[(capital == 0) & (profit == 0)] = 0.0
    return found


def _groups(at: Micros, steps: Sequence[Step]) -> Micros:
    """Give the place of the bucket with a value that each step counts to: its own or the next."""
    return np.searchsorted(at, np.array([step.bucket for step in steps], dtype=np.int64))


def _flows(at: Micros, steps: Sequence[Step]) -> tuple[Floats, Floats]:
    """Give the sum of each bucket's flows, and the highest that it was on the way, at least 0."""
    net, peak = np.zeros(len(at)), np.zeros(len(at))
    running, now = ZERO, -1
    for place, step in zip(_groups(at, steps).tolist(), steps, strict=True):
        running = running + step.flow if place == now else step.flow
        now = place
        net[place] = float(running)
        peak[place] = max(peak[place], float(running))
    return net, peak
