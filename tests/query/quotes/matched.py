"""Trades against quotes by pandas and plain Python: the truth that as-of joins are held against."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import pandas as pd

from tests.query.quotes.quoted import RawQuote
from tests.query.recompute import RawTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """A trade, its quote, and what follows from it; side 1: a buyer's, -1: a seller's."""

    trade: RawTrade
    quote: RawQuote | None
    mid: Decimal | None
    side: int | None
    by_tick: bool
    later_mid: Decimal | None = None


def trades_among(seed: int, quotes: Sequence[RawQuote], count: int) -> list[RawTrade]:
    """Make trades before, at and after quotes, many of them at the mid, some at one time."""
    rng = random.Random(seed)
    steps = [timedelta(microseconds=each) for each in (-1, 0, 0, 1, 250_000, 999_999, 40_000_000)]
    times = sorted(rng.choice(quotes).time + rng.choice(steps) for _ in range(count - 3))
    times = [quotes[0].time - timedelta(days=1), *times, *[times[-1] + timedelta(days=30)] * 2]
    ids = rng.sample(range(10**12), count)
    trades = []
    for time, trade_id in zip(times, ids, strict=True):
        mid = newest(quotes, time, exact=rng.random() < 0.5)
        price = mid if mid is not None and rng.random() < 0.4 else None
        if price is None:
            price = Decimal(100) + Decimal(rng.randint(-300, 300)).scaleb(-3)
        trades.append(
            RawTrade(
                time=time,
                trade_id=trade_id,
                price=price,
                size=Decimal(rng.randint(0, 900)).scaleb(-1),
                trading_date=time.date(),
            )
        )
    return sorted(trades, key=lambda each: (each.time, each.trade_id))


def newest(quotes: Sequence[RawQuote], time: datetime, *, exact: bool) -> Decimal | None:
    before = [each for each in quotes if each.time < time or (exact and each.time == time)]
    return before[-1].mid if before else None


def as_of(
    times: Sequence[datetime], quotes: Sequence[RawQuote], *, exact: bool
) -> list[RawQuote | None]:
    """Give pandas' own answer: of quotes of one time, the last."""
    left = pd.DataFrame({"time": pd.to_datetime(list(times), utc=True).as_unit("us")})
    right = pd.DataFrame(
        {
            "time": pd.to_datetime([each.time for each in quotes], utc=True).as_unit("us"),
            "place": range(len(quotes)),
        }
    )
    joined = pd.merge_asof(left, right, on="time", allow_exact_matches=exact)
    return [None if pd.isna(each) else quotes[int(each)] for each in joined["place"]]


def matched(
    trades: Sequence[RawTrade],
    quotes: Sequence[RawQuote],
    *,
    exact: bool = False,
    lag: timedelta = timedelta(),
    after: timedelta = timedelta(minutes=5),
) -> list[Matched]:
    """Match trades that count, in order, with their quotes, and with the mid some time later."""
    own = as_of([each.time - lag for each in trades], quotes, exact=exact)
    later = as_of([each.time + after for each in trades], quotes, exact=True)
    found = []
    for place, (trade, quote) in enumerate(zip(trades, own, strict=True)):
        mid = None if quote is None else quote.mid
        side, by_tick = None, False
        if mid is not None and trade.price != mid:
            side = 1 if trade.price > mid else -1
        elif mid is not None:
            others = [
                each.price
                for each in trades[:place]
                if each.trading_date == trade.trading_date and each.price != trade.price
            ]
            if others:
                side, by_tick = 1 if trade.price > others[-1] else -1, True
        end = later[place]
        known = end is not None and trade.time + after <= quotes[-1].time
        found.append(
            Matched(
                trade=trade, quote=quote, mid=mid, side=side, by_tick=by_tick,
                later_mid=end.mid if end is not None and known else None,
            )
        )  # fmt: skip
    return found
