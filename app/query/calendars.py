"""The buckets that candles of a kind have at each venue, made beside the event loop."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

from app.errors import TickgraphError
from app.market.candle_spec import CandleSpec
from app.market.grid import Buckets
from app.market.grids import buckets_of
from app.market.schedule import exchange_of

_DECADE = 10


class Calendars:
    """Gives buckets by MIC; what is made once is remembered by app.market.grids."""

    async def buckets(
        self, venues: Mapping[str, tuple[datetime, datetime] | None], spec: CandleSpec
    ) -> dict[str, Buckets | TickgraphError]:
        """Give the buckets of a spec at each venue, around the time that its rows span.

        A venue whose buckets cannot be made has the error.
        """
        if spec.is_plain:
            return dict.fromkeys(venues, spec.interval)
        found: dict[str, Buckets | TickgraphError] = {}
        for mic, span in venues.items():
            if span is None:
                found[mic] = spec.interval
                continue
            try:
                found[mic] = await asyncio.to_thread(_made, mic, spec, *span)
            except TickgraphError as error:
                found[mic] = error
        return found


def _made(mic: str, spec: CandleSpec, first: datetime, last: datetime) -> Buckets:
    # Whole decades: few different spans are remembered.
    begin = (first.year - 1) // _DECADE * _DECADE
    end = (last.year + 1) // _DECADE * _DECADE + _DECADE - 1
    return buckets_of(exchange_of(mic), spec, begin, end)
