"""What is found of a portfolio: exact rows and sums, and columns to draw."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.market.candle_spec import CandleSpec
from app.market.instrument import Instrument
from app.query.portfolio.closes import Floats
from app.query.portfolio.valuation import Columns
from app.query.statistics.returns import Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One instrument at the end, in the portfolio's currency, but for the price itself.

    `rate` turns the price's currency into it. Both are None where nothing is held and none is
    known. `average_cost` is None where nothing is held.
    """

    instrument: Instrument
    quantity: Decimal
    price: Decimal | None
    rate: Decimal | None
    value: Decimal
    cost: Decimal
    average_cost: Decimal | None
    weight: float | None
    realised_profit: Decimal
    unrealised_profit: Decimal
    income: Decimal
    fees: Decimal
    contribution: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What it comes to at the end: value - invested = realised + unrealised + income, exactly."""

    value: Decimal
    cash: Decimal
    cost: Decimal
    invested: Decimal
    realised_profit: Decimal
    unrealised_profit: Decimal
    income: Decimal
    profit: Decimal
    fees: Decimal
    cash_weight: float | None
    total_return: float | None
    money_weighted_return: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """The answer; `returns` is the growth of one unit since before the first bucket, less one.

    `levels` is the same with what it began at, for statistics; `benchmark` goes with it. `venue` is
    whose calendar makes the years.
    """

    currency: str
    spec: CandleSpec
    since: datetime
    until: datetime
    columns: Columns
    returns: Floats
    holdings: tuple[Holding, ...]
    totals: Totals
    levels: Values
    benchmark: Values | None
    venue: str
