"""Candles of a session, and of a zone's calendar, equal a recomputation from the raw trades."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import exchange_calendars as xcals
import pandas as pd
import pytest

from app.errors import BadInterval
from app.market.candle import Session
from app.market.candle_spec import CandleSpec
from app.market.interval import Interval
from app.query.window import Window
from app.rollups.refresh import refresh
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.market import minute_bars, store_bars, store_trades, walk
from tests.query.reading import as_expected, candles_of, reading
from tests.query.recompute import Expected, RawTrade

EVERYTHING = Window(start=datetime(1990, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC))
# Over the clock change of 2025-11-02 and the early close of 2025-11-28; lunch in Tokyo; an open at
# a quarter past in Mumbai; a session from 17:00 to 16:00 of Chicago.
DAYS = {
    "XNYS": ("2025-10-30", "2025-12-02"),
    "XTKS": ("2025-11-10", "2025-11-21"),
    "XBOM": ("2025-11-10", "2025-11-21"),
    "CMES": ("2025-10-30", "2025-11-06"),
}


def trades_of(mic: str) -> list[RawTrade]:
    """Give some trades of each minute or so of all these days, the night as well."""
    start, end = (pd.Timestamp(day, tz="UTC").to_pydatetime() for day in DAYS[mic])
    rng = random.Random(mic)
    count = 3000
    span = (end - start) // timedelta(microseconds=1)
    times = sorted(start + timedelta(microseconds=at) for at in rng.sample(range(span), count))
    return [
        RawTrade(
            time=time,
            trade_id=number,
            price=price,
            size=Decimal(rng.randint(1, 900)),
            trading_date=time.date(),
        )
        for number, (time, price) in enumerate(zip(times, walk(len(mic), count), strict=True))
    ]


TRADES = {mic: trades_of(mic) for mic in DAYS}
MINUTES = minute_bars(3, datetime(2025, 11, 28, 9, tzinfo=UTC), 900, 1)


@pytest.fixture(scope="module")
def market(database: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> TestDatabase:
    folder = tmp_path_factory.mktemp("market")
    with connect(database.url, timeout_s=10, statement_timeout_s=300) as connection:
        for mic, trades in TRADES.items():
            store_trades(connection, folder, mic, mic, trades[::2])
        store_bars(connection, folder, "MINUTES", "XNYS", "1m", MINUTES)
        refresh(connection)
        for mic, trades in TRADES.items():  # late, below the roll-ups' watermark
            store_trades(connection, folder, mic, mic, trades[1::2])
    return database


def placed(mic: str) -> Callable[[datetime], tuple[Session, datetime] | None]:
    """Tell a moment's session and what its buckets count from, by exchange-calendars' schedule."""
    calendar = xcals.get_calendar(mic, start="2025-10-01", end="2026-01-31")
    days = [
        tuple(None if pd.isna(at) else at.to_pydatetime() for at in row)
        for row in calendar.schedule[["open", "close", "break_end"]].itertuples(index=False)
    ]
    zone = ZoneInfo(str(calendar.tz))

    def place(moment: datetime) -> tuple[Session, datetime] | None:
        for opens, closes, reopens in days:
            assert opens is not None
            assert closes is not None
            if opens <= moment < closes:
                afternoon = reopens is not None and moment >= reopens
                return Session.REGULAR, reopens if afternoon and reopens else opens
        after = next(opens for opens, _, _ in days if opens and opens > moment)
        before = [closes for _, closes, _ in days if closes and closes <= moment][-1]
        if before.astimezone(zone).date() == moment.astimezone(zone).date():
            return Session.POST, before
        return Session.PRE, after

    return place


def in_the_break(mic: str) -> Callable[[datetime], datetime]:
    """Give the last moment before a lunch break for all of it, other moments as they are."""
    schedule = xcals.get_calendar(mic, start="2025-10-01", end="2026-01-31").schedule
    breaks = [
        (starts.to_pydatetime(), ends.to_pydatetime())
        for starts, ends in schedule[["break_start", "break_end"]].dropna().itertuples(index=False)
    ]

    def counted(moment: datetime) -> datetime:
        for starts, ends in breaks:
            if starts <= moment < ends:
                last: datetime = starts - timedelta(microseconds=1)
                return last
        return moment

    return counted


def grouped(trades: list[RawTrade], start_of: Callable[[RawTrade], datetime]) -> list[Expected]:
    groups: dict[datetime, list[RawTrade]] = {}
    for trade in trades:
        groups.setdefault(start_of(trade), []).append(trade)
    return [
        Expected(
            time=time,
            open=group[0].price,
            high=max(each.price for each in group),
            low=min(each.price for each in group),
            close=group[-1].price,
            volume=sum((each.size for each in group), Decimal(0)),
            trades=len(group),
        )
        for time, group in sorted(groups.items())
    ]


def spec(interval: str, session: Session | None = None, timezone: str | None = None) -> CandleSpec:
    return CandleSpec(interval=Interval.parse(interval), session=session, timezone=timezone)


@pytest.mark.parametrize("mic", list(DAYS))
@pytest.mark.parametrize("session", list(Session))
@pytest.mark.parametrize("interval", ["15m", "65m", "1h"])
async def test_buckets_of_a_session_count_from_its_open(
    market: TestDatabase, mic: str, session: Session, interval: str
) -> None:
    place, width = placed(mic), Interval.parse(interval).width
    own = [(each, place(each.time)) for each in TRADES[mic]]
    kept = {id(each): part[1] for each, part in own if part and part[0] is session}
    # Where clock time gives the buckets, those of the break are like any other.
    on_the_clock = interval == "15m"
    counted = (lambda moment: moment) if on_the_clock else in_the_break(mic)
    expected = grouped(
        [each for each, part in own if part and part[0] is session],
        lambda each: kept[id(each)] + (counted(each.time) - kept[id(each)]) // width * width,
    )
    async with reading(market.url) as opened:
        found = await candles_of(opened, mic, spec(interval, session), EVERYTHING)
        newest = await candles_of(opened, mic, spec(interval, session), Window(last=9))
    assert as_expected(found) == expected
    assert newest == found[-9:]
    assert found or (mic, session) == ("CMES", Session.POST)


@pytest.mark.parametrize("mic", ["XNYS", "CMES"])
async def test_days_of_a_session_are_trading_dates(market: TestDatabase, mic: str) -> None:
    calendar = xcals.get_calendar(mic, start="2025-10-01", end="2026-01-31")
    place = placed(mic)
    dates = {opens.to_pydatetime(): day for day, opens in calendar.opens.items()}

    def day_of(trade: RawTrade) -> datetime:
        part = place(trade.time)
        assert part is not None
        return pd.Timestamp(dates[part[1]]).tz_localize("UTC").to_pydatetime()

    regular = [each for each in TRADES[mic] if (place(each.time) or [0])[0] is Session.REGULAR]
    async with reading(market.url) as opened:
        found = await candles_of(opened, mic, spec("1d", Session.REGULAR), EVERYTHING)
    assert as_expected(found) == grouped(regular, day_of)


ZONES = ("America/New_York", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "UTC")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("interval", "frequency"), [("1d", "D"), ("1w", "W-SUN"), ("1mo", "M")])
async def test_calendar_buckets_of_a_zone(
    market: TestDatabase, zone: str, interval: str, frequency: str
) -> None:
    def start_of(trade: RawTrade) -> datetime:
        local = pd.Timestamp(trade.time).tz_convert(zone).tz_localize(None)
        first: date = local.to_period(frequency).start_time.date()
        return datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone))

    expected = grouped(TRADES["XNYS"], start_of)
    async with reading(market.url) as opened:
        found = await candles_of(opened, "XNYS", spec(interval, timezone=zone), EVERYTHING)
        newest = await candles_of(opened, "XNYS", spec(interval, timezone=zone), Window(last=2))
    assert as_expected(found) == expected
    assert newest == found[-2:]


@pytest.mark.parametrize("interval", ["4h", "1h", "7h"])
async def test_hours_of_a_zone_count_from_its_midnight(market: TestDatabase, interval: str) -> None:
    zone, width = "America/New_York", Interval.parse(interval).width

    def start_of(trade: RawTrade) -> datetime:
        midnight = pd.Timestamp(trade.time).tz_convert(zone).normalize().tz_convert("UTC")
        since = trade.time - midnight.to_pydatetime()
        start: datetime = midnight.to_pydatetime() + since // width * width
        return start

    async with reading(market.url) as opened:
        found = await candles_of(opened, "XNYS", spec(interval, timezone=zone), EVERYTHING)
    assert as_expected(found) == grouped(TRADES["XNYS"], start_of)


async def test_a_session_in_a_zone_is_that_session_in_the_zones_buckets(
    market: TestDatabase,
) -> None:
    place = placed("XTKS")
    regular = [each for each in TRADES["XTKS"] if (place(each.time) or [0])[0] is Session.REGULAR]
    asked = spec("1d", Session.REGULAR, "America/New_York")

    def start_of(trade: RawTrade) -> datetime:
        local = trade.time.astimezone(ZoneInfo("America/New_York"))
        return datetime(local.year, local.month, local.day, tzinfo=local.tzinfo)

    async with reading(market.url) as opened:
        found = await candles_of(opened, "XTKS", asked, EVERYTHING)
    assert as_expected(found) == grouped(regular, start_of)


async def test_a_range_of_session_buckets_holds_those_that_start_in_it(
    market: TestDatabase,
) -> None:
    asked = spec("65m", Session.REGULAR)
    start, end = (datetime(2025, 11, day, 15, tzinfo=UTC) for day in (26, 28))
    async with reading(market.url) as opened:
        every = await candles_of(opened, "XNYS", asked, EVERYTHING)
        found = await candles_of(opened, "XNYS", asked, Window(start=start, end=end))
        ahead = Window(start=start, end=end, before=5)
        warm = await candles_of(opened, "XNYS", asked, ahead)
    assert found == [each for each in every if start <= each.time < end]
    assert found
    place = next(number for number, each in enumerate(warm) if each.time == found[0].time)
    assert place >= 5
    assert warm == every[every.index(warm[0]) :][: len(warm)]


async def test_bars_of_a_minute_make_buckets_of_a_session(market: TestDatabase) -> None:
    opens = datetime(2025, 11, 28, 14, 30, tzinfo=UTC)
    closes, width = opens + timedelta(hours=3.5), timedelta(minutes=65)
    expected: dict[datetime, Decimal] = {}
    for each in MINUTES:
        if opens <= each.time < closes:
            expected[opens + (each.time - opens) // width * width] = each.close
    async with reading(market.url) as opened:
        found = await candles_of(opened, "MINUTES", spec("65m", Session.REGULAR), EVERYTHING)
    regular = {each.time: each.close for each in found if each.time < closes}
    assert regular == expected


async def test_days_of_a_zone_cannot_be_made_of_daily_bars(
    market: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bars = minute_bars(5, datetime(2025, 11, 3, tzinfo=UTC), 10, 1440)
    folder = tmp_path_factory.mktemp("daily")
    with connect(market.url, timeout_s=10, statement_timeout_s=60) as connection:
        store_bars(connection, folder, "DAILY", "XNYS", "1d", bars)
    async with reading(market.url) as opened:
        with pytest.raises(BadInterval, match="1d in Asia/Tokyo is not a whole multiple"):
            await candles_of(opened, "DAILY", spec("1d", timezone="Asia/Tokyo"), EVERYTHING)
