"""What a watch knows of the past: chunks, deliveries, late rows, and a plain recomputation."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median

import numpy as np
import polars as pl
import pytest

from app.market.instrument import AssetClass
from app.validation import anomaly_rows
from app.validation.anomalies import FLAGS, RULES, Watch
from app.validation.anomaly_past import RowKind, Unseen
from app.validation.anomaly_rows import DEPTH, MAD, MIN_HISTORY, WINDOW
from tests.validation.odd_rows import START, bars, fat, flags_of, quotes, scaled, trades

TRADES, BARS, QUOTES = RowKind.TRADES, RowKind.BARS, RowKind.QUOTES
CLASSES = ("EQUITY", "CRYPTO", "FUTURE", "OPTION")


def odd_market(kind: RowKind, count: int, seed: int) -> pl.DataFrame:
    """Rows of four instruments in time order, with oddities of all kinds at random places."""
    random = np.random.default_rng(seed)
    made = {TRADES: trades, BARS: bars, QUOTES: quotes}[kind]
    parts = []
    for place, asset_class in enumerate(CLASSES):
        rows = made(
            count,
            seed=seed * 10 + place,
            asset_class=asset_class,
            instrument_id=place + 1,
            volatility=float(random.choice([1e-5, 1e-3, 2e-2])),
            draw=fat,
        )
        prices = ("bid", "ask") if kind is QUOTES else ("price", "open", "high", "low")
        names = [name for name in prices if name in rows.columns]
        for at in random.integers(0, count, 6):
            until = at + int(random.choice([1, 2, count]))
            rows = scaled(rows, int(at), until, float(random.choice([0.5, 0.9, 1.5])), *names)
        if kind is not QUOTES:
            for at in random.integers(0, count, 4):
                rows = scaled(rows, int(at), int(at) + 1, 500.0, "size")
        if kind is QUOTES:
            lone = pl.Series(random.random(rows.height) < 0.1)
            rows = rows.with_columns(pl.when(~lone).then("ask").alias("ask"))
            locked = pl.Series(random.random(rows.height) < 0.05)
            rows = rows.with_columns(pl.when(locked).then("bid").otherwise("ask").alias("ask"))
        for at in random.integers(0, count, 2):
            stay = pl.int_range(pl.len()).is_between(int(at), int(at) + 70)
            same = [name for name in (*names, "size", "bid_size", "ask_size") if name in rows]
            rows = rows.with_columns(
                pl.when(stay).then(pl.col(name).gather([int(at)]).first()).otherwise(name)
                for name in same
            )
        if kind is not BARS:
            gone = random.random(count) < 0.01
            rows = rows.filter(pl.Series(~gone))
        parts.append(rows)
    merged = pl.concat(parts).sort("event_time", "instrument_id", maintain_order=True)
    return merged.with_columns((pl.int_range(pl.len(), dtype=pl.Int64) + 2).alias("line"))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", list(RowKind))
def test_rows_in_order_get_the_same_flags_however_they_are_cut(kind: RowKind, seed: int) -> None:
    rows = odd_market(kind, 300, seed)
    whole = flags_of(kind, rows)
    expected = {rule.name for rule in RULES if kind in rule.kinds} - {"SPLIT_LIKE", "RANGE_SPIKE"}
    assert set(whole["rule"]) >= expected
    for size in (1, 7, 1000):
        assert flags_of(kind, rows, size).equals(whole)


def test_large_and_small_chunks_agree_where_candidates_are_thinned_out() -> None:
    parts = [
        trades(30_000, seed=each, instrument_id=each, volatility=2e-3, draw=fat)
        for each in (1, 2, 3)
    ]
    rows = pl.concat(parts).sort("event_time")
    rows = rows.with_columns((pl.int_range(pl.len(), dtype=pl.Int64) + 2).alias("line"))
    whole = flags_of(TRADES, rows)
    assert whole.height > 10
    for size in (100, 5000):
        assert flags_of(TRADES, rows, size).equals(whole)


@pytest.mark.parametrize("kind", list(RowKind))
def test_the_order_within_a_chunk_does_not_matter(kind: RowKind) -> None:
    rows = odd_market(kind, 600, 4)
    assert flags_of(kind, rows.sample(fraction=1.0, shuffle=True, seed=5)).equals(
        flags_of(kind, rows)
    )


def naive(rows: pl.DataFrame) -> set[tuple[int, str]]:
    """Recompute jumps and spikes of one instrument's trades, row by row as they are described."""
    flags = set()
    price, size = rows["price"].to_list(), rows["size"].to_list()
    time = [moment.timestamp() for moment in rows["event_time"]]
    least = anomaly_rows.USUAL_LEAST_MOVE
    jump, spike = 8.0, 6.0
    move = [0.0] + [abs(np.log(b / a)) for a, b in zip(price, price[1:], strict=False)]
    for k in range(MIN_HISTORY + 1, len(price)):
        first = max(k - WINDOW, 1)
        scale = max(MAD * median(move[first:k]), least)
        usual = (time[k - 1] - time[first - 1]) / (k - first)
        scale *= min(max(np.sqrt((time[k] - time[k - 1]) / usual), 1.0), 10.0)
        scale = max(scale, 0.01 / price[k - 1])
        if min(move[k], abs(np.log(price[k] / price[k - 2]))) >= jump * scale:
            flags.add((k, "PRICE_JUMP"))
        window = size[max(k - WINDOW, 0) : k]
        middle = median(window)
        if size[k] >= np.exp(spike * 0.65) * middle > 0:
            spread = median(abs(np.log(each) - np.log(middle)) for each in window)
            if np.log(size[k] / middle) >= spike * max(MAD * spread, 0.65):
                flags.add((k, "VOLUME_SPIKE"))
    return flags


