"""Read row-shaped candles with the buckets filled in which trading was expected and none came."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.errors import RangeTooLarge, TickgraphError
from app.market.candle import Candle
from app.market.candle_spec import CandleSpec
from app.query.candles import Answered, read_candles
from app.query.expected import Expectation, read_beside
from app.query.filling import Fill, check_row_fill, filled_candles
from app.query.market import Market, Subject
from app.query.shapes import Candles, Found
from app.query.window import Window
from app.storage.reader import Row


@dataclass(frozen=True, slots=True)
class CandlesSince:
    """Candles as values, oldest first; those before `since`, a window's start, are warm-up."""

    since: datetime | None = field(default=None, compare=False)

    def sql(self, candles: str) -> str:
        """Ask for one row a candle."""
        return Candles().sql(candles)

    def read(self, rows: Sequence[Row]) -> Found[list[Candle]]:
        """Make candles and count the warm-up."""
        found = Candles().read(rows)
        if self.since is None:
            return found
        before = sum(candle.time < self.since for candle in found.value)
        return replace(found, before=before)


async def read_filled(
    market: Market, subjects: Sequence[Subject], spec: CandleSpec, window: Window, fill: Fill
) -> list[list[Candle] | TickgraphError]:
    """Give each subject's candles, oldest first, also of expected buckets without trading.

    The newest `last` are counted after filling. One statement as for plain candles.

    Raises:
        BadInput: the fill is not for rows, or not for this session.
    """
    check_row_fill(spec, fill)
    # One candle from before the range, for the price that its first buckets carry.
    asked = window if window.start is None else replace(window, before=1)
    answers, expected = await read_beside(
        market,
        subjects,
        spec,
        window,
        lambda: read_candles(market, subjects, spec, asked, CandlesSince(window.start)),
    )

    def made() -> list[list[Candle] | TickgraphError]:
        return [
            _filled(subject, spec, window, answer, own, market.max_points)
            for subject, answer, own in zip(subjects, answers, expected, strict=True)
        ]

    return await asyncio.to_thread(made)


def _filled(
    subject: Subject,
    spec: CandleSpec,
    window: Window,
    answer: Answered[list[Candle]] | TickgraphError,
    expected: Expectation | TickgraphError | None,
    max_points: int,
) -> list[Candle] | TickgraphError:
    if isinstance(answer, TickgraphError):
        return answer
    if isinstance(expected, TickgraphError):
        return expected
    found = answer.value
    if expected is not None:
        found = filled_candles(found, expected.starts.tolist(), expected.final_before)
    if window.start is not None:
        found = [candle for candle in found if candle.time >= window.start]
    if window.last is not None:
        return found[max(len(found) - window.last, 0) :]
    if len(found) > max_points:
        return RangeTooLarge(
            f"{subject.symbol!r} has more than {max_points} candles of {spec.interval} in the range"
            " when gaps are filled: ask for a shorter one or a longer interval",
            max_points=max_points,
        )
    return found
