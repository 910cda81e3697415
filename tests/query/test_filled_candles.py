"""Filled candles equal a plain recomputation: every minute of the sessions, prices carried on."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import exchange_calendars as xcals
import pandas as pd
import pytest

from app.errors import BadInput, RangeTooLarge, TickgraphError
from app.market.candle import Candle, Session
from app.market.candle_spec import CandleSpec
from app.market.interval import Interval
from app.query.filled_candles import read_filled
from app.query.filling import Fill
from app.query.market import Market
from app.query.window import Window
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.market import store_trades, walk
from tests.query.reading import as_expected, market_of, reading, subjects_of
from tests.query.recompute import Expected, RawTrade, bucket, from_trades

# A half day and the end of daylight saving in New York, lunch and a half day in Hong Kong, lunch
# in Tokyo around a holiday, sessions across midnight in Chicago.
VENUES = {
    "XNYS": ("2024-10-30", "2024-12-02"),
    "XHKG": ("2024-12-20", "2024-12-31"),
    "XTKS": ("2024-04-26", "2024-05-09"),
    "CMES": ("2024-03-06", "2024-03-14"),
    "24/7": ("2024-03-30", "2024-04-02"),
}
Buckets = Callable[[datetime, date, datetime], datetime]


def sessions(mic: str) -> list[tuple[date, list[tuple[datetime, datetime]]]]:
    """Give each trading date with the parts of its session."""
    first, last = VENUES[mic]
    rows = xcals.get_calendar(mic, start=first, end=last).schedule
    found = []
    for day, row in rows.iterrows():
        times = [each.to_pydatetime() for each in row[["open", "break_start", "break_end", "close"]]
                 .dropna()]  # fmt: skip
        found.append((day.date(), list(zip(times[::2], times[1::2], strict=True))))
    return found


def trades_of(mic: str) -> list[RawTrade]:
    """Trades in some minutes of the sessions, none in others, none on whole days."""
    rng = random.Random(mic)
    moments = []
    for number, (day, parts) in enumerate(sessions(mic)):
        if number % 4 == 2:
            continue
        for start, end in parts:
            minutes = int((end - start) / timedelta(minutes=1))
            for minute in rng.sample(range(minutes), min(minutes, 4)):
                moments.append((start + timedelta(minutes=minute, seconds=rng.random() * 59), day))
    prices = walk(len(mic), len(moments))
    return [
        RawTrade(time=time, trade_id=number, price=price, size=Decimal(3), trading_date=day)
        for number, ((time, day), price) in enumerate(zip(sorted(moments), prices, strict=True))
    ]


def filled_truth(mic: str, interval: str, session: Session | None) -> list[Expected]:
    """Carry prices through the bucket of every minute of the sessions."""
    every: set[datetime] = set()
    opens: dict[date, list[datetime]] = {}
    for day, parts in sessions(mic):
        opens[day] = [start for start, _ in parts]
        for start, end in parts:
            for minute in pd.date_range(start, end, freq="min", inclusive="left"):
                every.add(place(interval, session, minute.to_pydatetime(), day, opens[day]))
    trades = trades_of(mic)
    if session is None:
        candles = from_trades(trades, interval)
    else:
        groups: dict[datetime, list[RawTrade]] = {}
        for trade in trades:
            at = place(interval, session, trade.time, trade.trading_date, opens[trade.trading_date])
            groups.setdefault(at, []).append(trade)
        candles = [
            replace(from_trades(group, "1y")[0], time=time) for time, group in groups.items()
        ]
    known = {candle.time: candle for candle in candles}
    found: list[Expected] = []
    for time in sorted(every | set(known)):
        if time in known:
            found.append(known[time])
        elif found and time < max(known):
            close = found[-1].close
            found.append(
                Expected(
                    time=time, open=close, high=close, low=close, close=close,
                    volume=Decimal(0), trades=0,
                )
            )  # fmt: skip
    return found


def place(
    interval: str, session: Session | None, time: datetime, day: date, opens: list[datetime]
) -> datetime:
    if session is None:
        return bucket(interval, time, day)
    anchor = max(each for each in opens if each <= time)
    width = Interval.parse(interval).width
    return anchor + (time - anchor) // width * width


@pytest.fixture(scope="module")
def url(native_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("trades")
    with connect(native_database.url, timeout_s=10, statement_timeout_s=60) as connection:
        for mic in VENUES:
            store_trades(connection, folder, f"S-{mic}", mic, trades_of(mic))
    return native_database.url


async def ask(
    market: Market,
    mic: str,
    interval: str,
    window: Window,
    session: Session | None = None,
    fill: Fill = Fill.PREVIOUS,
    timezone: str | None = None,
) -> list[Candle]:
    spec = CandleSpec(interval=Interval.parse(interval), session=session, timezone=timezone)
    subjects = await subjects_of(market.reader, f"S-{mic}")
    (answer,) = await read_filled(market, subjects, spec, window, fill)
    if isinstance(answer, TickgraphError):
        raise answer
    return answer


@pytest.mark.parametrize("mic", VENUES)
@pytest.mark.parametrize(
    ("interval", "session"),
    [
        ("5m", None),
        ("30m", None),
        ("1h", None),
        ("65m", None),
        ("1d", None),
        ("1w", None),
        ("65m", Session.REGULAR),
        ("30m", Session.REGULAR),
    ],
)
async def test_gaps_carry_the_close_before(
    url: str, mic: str, interval: str, session: Session | None
) -> None:
    truth = filled_truth(mic, interval, session)
    middle = truth[len(truth) // 2].time
    async with reading(url) as market:
        every = Window(start=datetime(2024, 1, 1, tzinfo=UTC))
        found = await ask(market, mic, interval, every, session)
        assert as_expected(found) == truth
        # A range that begins in the midst of gaps carries the close from before it.
        later = await ask(market, mic, interval, Window(start=middle), session)
        assert as_expected(later) == [each for each in truth if each.time >= middle]
        earlier = await ask(market, mic, interval, Window(end=middle), session)
        assert as_expected(earlier) == [each for each in truth if each.time < middle]
        for last in (0, 1, 7, len(truth), len(truth) + 5):
            newest = await ask(market, mic, interval, Window(last=last), session)
            assert as_expected(newest) == truth[max(len(truth) - last, 0) :]
        before = await ask(market, mic, interval, Window(end=middle, last=5), session)
        assert as_expected(before) == [each for each in truth if each.time < middle][-5:]


async def test_a_filled_candle_has_the_revision_of_the_one_it_carries(url: str) -> None:
    async with reading(url) as market:
        found = await ask(market, "XTKS", "30m", Window(start=datetime(2024, 1, 1, tzinfo=UTC)))
    assert len({candle.revision for candle in found}) == 1
    newest = trades_of("XTKS")[-1].time
    ends = [candle.time + timedelta(minutes=30) for candle in found]
    assert [candle.final for candle in found] == [
        end <= newest - timedelta(seconds=60) for end in ends
    ]
    assert {candle.vwap for candle in found if not candle.trades} == {None}


async def test_no_lunch_is_filled(url: str) -> None:
    async with reading(url) as market:
        found = await ask(market, "XHKG", "30m", Window(start=datetime(2024, 1, 1, tzinfo=UTC)))
    local = {each.time.astimezone(xcals.get_calendar("XHKG").tz).strftime("%H:%M")
             for each in found}  # fmt: skip
    assert "11:30" in local
    assert "12:00" not in local
    assert "12:30" not in local


async def test_days_of_a_zone_are_filled_where_a_session_meets_them(url: str) -> None:
    # Chicago's sessions run from 23:00 to 22:00 in London, so every day but Saturday has trading.
    async with reading(url) as market:
        found = await ask(
            market, "CMES", "1d", Window(start=datetime(2024, 1, 1, tzinfo=UTC)),
            timezone="Europe/London",
        )  # fmt: skip
    days = [candle.time.date() for candle in found]
    whole = [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)]
    assert days == [day for day in whole if day.isoweekday() != 6]


async def test_nothing_is_filled_without_a_gap_or_beside_the_data(url: str) -> None:
    async with reading(url) as market:
        start = datetime(2025, 1, 1, tzinfo=UTC)
        assert await ask(market, "XNYS", "30m", Window(start=start)) == []
        assert await ask(market, "XNYS", "30m", Window(end=datetime(2024, 1, 1, tzinfo=UTC))) == []


async def test_a_batch_later_than_the_range_does_not_end_it_early(url: str, tmp_path: Path) -> None:
    window = Window(start=datetime(2024, 3, 30, tzinfo=UTC), end=datetime(2024, 6, 1, tzinfo=UTC))
    async with reading(url) as market:
        before = await ask(market, "24/7", "1h", window)
        newest = trades_of("24/7")[-1]
        after = replace(newest, time=newest.time + timedelta(hours=10), trade_id=10**6)
        with connect(url, timeout_s=10, statement_timeout_s=60) as connection:
            store_trades(connection, tmp_path, "S-24/7", "24/7", [after])
        found = await ask(market, "24/7", "1h", window)
    assert len(found) == len(before) + 10
    assert found[-1].close == after.price
    assert {candle.close for candle in found[len(before) : -1]} == {newest.price}


async def test_more_filled_candles_than_points_are_refused(url: str) -> None:
    async with reading(url) as market:
        small = await market_of(market.reader, max_points=100)
        window = Window(start=datetime(2024, 1, 1, tzinfo=UTC))
        with pytest.raises(RangeTooLarge, match="100"):
            await ask(small, "XNYS", "5m", window)


@pytest.mark.parametrize(
    ("session", "fill", "words"),
    [
        (Session.PRE, Fill.PREVIOUS, "'PRE'"),
        (Session.POST, Fill.PREVIOUS, "'POST'"),
        (None, Fill.NULL, "`series`"),
    ],
)
async def test_what_cannot_be_filled_is_refused(
    url: str, session: Session | None, fill: Fill, words: str
) -> None:
    async with reading(url) as market:
        with pytest.raises(BadInput, match=words):
            await ask(market, "XNYS", "5m", Window(last=5), session, fill)
