from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from app.market.instrument import AssetClass
from app.validation.anomalies import RULES, Rule, Severity, Watch
from app.validation.anomaly_past import RowKind
from app.validation.anomaly_rows import LEAST_MOVE, USUAL_LEAST_MOVE, Floats, Rows
from app.validation.anomaly_scores import Found
from tests.validation.odd_rows import (
    bars,
    changed,
    day,
    fat,
    flags_of,
    found,
    quotes,
    scaled,
    shares,
    trades,
)

TRADES, BARS, QUOTES = RowKind.TRADES, RowKind.BARS, RowKind.QUOTES
DOCUMENT = Path(__file__).parents[2] / "docs" / "anomalies.md"


@pytest.mark.parametrize("asset_class", ["EQUITY", "FX", "FUTURE", "CRYPTO", "OPTION"])
@pytest.mark.parametrize("volatility", [1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
def test_a_normal_walk_has_no_flag(volatility: float, asset_class: str) -> None:
    tick = 1e-4 if asset_class == "FX" else 0.01
    for seed in range(3):
        rows = trades(20_000, seed=seed, volatility=volatility, tick=tick, asset_class=asset_class)
        assert found(TRADES, rows) == []


@pytest.mark.parametrize("volatility", [1e-4, 1e-3, 1e-2])
def test_fat_tails_give_few_flags(volatility: float) -> None:
    """Student's t with five degrees of freedom: as fat as minute returns of shares are."""
    flags = flags_of(TRADES, trades(200_000, volatility=volatility, draw=fat))
    assert flags.height <= 4e-4 * 200_000
    assert set(flags["rule"]) <= {"PRICE_JUMP"}


def test_normal_bars_and_quotes_have_no_flag() -> None:
    for seed in range(5):
        assert found(BARS, bars(3000, seed=seed)) == []
        assert found(BARS, bars(3000, seed=seed, minutes=1, volatility=5e-4)) == []
        assert found(QUOTES, quotes(20_000, seed=seed)) == []


@pytest.mark.parametrize("volatility", [1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("factor", [0.3, 0.9, 1.1, 5.0])
def test_a_level_shift_is_flagged_once(factor: float, volatility: float) -> None:
    rows = scaled(trades(3000, volatility=volatility), 1234, 3000, factor, "price")
    assert found(TRADES, rows) == [(1234, "PRICE_JUMP")]
    mids = scaled(quotes(3000, volatility=volatility), 777, 3000, factor, "bid", "ask")
    assert found(QUOTES, mids) == [(777, "PRICE_JUMP")]


@pytest.mark.parametrize("factor", [0.01, 0.8, 1.2, 100.0])
def test_a_lone_bad_price_is_flagged_and_the_return_from_it_is_not(factor: float) -> None:
    rows = scaled(trades(3000), 1234, 1235, factor, "price")
    assert found(TRADES, rows) == [(1234, "PRICE_JUMP")]


def test_outliers_do_not_hide_each_other() -> None:
    rows = trades(400)
    odd = [200, 203, 206, 209, 212, 215]
    for at in odd:
        rows = scaled(rows, at, at + 1, 3.0, "price")
    assert found(TRADES, rows) == [(at, "PRICE_JUMP") for at in odd]


def test_a_quiet_price_may_move_by_some_ticks() -> None:
    still = trades(500).with_columns(pl.lit(100.0).alias("price"))
    assert found(TRADES, changed(still, 300, price=100.05)) == []
    assert found(TRADES, changed(still, 300, price=100.51)) == [(300, "PRICE_JUMP")]
    coarse = still.with_columns(pl.lit(7.0).alias("price"))
    assert found(TRADES, changed(coarse, 300, price=8.0)) == []


def test_after_a_pause_a_price_may_be_further_away() -> None:
    rows = trades(2000)
    later = pl.int_range(pl.len()) >= 1000
    closed = pl.col("event_time") + pl.when(later).then(timedelta(hours=17)).otherwise(timedelta())
    night = scaled(rows, 1000, 2000, 1.02, "price").with_columns(closed)
    assert found(TRADES, night) == []
    assert found(TRADES, scaled(rows, 1000, 2000, 1.02, "price")) == [(1000, "PRICE_JUMP")]
    assert found(TRADES, scaled(night, 1000, 2000, 1.2, "price")) == [(1000, "PRICE_JUMP")]


def test_thresholds_are_those_of_the_asset_class() -> None:
    def jump(asset_class: str) -> list[tuple[int, str]]:
        rows = trades(2000, volatility=2e-3, tick=1e-4, asset_class=asset_class)
        moments = pl.col("event_time").first() + pl.duration(seconds=pl.col("line"))
        rows = rows.with_columns(moments.alias("event_time"))
        before, here = rows["price"][999], rows["price"][1000]
        return found(TRADES, scaled(rows, 1000, 2000, before / here * 1.0185, "price"))

    assert jump("EQUITY") == [(1000, "PRICE_JUMP")]
    assert jump("CRYPTO") == []
    assert jump("OPTION") == []
    both = pl.concat(
        [
            scaled(trades(2000), 1500, 1501, 1.008, "price"),
            scaled(trades(2000, instrument_id=2, asset_class="OPTION"), 1500, 1501, 1.008, "price"),
        ]
    ).with_columns((pl.int_range(pl.len()) + 2).alias("line"))
    flags = flags_of(TRADES, both)
    assert flags.select("line", "instrument_id", "rule", "threshold").rows() == [
        (1502, 1, "PRICE_JUMP", 8.0)
    ]


def test_a_volume_spike_is_found_where_it_is() -> None:
    rows = scaled(trades(3000), 1234, 1235, 0.0, "size")
    assert found(TRADES, changed(rows, 2000, size=2e6)) == [(2000, "VOLUME_SPIKE")]
    days = bars(1000)
    assert found(BARS, scaled(days, 700, 701, 20.0, "size")) == [(700, "VOLUME_SPIKE")]


def test_sizes_of_zero_are_no_measure() -> None:
    nothing = trades(1000).with_columns(pl.lit(0.0).alias("size"))
    assert found(TRADES, changed(nothing, 500, size=5.0)) == []


def test_a_wick_is_found_where_it_is() -> None:
    days = bars(1000)
    assert found(BARS, scaled(days, 700, 701, 1.6, "high")) == [(700, "RANGE_SPIKE")]
    assert found(BARS, scaled(days, 700, 701, 0.6, "low")) == [(700, "RANGE_SPIKE")]


def test_stale_rows_are_flagged_once_where_they_become_too_many() -> None:
    days = bars(300)
    same = {name: days[name][100] for name in ("open", "high", "low", "price", "size")}
    for at in range(101, 150):
        days = changed(days, at, **same)
    assert (103, "STALE_REPEAT") in found(BARS, days)
    assert [rule for _, rule in found(BARS, days)].count("STALE_REPEAT") == 1
    rows = trades(500)
    for at in range(200, 331):
        rows = changed(rows, at, price=100.0, size=55.0)
    assert found(TRADES, rows) == [(231, "STALE_REPEAT")]
    sides = quotes(500)
    for at in range(200, 300):
        sides = changed(sides, at, bid=99.9, ask=100.1, bid_size=1.0, ask_size=2.0)
    assert found(QUOTES, sides) == [(231, "STALE_REPEAT")]


def test_bars_without_trades_are_not_stale() -> None:
    idle = bars(300).with_columns(
        *(pl.lit(100.0).alias(name) for name in ("open", "high", "low", "price")),
        pl.lit(0.0).alias("size"),
    )
    assert found(BARS, idle) == []


def test_equal_prices_with_other_sizes_are_nothing() -> None:
    assert found(TRADES, trades(2000).with_columns(pl.lit(100.0).alias("price"))) == []


def test_missing_ids_are_counted_where_ids_are_consecutive_by_habit() -> None:
    rows = trades(1000)
    assert found(TRADES, rows.filter(pl.col("row_id") != 1500)) == [(501, "SEQUENCE_GAP")]
    hole = rows.filter(~pl.col("row_id").is_between(1500, 1509))
    flags = flags_of(TRADES, hole)
    assert flags.select("row_id", "rule", "score", "threshold").rows() == [
        (1510, "SEQUENCE_GAP", 10.0, 1.0)
    ]
    sides = quotes(1000).filter(pl.col("row_id") != 1500)
    assert found(QUOTES, sides) == [(501, "SEQUENCE_GAP")]


def test_other_ids_have_no_gaps() -> None:
    rows = trades(1000)
    random = np.random.default_rng(5).integers(0, 2**62, 1000)
    assert found(TRADES, rows.with_columns(pl.Series("row_id", random))) == []
    assert found(TRADES, rows.with_columns(pl.lit(None, dtype=pl.Int64).alias("row_id"))) == []
    assert found(TRADES, rows.with_columns(pl.col("row_id") * 3)) == []
    restarted = pl.when(pl.col("line") > 500).then(pl.col("line") - 501).otherwise("row_id")
    assert found(TRADES, rows.with_columns(restarted.alias("row_id"))) == []
    swapped = pl.col("row_id").replace({1500: 1502, 1502: 1500})
    assert len(found(TRADES, rows.with_columns(swapped))) <= 1


def test_a_lock_is_flagged_where_it_begins() -> None:
    sides = quotes(300)
    for at in (100, 101, 102, 200):
        sides = changed(sides, at, ask=sides["bid"][at])
    assert found(QUOTES, sides) == [(100, "LOCKED_QUOTE"), (200, "LOCKED_QUOTE")]
    assert found(QUOTES, changed(quotes(1), 0, ask=99.0, bid=99.0)) == [(0, "LOCKED_QUOTE")]


def test_quotes_of_one_side_are_passed_over() -> None:
    sides = quotes(2000)
    missing = np.random.default_rng(3).random(2000) < 0.3
    for name in ("bid", "bid_size"):
        sides = sides.with_columns(pl.when(~missing).then(name).alias(name))
    assert found(QUOTES, sides) == []
    none = sides.with_columns(pl.lit(None, dtype=pl.Float64).alias("bid"))
    assert found(QUOTES, none) == []


@pytest.mark.parametrize(
    ("new", "old"), [(2, 1), (3, 1), (3, 2), (4, 1), (5, 1), (7, 1), (10, 1), (20, 1)]
)
@pytest.mark.parametrize("reverse", [False, True])
def test_usual_splits_are_flagged_at_the_first_row_of_a_date(
    new: int, old: int, reverse: bool
) -> None:
    if reverse and old == 2:
        return
    factor = new / old if reverse else old / new
    days = scaled(bars(400), 300, 400, factor, "open", "high", "low", "price")
    assert found(BARS, days) == [(300, "PRICE_JUMP"), (300, "SPLIT_LIKE")]
    minutes = bars(2 * 1440, minutes=1, volatility=1e-3)
    first = minutes["trading_date"].index_of(minutes["trading_date"][-1])
    assert first is not None
    for at, rules in ((first, ["PRICE_JUMP", "SPLIT_LIKE"]), (first + 60, ["PRICE_JUMP"])):
        split = scaled(minutes, at, 9999, factor, "open", "high", "low", "price")
        assert found(BARS, split) == [(at, rule) for rule in rules]
    ticks = scaled(trades(1000), 500, 1000, factor, "price")
    assert found(TRADES, ticks) == [(500, "PRICE_JUMP")]
    dates = pl.when(pl.col("line") >= 502).then(day("2024-01-03")).otherwise("trading_date")
    ticks = ticks.with_columns(dates.alias("trading_date"))
    assert found(TRADES, ticks) == [(500, "PRICE_JUMP"), (500, "SPLIT_LIKE")]
    fx = ticks.with_columns(pl.lit("FX").alias("asset_class"))
    assert found(TRADES, fx) == [(500, "PRICE_JUMP")]


def test_real_splits_are_told_from_a_real_crash() -> None:
    rows = shares()
    flags = flags_of(BARS, rows).join(rows.select("line", "symbol", "trading_date"), on="line")

    def of(rule: str) -> set[tuple[str, str]]:
        named = flags.filter(pl.col("rule") == rule)
        return {(symbol, str(on)) for symbol, on in named.select("symbol", "trading_date").rows()}

    splits = {("AAPL", "2000-06-21"), ("AAPL", "2005-02-28"), ("MSFT", "2003-02-18")}
    assert of("SPLIT_LIKE") == splits
    assert of("PRICE_JUMP") >= splits | {("AAPL", "2000-09-29")}
    assert ("AAPL", "2000-09-29") in of("VOLUME_SPIKE")
    # The flash crash of 2010-05-06.
    assert {("AAPL", "2010-05-06"), ("IBM", "2010-05-06")} <= of("RANGE_SPIKE")
    assert flags["line"].n_unique() == 13
    assert rows.height == 12_154


@pytest.mark.parametrize("asset_class", ["FUTURE", "SPREAD", "RATE"])
def test_prices_of_zero_and_below_are_judged_by_their_differences(asset_class: str) -> None:
    rows = trades(2000, tick=0.01, asset_class=asset_class)
    rows = rows.with_columns(((pl.col("price") - 100) * 50).round(2).alias("price"))
    assert (rows["price"] <= 0).any()
    assert found(TRADES, rows) == []
    low = changed(rows, 1000, price=-37.63)
    assert found(TRADES, low) == [(1000, "PRICE_JUMP")]
    assert flags_of(TRADES, low)["score"].is_finite().all()


def test_a_price_that_its_class_should_not_have_is_a_jump() -> None:
    for price in (0.0, -1.0):
        flags = flags_of(TRADES, changed(trades(100), 50, price=price))
        assert flags["line"].to_list() == [52]
        assert flags["score"].is_finite().all()
        several = trades(200)
        for at in range(100, 130):
            several = changed(several, at, price=price)
        assert flags_of(TRADES, several)["line"][0] == 102


def test_few_rows_say_nothing() -> None:
    assert found(TRADES, trades(1)) == []
    assert found(TRADES, trades(1)[:0]) == []
    assert found(TRADES, scaled(trades(17), 16, 17, 50.0, "price", "size")) == []
    assert found(TRADES, scaled(trades(18), 17, 18, 50.0, "price")) == [(17, "PRICE_JUMP")]
    assert found(BARS, scaled(bars(10), 9, 10, 0.5, "open", "price")) == []


def test_text_and_decimals_are_as_good_as_floats() -> None:
    rows = scaled(trades(500), 300, 500, 1.5, "price")
    floats = flags_of(TRADES, rows)
    assert floats.height == 1
    number = pl.Decimal(38, 18)
    for kind in (pl.String, number):
        assert flags_of(TRADES, rows.with_columns(pl.col("price", "size").cast(kind))).equals(
            floats
        )


def test_flags_say_what_they_are_about() -> None:
    rows = scaled(trades(500, instrument_id=7), 300, 500, 1.5, "price")
    (flag,) = flags_of(TRADES, rows).rows(named=True)
    assert flag["score"] > 8
    assert flag | {"score": 9.0} == {
        "line": 302,
        "instrument_id": 7,
        "event_time": rows["event_time"][300],
        "row_id": 1300,
        "rule": "PRICE_JUMP",
        "severity": "WARNING",
        "score": 9.0,
        "threshold": 8.0,
    }


def test_a_rule_more_is_one_function() -> None:
    def round_lot(rows: Rows, threshold: Floats) -> Found:
        k = np.flatnonzero(rows["size"] >= threshold)
        return k, rows["size"][k]

    rule = Rule(
        name="LARGE",
        kinds=frozenset({TRADES}),
        severity=Severity.INFO,
        threshold=1e9,
        by_class={AssetClass.EQUITY: 5000.0},
        sentence="The size is large.",
        score=round_lot,
    )
    rows = changed(trades(50), 3, size=6000.0)
    flags = Watch(TRADES, rules=(rule,)).judge(rows)
    assert flags.select("line", "rule", "score", "threshold").rows() == [
        (5, "LARGE", 6000.0, 5000.0)
    ]


def test_the_document_holds_the_table_of_rules() -> None:
    lines = ["| rule | of | severity | threshold | sentence |", "| --- | --- | --- | --- | --- |"]
    for rule in RULES:
        kinds = ", ".join(sorted(kind.lower() for kind in rule.kinds))
        values = [] if np.isinf(rule.threshold) else [f"{rule.threshold:g}"]
        values += [f"{each} {value:g}" for each, value in sorted(rule.by_class.items())]
        cells = (rule.name, kinds, rule.severity, ", ".join(values), rule.sentence)
        lines.append(f"| {' | '.join(cells)} |")
    text = DOCUMENT.read_text()
    assert "\n".join(lines) in text, "\n".join(lines)
    least = [f"{each} {value:g}" for each, value in sorted(LEAST_MOVE.items())]
    assert f"{', '.join(least)}, others {USUAL_LEAST_MOVE:g}" in " ".join(text.split()), least


def test_names_and_sentences_are_unique_and_whole() -> None:
    keys = [(rule.name, kind) for rule in RULES for kind in rule.kinds]
    assert len(keys) == len(set(keys))
    for rule in RULES:
        assert rule.sentence.endswith(".")
        assert "|" not in rule.sentence
