"""Read and measure: many instruments by one statement, the arithmetic beside the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from app.errors import BadInput, NoData, RangeTooLarge, TickgraphError
from app.market.candle_spec import CandleSpec
from app.market.grid import moment_of
from app.query.market import Market, Subject
from app.query.statistics.closes import Closes, read_closes, subject_of, subjects_of
from app.query.statistics.correlation import (
    CorrelationMethod,
    Correlations,
    CorrelationTimes,
    correlations_of,
)
from app.query.statistics.performance import Statistics, statistics_of
from app.query.statistics.periods import periods_per_year
from app.query.statistics.returns import Values
from app.query.statistics.rolling import Rolling, rolling_of_many
from app.query.statistics.terms import Terms
from app.query.window import Window

T = TypeVar("T")

MIN_WINDOW, MAX_WINDOW = 2, 5_000
MAX_SERIES = 500
_COMMON_DAYS, _COMMON_HOURS = 2, 6
MAX_VALUES = 1_000_000  # of all series of a correlation together


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is measured; `periods_per_year` None: what is usual, `benchmark` is a symbol."""

    spec: CandleSpec
    window: Window
    terms: Terms
    periods_per_year: float | None = None
    benchmark: str | None = None


async def read_statistics(
    market: Market, subjects: Sequence[Subject], question: Question
) -> list[Statistics | TickgraphError]:
    """Give each subject's statistics, or the error that it alone has.

    Raises:
        UnknownSymbol, NoData: of the benchmark.
    """

    def measure(
        closes: list[Closes], periods: list[float], benchmark: Values | None
    ) -> list[Statistics]:
        return [
            statistics_of(each.values, question.terms, year, benchmark)
            for each, year in zip(closes, periods, strict=True)
        ]

    return await _measured(market, subjects, question, 1, measure)


async def read_rolling(
    market: Market, subjects: Sequence[Subject], question: Question, width: int
) -> list[Rolling | TickgraphError]:
    """Give each subject's statistics over the `width` returns up to each candle in the range.

    Candles before the range are read to begin with; numbers are NaN where there are too few.

    Raises:
        BadInput: the width is out of range.
        UnknownSymbol, NoData: of the benchmark.
    """
    if not MIN_WINDOW <= width <= MAX_WINDOW:
        raise BadInput(f"window is {width}: it must be from {MIN_WINDOW} to {MAX_WINDOW} returns")

    def measure(
        closes: list[Closes], periods: list[float], benchmark: Values | None
    ) -> list[Rolling]:
        series = [each.values for each in closes]
        found = rolling_of_many(series, width, question.terms, periods, benchmark)
        return [rolling.part(each.before) for each, rolling in zip(closes, found, strict=True)]

    before = width
    if question.benchmark is not None:
        # Common times are fewer: a year has 365 days and 252 with trading, a week 168 and 32 hours.
        before *= _COMMON_DAYS if question.spec.interval.is_dated else _COMMON_HOURS
    return await _measured(market, subjects, question, before, measure)


async def read_correlations(
    market: Market,
    symbols: Sequence[str],
    spec: CandleSpec,
    window: Window,
    terms: Terms,
    method: CorrelationMethod,
    times: CorrelationTimes,
    *,
    max_symbols: int = MAX_SERIES,
) -> Correlations:
    """Correlate instruments, each with each, in the order of their symbols.

    Raises:
        BadInput: there are no symbols.
        RangeTooLarge: there are too many, or too many values of them together.
        UnknownSymbol, NoData: of some; named.
    """
    max_symbols = min(max_symbols, MAX_SERIES)
    if not symbols:
        raise BadInput(f"symbols is empty: give from 1 to {max_symbols}")
    if len(symbols) > max_symbols:
        raise RangeTooLarge(
            f"{len(symbols)} symbols: at most {max_symbols} can be correlated at once",
            max_symbols=max_symbols,
        )
    most = MAX_VALUES // len(symbols)
    if window.last is not None and window.last > most:
        raise RangeTooLarge(
            f"`last` is {window.last}: at most {most} candles of each of {len(symbols)}"
            " instruments can be correlated at once",
            max_points=most,
        )
    subjects = await subjects_of(market, symbols, "symbols")
    closes = await read_closes(market, subjects, spec, window, most=most)
    empty = [each.message for each in closes if isinstance(each, NoData)]
    if empty:
        raise NoData("; ".join(dict.fromkeys(empty)))
    values = [_usable(each).values for each in closes]
    return await asyncio.to_thread(correlations_of, values, terms.returns, method, times)


async def _measured(
    market: Market,
    subjects: Sequence[Subject],
    question: Question,
    before: int,
    measure: Callable[[list[Closes], list[float], Values | None], list[T]],
) -> list[T | TickgraphError]:
    """Read the closes of subjects and benchmark together, and measure each."""
    asked = list(subjects)
    if question.benchmark is not None:
        asked.append(await subject_of(market, question.benchmark, "benchmark"))
    closes = await read_closes(market, asked, question.spec, question.window, before=before)
    benchmark = None if question.benchmark is None else _usable(closes.pop()).values

    def all_of_them() -> list[T | TickgraphError]:
        usable: list[Closes] = []
        periods: list[float] = []
        errors: list[TickgraphError | None] = []
        for subject, each in zip(subjects, closes, strict=True):
            try:
                own = _usable(each)
                periods.append(_periods(question, subject, own))
                usable.append(own)
                errors.append(None)
            except TickgraphError as error:
                errors.append(error)
        found = iter(measure(usable, periods, benchmark))
        return [next(found) if error is None else error for error in errors]

    return await asyncio.to_thread(all_of_them)


def _usable(closes: Closes | TickgraphError) -> Closes:
    if isinstance(closes, TickgraphError):
        raise closes
    return closes


def _periods(question: Question, subject: Subject, closes: Closes) -> float:
    if question.periods_per_year is not None:
        return question.periods_per_year
    newest = moment_of(int(np.int64(closes.values.time[-1])))
    return periods_per_year(question.spec, subject.exchange, newest.year)
