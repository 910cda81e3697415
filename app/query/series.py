"""Candles column by column with indicators on them, as charts and numeric code take them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from app.errors import RangeTooLarge, TickgraphError
from app.market.candle_spec import CandleSpec
from app.market.grid import Micros
from app.query.cached_candles import Shaped, cached_candles
from app.query.candles import Answered
from app.query.downsampling import Method, check_points
from app.query.expected import Expectation, read_beside
from app.query.filling import Fill, check_fill
from app.query.indicators.calls import Call
from app.query.indicators.warm_up import warm_up
from app.query.market import Market, Subject
from app.query.packed import Packed
from app.query.series_rows import Making, Series, series_of
from app.query.window import Window

T = TypeVar("T")

Wanted = str | Call

_NOTHING: Micros = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which candles, what stands in their gaps, and how many rows of them at most."""

    spec: CandleSpec
    window: Window
    fill: Fill = Fill.NONE
    max_points: int | None = None
    method: Method = Method.M4


def asked_series(
    spec: CandleSpec,
    window: Window,
    *,
    fill: Fill | None,
    max_points: int | None,
    method: Method | None,
    limit: int,
) -> Asked:
    """Check what is asked for; `limit` is the most points of one list.

    Raises:
        BadInput: `max_points` is out of range, or nothing is known of the gaps.
    """
    asked = Asked(
        spec=spec,
        window=window,
        fill=fill or Fill.NONE,
        max_points=max_points,
        method=method or Method.M4,
    )
    check_fill(spec, asked.fill)
    if max_points is not None:
        check_points(max_points, asked.method, limit)
    return asked


def check_warm_up(call: Call, most: int) -> None:
    """Refuse a call whose warm-up is longer than the longest list.

    Raises:
        RangeTooLarge: it is.
    """
    need = warm_up(call)
    if need > most:
        words = ", ".join(f"{name} {value!r}" for name, value in call.parameters)
        raise RangeTooLarge(
            f"{call.name} with {words} needs {need} candles before the range: at most {most} are"
            " read",
            max_points=most,
        )


async def read_series(
    market: Market,
    subjects: Sequence[Subject],
    asked: Asked,
    wanted: Sequence[Wanted],
    finish: Callable[[Series], T],
) -> list[Answered[T] | TickgraphError]:
    """Give each subject's series as `finish` makes it of the columns, or the error it alone has.

    Candles of all subjects are read at once, with as many before the range as the hungriest call
    warms up on, and everything is computed beside the event loop in one go.
    """
    making = Making(
        window=asked.window,
        columns=tuple(dict.fromkeys(each for each in wanted if isinstance(each, str))),
        calls=tuple(dict.fromkeys(each for each in wanted if isinstance(each, Call))),
        fill=asked.fill,
        max_points=asked.max_points,
        method=asked.method,
    )
    window = _with_warm_up(asked.window, making.before)
    shape = Packed(making.needed, since=window.start)

    async def read() -> list[Shaped]:
        return await cached_candles(market, subjects, asked.spec, window, shape)

    expected: Sequence[Expectation | TickgraphError | None] = [None] * len(subjects)
    if asked.fill is Fill.NONE:
        answers = await read()
    else:
        answers, expected = await read_beside(market, subjects, asked.spec, asked.window, read)

    def made(
        subject: Subject, answer: Shaped, own: Expectation | TickgraphError | None
    ) -> Answered[T] | TickgraphError:
        if isinstance(answer, TickgraphError):
            return answer
        if isinstance(own, TickgraphError):
            return own
        starts = _NOTHING if own is None else own.starts
        series = series_of(shape.unpack(answer.value), starts, making)
        if series.total > market.max_points:
            return _too_large(subject, asked.spec, market.max_points)
        basis = answer.basis
        if asked.fill is not Fill.NONE:
            basis = replace(basis, first=None)  # older data would make more buckets expected
        return Answered(value=finish(series), basis=basis)

    return await asyncio.to_thread(lambda: list(map(made, subjects, answers, expected)))


def _with_warm_up(window: Window, before: int) -> Window:
    """Ask for as many candles before the range as the hungriest call needs."""
    if window.last is not None:
        return replace(window, last=window.last and window.last + before)
    return replace(window, before=before if window.start else 0)


def _too_large(subject: Subject, spec: CandleSpec, most: int) -> RangeTooLarge:
    return RangeTooLarge(
        f"{subject.symbol!r} has more than {most} candles of {spec.interval} in the range when gaps"
        " are filled: ask for a shorter one or a longer interval",
        max_points=most,
    )