@pytest.mark.parametrize("volatility", [1e-4, 1e-3, 5e-3])
def test_a_plain_recomputation_finds_the_same(volatility: float) -> None:
    random = np.random.default_rng(7)
    rows = trades(12_000, volatility=volatility, draw=fat)
    rows = rows.with_columns(pl.Series("size", np.round(random.lognormal(4, 2.2, 12_000)) + 1))
    for at in random.integers(0, 12_000, 60):
        rows = scaled(rows, int(at), int(at) + 1, float(random.choice([0.99, 1.02, 3.0])), "price")
    rows = rows.with_columns(pl.col("price").round(2))
    flags = flags_of(TRADES, rows).filter(pl.col("rule") != "SEQUENCE_GAP")
    assert {(line - 2, rule) for line, rule in flags.select("line", "rule").rows()} == naive(rows)
    assert flags.height > 20


class Database:
    """What `app.storage.flags.recent` promises, of rows in memory."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows = rows.drop("line", "asset_class")
        self.asked: list[list[int]] = []

    def recent(self, ids: Sequence[int], before: datetime) -> tuple[pl.DataFrame, Unseen]:
        self.asked.append(list(ids))
        parts, unseen = [self.rows[:0]], {}
        for each in ids:
            own = self.rows.filter(pl.col("instrument_id") == each).sort("event_time", "row_id")
            early = own.filter(pl.col("event_time") < before)
            parts.append(early.tail(DEPTH))
            if early.height < own.height:
                parts.append(own.tail(DEPTH))
                newest = own.tail(DEPTH)["event_time"][0]
                start = max(before, own["event_time"][0]) + timedelta(microseconds=1)
                if own.height >= DEPTH and newest > start:
                    unseen[each] = (start, newest)
        return pl.concat(parts).unique(["instrument_id", "event_time", "row_id"]), unseen


def judged(kind: RowKind, stored: pl.DataFrame, rows: pl.DataFrame, size: int) -> pl.DataFrame:
    watch = Watch(kind, Database(stored).recent)
    parts = [watch.judge(rows[first : first + size]) for first in range(0, rows.height, size)]
    return pl.concat([pl.DataFrame(schema=FLAGS), *parts]).sort("line", "rule")


@pytest.mark.parametrize("kind", list(RowKind))
def test_two_deliveries_get_the_flags_of_one(kind: RowKind) -> None:
    rows = odd_market(kind, 600, 6)
    whole = flags_of(kind, rows)
    for at in (3, 50, 700, 1500):
        first, second = rows[:at], rows[at:]
        both = pl.concat([flags_of(kind, first), judged(kind, first, second, 97)])
        # Of quotes with one side, what was the last mid is not stored.
        if kind is QUOTES:
            assert both.height >= whole.height - 2
        else:
            assert both.equals(whole)


def test_each_instrument_is_asked_about_once() -> None:
    rows = pl.concat([trades(40), trades(40, instrument_id=2), trades(40)])
    database = Database(rows[:0])
    watch = Watch(TRADES, database.recent)
    for first in range(0, rows.height, 10):
        watch.judge(rows[first : first + 10])
    assert database.asked == [[1], [2]]


def test_late_rows_are_judged_by_what_was_before_them_or_not_at_all() -> None:
    rows = scaled(trades(6000, volatility=1e-3), 3000, 6000, 1.5, "price")
    late = rows[::37]
    rest = rows.join(late, on="line", how="anti")
    whole = flags_of(TRADES, rest).filter(pl.col("rule") == "PRICE_JUMP")
    watch = Watch(TRADES)
    first = watch.judge(rest).filter(pl.col("rule") == "PRICE_JUMP")
    assert first.equals(whole)
    assert watch.judge(late.sample(fraction=1.0, shuffle=True, seed=2)).is_empty()
    # A late row among those that are still known has its own past.
    odd = rest[-10:-9].with_columns(
        pl.col("event_time") + timedelta(microseconds=1),
        pl.col("price") * 3,
        pl.lit(9).alias("line"),
    )
    assert watch.judge(odd).select("line", "rule").rows() == [(9, "PRICE_JUMP")]


def test_a_delivery_among_stored_rows_is_not_judged_where_these_were_not_read() -> None:
    rows = scaled(trades(6000, volatility=1e-3), 3000, 6000, 1.5, "price")
    holes = (pl.col("line") % 41 == 0) | (pl.col("line") > 5900)
    fills, stored = rows.filter(holes), rows.filter(~holes)
    for size in (1, 50, 1000):
        assert judged(TRADES, stored, fills, size).is_empty()
    # And what follows the newest stored row is.
    odd = scaled(fills, fills.height - 5, fills.height, 1.5, "price")
    for size in (1, 50, 1000):
        assert judged(TRADES, stored, odd, size)["line"].to_list() == [5997]


def test_a_backfill_is_judged_by_itself() -> None:
    rows = scaled(trades(4000), 1000, 4000, 1.5, "price")
    stored = rows[2000:].with_columns(pl.col("price") * 7)
    for size in (1, 7, 5000):
        assert judged(TRADES, stored, rows[:2000], size)["line"].to_list() == [1002]


def test_a_whole_history_again_with_a_day_more_is_judged_as_once() -> None:
    rows = scaled(bars(900), 880, 900, 0.7, "price", "open", "high", "low")
    flags = judged(BARS, rows[:850], rows, 100)
    assert flags.equals(flags_of(BARS, rows))


def test_a_row_sent_twice_counts_once() -> None:
    rows = trades(500).with_columns(pl.lit(100.0).alias("price"), pl.lit(5.0).alias("size"))
    few = rows[:30]
    twice = pl.concat([few, few]).with_columns((pl.int_range(pl.len()) + 2).alias("line"))
    for size in (1, 7, 100):
        assert flags_of(TRADES, twice, size).is_empty()
        assert judged(TRADES, few, few, size).is_empty()


def test_a_correction_is_judged_without_the_row_that_it_corrects() -> None:
    rows = trades(500)
    bad = scaled(rows, 400, 401, 3.0, "price")
    assert judged(TRADES, bad, rows[400:401], 1).is_empty()
    assert judged(TRADES, rows, bad[400:401], 1)["line"].to_list() == [402]


def test_equal_times_are_ordered_by_id() -> None:
    rows = trades(600).with_columns(
        pl.lit(START).cast(pl.Datetime("us", "UTC")).alias("event_time")
    )
    rows = scaled(rows, 300, 600, 1.5, "price")
    for size in (1, 50, 600):
        assert flags_of(TRADES, rows, size)["line"].to_list() == [302]
    assert flags_of(TRADES, rows.reverse())["line"].to_list() == [302]


def test_many_instruments_are_kept_apart() -> None:
    parts = [
        trades(100, instrument_id=each * 1000, seed=each).with_columns(pl.col("price") * each)
        for each in range(1, 100)
    ]
    rows = pl.concat(parts).sort("event_time")
    rows = rows.with_columns((pl.int_range(pl.len(), dtype=pl.Int64) + 2).alias("line"))
    for size in (10, 1000, 20_000):
        assert flags_of(TRADES, rows, size).is_empty()


def test_every_asset_class_can_be_judged() -> None:
    for each in AssetClass:
        rows = scaled(trades(300, asset_class=each), 200, 300, 4.0, "price")
        assert flags_of(TRADES, rows)["rule"].to_list() == ["PRICE_JUMP"]
