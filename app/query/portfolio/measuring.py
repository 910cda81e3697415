"""Statistics of a portfolio's time-weighted returns."""

import asyncio

from app.query.portfolio.found import Portfolio
from app.query.statistics.performance import Statistics, statistics_of
from app.query.statistics.periods import periods_per_year
from app.query.statistics.terms import Terms


async def measure(portfolio: Portfolio, terms: Terms, periods: float | None) -> Statistics:
    """Measure the growth of one unit; `periods` None: as many a year as its venue has.

    A portfolio with anything that trades at a venue that never closes has that venue's years.
    """

    def measured() -> Statistics:
        yearly = periods
        if yearly is None:
            yearly = periods_per_year(portfolio.spec, portfolio.venue, portfolio.until.year)
        return statistics_of(portfolio.levels, terms, yearly, portfolio.benchmark)

    return await asyncio.to_thread(measured)
