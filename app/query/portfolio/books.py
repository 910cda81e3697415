"""From what is asked and the prices that were read to the portfolio: no input or output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from app.errors import BadInput, NoData, RangeTooLarge
from app.market.adjustment import Adjustment
from app.market.grid import Micros, micros, moment_of
from app.market.instrument import MAY_BE_NEGATIVE, Instrument
from app.query.portfolio.closes import Prices
from app.query.portfolio.currencies import Route
from app.query.portfolio.journal import OPENING, Entry, in_todays_units
from app.query.portfolio.money import ZERO, money
from app.query.portfolio.placement import Placed
from app.query.portfolio.terms import Asked, Position, TransactionKind
from app.query.portfolio.valuation import Quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was looked up and read; `held` are the instruments that positions or terms name.

    `routes` are by currency; prices by instrument, of FX instruments and the benchmark as well.
    """

    asked: Asked
    instruments: Mapping[str, Instrument]
    held: tuple[Instrument, ...]
    routes: Mapping[str, Route]
    prices: Mapping[int, Prices]
    ranges: Mapping[int, Sequence[Adjustment]]
    placed: Sequence[Placed]
    max_points: int

    def quoted(self, instrument: Instrument) -> Quoted:
        """Tell how an instrument is valued."""
        return Quoted(
            instrument_id=instrument.instrument_id,
            prices=self.prices[instrument.instrument_id],
            route=self.routes[instrument.currency],
        )

    def worth(self, instrument: Instrument, bucket: int) -> tuple[Decimal | None, Decimal | None]:
        """Give the price in force and the rate that turns it into the portfolio's currency."""
        price = self.prices[instrument.instrument_id].exact(bucket)
        return price, self.routes[instrument.currency].exact(self.prices, bucket)


def buckets_of(known: Known) -> Micros:
    """Give the buckets in which anything held traded, or a transaction was made.

    Raises:
        NoData: there is none.
        RangeTooLarge: they are too many.
    """
    asked, interval = known.asked, known.asked.spec.interval
    own: Micros = np.array([each.bucket for each in known.placed], dtype=np.int64)
    starts = [] if asked.start is None else [micros(interval.ceil(asked.start))]
    starts += [int(own[0])] if len(own) else []
    traded = [known.prices[each.instrument_id].times for each in known.held]
    every = np.unique(np.concatenate([own, *traded]))
    every = every[every >= max(starts)]
    if asked.end is not None:
        every = every[every < micros(asked.end)]
    if not len(every):
        symbols = ", ".join(repr(each.symbol) for each in known.held[:5])
        raise NoData(
            f"there is no candle of {interval} of {symbols} and no transaction in the range from"
            f" {moment_of(max(starts)).isoformat()}"
            f" to {asked.end.isoformat() if asked.end else 'now'}"
        )
    if len(every) > known.max_points:
        raise RangeTooLarge(
            f"the portfolio has {len(every)} buckets of {interval} in the range, more than"
            f" {known.max_points}: ask for a shorter one or a longer interval",
            max_points=known.max_points,
        )
    return every


def entries(known: Known, buckets: Micros) -> list[Entry]:
    """Give what the books are kept of, in order and in the portfolio's currency.

    Raises:
        BadInput: a price is below 0 where none can be.
        NoData: a rate or a price is not known where it is needed.
    """
    asked = known.asked
    found = [] if asked.cash is None else [_account(asked.cash)]
    if asked.positions:
        base = _first_valued(known, buckets)
        return found + [_opening(known, each, base) for each in asked.positions]
    funded = not asked.has_account
    return found + [_entry(known, each, funded) for each in known.placed]


def _account(cash: Decimal) -> Entry:
    return Entry(
        bucket=OPENING,
        kind=TransactionKind.DEPOSIT,
        instrument_id=None,
        quantity=ZERO,
        paid=money(cash),
        fees=ZERO,
        funded=False,
    )


def _entry(known: Known, placed: Placed, funded: bool) -> Entry:
    term, instrument = placed.term, placed.instrument
    if (
        instrument is not None
        and term.price is not None
        and term.price < 0
        and instrument.asset_class not in MAY_BE_NEGATIVE
    ):
        raise BadInput(
            f"{term.where}: the price of {term.symbol!r} is {term.price}: it must be 0 or more"
        )
    currency = term.currency or (instrument.currency if instrument else known.asked.currency)
    rate = known.routes[currency].exact(known.prices, placed.bucket)
    if rate is None:
        raise NoData(
            f"{term.where}: no rate of {currency} to {known.asked.currency} is known"
            f" at {placed.moment.isoformat()}: the data of {_legs(known.routes[currency])} begin"
            " later"
        )
    quantity = term.quantity
    if instrument is not None:
        ranges = known.ranges.get(instrument.instrument_id, ())
        quantity = in_todays_units(quantity, placed.trading_date, ranges)
    return Entry(
        bucket=placed.bucket,
        kind=term.kind,
        instrument_id=None if instrument is None else instrument.instrument_id,
        quantity=quantity,
        paid=money(term.paid * rate),
        fees=money(term.fees * rate),
        funded=funded,
    )


def _opening(known: Known, position: Position, base: int) -> Entry:
    instrument = known.instruments[position.symbol]
    price, rate = known.worth(instrument, base)
    assert price is not None
    assert rate is not None
    cost = price if position.average_cost is None else position.average_cost
    return Entry(
        bucket=OPENING,
        kind=TransactionKind.BUY if position.quantity > 0 else TransactionKind.SELL,
        instrument_id=instrument.instrument_id,
        quantity=position.quantity,
        paid=money(position.quantity * cost * rate),
        fees=ZERO,
        funded=True,
    )


def _first_valued(known: Known, buckets: Micros) -> int:
    """Give the moment before the buckets, or the first of them, where all held has a worth."""
    buckets = np.append(buckets[0] - 1, buckets)
    valued = np.ones(len(buckets), dtype=bool)
    for each in known.held:
        quoted = known.quoted(each)
        own = quoted.prices.at(buckets) * quoted.route.at(known.prices, buckets)
        valued &= ~np.isnan(own)
        if not valued.any():
            unpriced(known, each, int(buckets[-1]))
    return int(buckets[np.argmax(valued)])


def unpriced(known: Known, instrument: Instrument, bucket: int) -> None:
    """Refuse to value what has no price or rate up to a bucket.

    Raises:
        NoData: always.
    """
    price, rate = known.worth(instrument, bucket)
    until = moment_of(bucket).isoformat()
    if price is None:
        raise NoData(f"no price of {instrument.symbol!r} is known up to {until}")
    assert rate is None
    raise NoData(
        f"no rate of {instrument.currency} to {known.asked.currency} is known up to {until}:"
        f" the data of {_legs(known.routes[instrument.currency])} begin later"
    )


def _legs(route: Route) -> str:
    return " and ".join(repr(leg.instrument.symbol) for leg in route.legs)
