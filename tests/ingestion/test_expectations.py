"""What is expected of an instrument: tick size, listing, the clock; and who may say otherwise."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from app.errors import ImportRefused
from app.ingestion.judging import Limits
from app.ingestion.records import Prepared, prepare_bars, prepare_quotes, prepare_trades
from app.ingestion.symbols import Symbols
from app.market.interval import Interval
from app.storage.database import Connection
from app.validation.reasons import Reason
from tests.ingestion.imports import (
    bars_of,
    instrument_of,
    load,
    new_instruments,
    trades_of,
    write_rows,
)

NOW = datetime(2024, 1, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MICRO = timedelta(microseconds=1)
TRADES = ("symbol", "time", "price", "size")
BARS = ("symbol", "time", "open", "high", "low", "close", "volume")
QUOTES = ("symbol", "time", "bid", "ask", "bid_size", "ask_size")


def make(
    connection: Connection,
    folder: Path,
    symbol: str,
    *,
    exchange: str = "24/7",
    tick: str = "",
    listed: str = "",
    delisted: str = "",
) -> None:
    header = ("symbol", "exchange", "tick_size", "listed_on", "delisted_on")
    path = write_rows(folder / "i.csv", header, [(symbol, exchange, tick, listed, delisted)])
    load(connection, path, kind="instruments")


def frame(header: Sequence[str], rows: Sequence[Sequence[str | None]]) -> pl.DataFrame:
    made = pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row")
    return made.with_row_index("line", 1).with_columns(pl.col("line").cast(pl.Int64))


def reasons(prepared: Prepared) -> dict[int, list[str]]:
    return dict(prepared.refused.iter_rows())


def test_trades_are_on_the_tick_of_instruments_that_have_one(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    make(connection, tmp_path, symbol, tick="0.05")
    make(connection, tmp_path, f"{symbol}.FREE")
    prices = ("1.05", "1.050000000000000000", "1.01", "0.050000000000000001", "105e-2")
    rows = [(symbol, NOW.isoformat(), price, "1") for price in prices]
    rows.append((f"{symbol}.FREE", NOW.isoformat(), "1.01", "1"))
    path = write_rows(tmp_path / "t.csv", TRADES, rows)
    assert load(connection, path).reasons == {4: "OFF_TICK", 5: "OFF_TICK"}
    assert len(trades_of(connection, symbol)) == 3


def test_every_price_of_a_bar_is_on_the_tick(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    make(connection, tmp_path, symbol, tick="0.25")
    good = ["10", "12", "9", "11"]
    bars = [good] + [
        [*good[:place], off, *good[place + 1 :]]
        for place, off in enumerate(("10.1", "12.1", "8.9", "11.1"))
    ]
    rows = [(symbol, f"2024-01-0{day}", *bar, "1.7") for day, bar in enumerate(bars, 1)]
    path = write_rows(tmp_path / "b.csv", BARS, rows)
    outcome = load(connection, path, interval="1d")
    assert outcome.reasons == dict.fromkeys(range(3, 7), "OFF_TICK")
    assert load(connection, path, interval="1d", waived={Reason.OFF_TICK}).numbers[1] == 4


def test_the_tick_of_a_former_symbol_is_that_of_its_instrument(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    make(connection, tmp_path, symbol, tick="0.05", listed="2024-01-02")
    connection.execute(
        "INSERT INTO symbol_alias (symbol, valid_to, instrument_id)"
        " SELECT %s, %s, instrument_id FROM instrument WHERE symbol = %s",
        (f"{symbol}.OLD", NOW, symbol),
    )
    times = (NOW - SECOND, NOW - timedelta(days=1), NOW - SECOND)
    prices = ("1.05", "1.05", "1.01")
    rows = [
        (f"{symbol}.OLD", time.isoformat(), price, "1")
        for time, price in zip(times, prices, strict=True)
    ]
    path = write_rows(tmp_path / "t.csv", TRADES, rows)
    assert load(connection, path).reasons == {3: "NOT_LISTED", 4: "OFF_TICK"}


def test_listing_is_by_trading_date(connection: Connection, symbol: str, tmp_path: Path) -> None:
    make(connection, tmp_path, symbol, exchange="XNYS", listed="2024-07-02", delisted="2024-07-03")
    # July 4th is no trading day: what happens on it belongs to the 5th.
    times = {
        "2024-07-01 16:00": "NOT_LISTED",
        "2024-07-01 23:59:59.999999": "NOT_LISTED",
        "2024-07-02 00:00": None,
        "2024-07-03 23:59:59.999999": None,
        "2024-07-04 00:00": "NOT_LISTED",
    }
    rows = [(symbol, time, "1", "1") for time in times]
    path = write_rows(tmp_path / "t.csv", TRADES, rows)
    outcome = load(connection, path, timezone="America/New_York")
    wanted = {line: reason for line, reason in enumerate(times.values(), 2) if reason}
    assert outcome.reasons == wanted
    bars = [(symbol, f"2024-07-0{day}", "1", "1", "1", "1", "1") for day in range(1, 5)]
    path = write_rows(tmp_path / "b.csv", BARS, bars)
    outcome = load(connection, path, interval="1d")
    assert outcome.reasons == {2: "NOT_LISTED", 5: "NOT_LISTED"}
    hours = [(symbol, f"2024-07-0{day} 16:00", "1", "1", "1", "1", "1") for day in (1, 2)]
    path = write_rows(tmp_path / "h.csv", BARS, hours)
    assert load(connection, path, interval="1h").reasons == {2: "NOT_LISTED"}


def test_no_time_is_outside_every_session(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    # A Saturday, a holiday, the middle of the night: they are the pre-market of what comes.
    times = ("2024-07-06 12:00", "2024-07-04 12:00", "2024-07-02 03:00")
    rows = [(symbol, time, "1", "1") for time in times]
    path = write_rows(tmp_path / "t.csv", TRADES, rows)
    new = new_instruments("XNYS", "EQUITY")
    assert load(connection, path, timezone="America/New_York", create=new).reasons == {}
    placed = connection.execute(
        "SELECT session, trading_date::text FROM trade JOIN instrument USING (instrument_id)"
        " WHERE symbol = %s ORDER BY event_time",
        (symbol,),
    ).fetchall()
    assert placed == [(0, "2024-07-02"), (0, "2024-07-05"), (0, "2024-07-08")]


@pytest.mark.parametrize("tolerance", [timedelta(0), timedelta(seconds=60)])
def test_trades_and_quotes_may_be_ahead_as_far_as_clocks_may_differ(
    tolerance: timedelta, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    make(connection, tmp_path, symbol)
    limits = Limits(now=NOW, future_tolerance=tolerance)
    edge = NOW + tolerance
    times = [each.isoformat() for each in (edge - MICRO, edge, edge + MICRO)]
    trades = frame(TRADES, [(symbol, time, "1", "1") for time in times])
    prepared = prepare_trades(trades, Symbols(connection, None), "UTC", limits)
    assert reasons(prepared) == {3: ["IN_FUTURE"]}
    quotes = frame(QUOTES, [(symbol, time, "1", None, "1", None) for time in times])
    prepared = prepare_quotes(quotes, Symbols(connection, None), "UTC", limits)
    assert reasons(prepared) == {3: ["IN_FUTURE"]}


def test_a_bar_may_not_start_in_the_future_and_a_days_bar_may_a_day_ahead(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    make(connection, tmp_path, symbol)

    def judged(interval: str, now: datetime, *times: str) -> dict[int, list[str]]:
        rows = frame(BARS, [(symbol, time, "1", "1", "1", "1", "1") for time in times])
        found = prepare_bars(
            rows,
            Symbols(connection, None),
            "UTC",
            Interval.parse(interval),
            Limits(now=now, future_tolerance=SECOND),
        )
        return reasons(found)

    noon = ("2024-01-02T12:00:00Z", "2024-01-02T13:00:00Z")
    assert judged("1h", NOW - SECOND, *noon) == {2: ["IN_FUTURE"]}
    assert judged("1h", NOW - SECOND - MICRO, *noon) == {1: ["IN_FUTURE"], 2: ["IN_FUTURE"]}
    # The trading date of the 3rd may have begun anywhere from the 2nd at 00:00 UTC on.
    begun = datetime(2024, 1, 2, tzinfo=UTC)
    assert judged("1d", begun, "2024-01-03", "2024-01-04") == {2: ["IN_FUTURE"]}
    assert judged("1d", begun - SECOND, "2024-01-03") == {}
    assert judged("1d", begun - SECOND - MICRO, "2024-01-03") == {1: ["IN_FUTURE"]}


def test_what_is_before_the_horizon_is_too_old_whoever_waives_it(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    make(connection, tmp_path, symbol)
    rows = frame(TRADES, [(symbol, time.isoformat(), "1", "1") for time in (NOW - MICRO, NOW)])
    limits = Limits(now=NOW, kept_from=NOW, waived=frozenset(Reason))
    prepared = prepare_trades(rows, Symbols(connection, None), "UTC", limits)
    assert reasons(prepared) == {1: ["TOO_OLD"]}


def test_a_record_has_all_the_reasons_that_may_be_waived_at_once(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    make(connection, tmp_path, symbol, tick="0.5", delisted="2024-01-01")
    rows = frame(TRADES, [(symbol, (NOW + 2 * SECOND).isoformat(), "-0.7", "1")])
    every = ["IN_FUTURE", "PRICE_NOT_POSITIVE", "OFF_TICK", "NOT_LISTED"]
    waived: list[Reason] = []
    for count in range(len(every) + 1):
        limits = Limits(now=NOW, future_tolerance=SECOND, waived=frozenset(waived))
        prepared = prepare_trades(rows, Symbols(connection, None), "UTC", limits)
        assert reasons(prepared) == ({1: every[count:]} if every[count:] else {})
        assert prepared.staged.height == (count == len(every))
        waived += map(Reason, every[count : count + 1])


def test_waiving_every_rule_lets_no_record_in_that_cannot_be_stored(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    make(connection, tmp_path, symbol)
    rows = [
        (symbol, "soon", "1", "1", "1"),
        (symbol, NOW.isoformat(), "x", "1", "1"),
        (symbol, NOW.isoformat(), "1", "-1", "1"),
        (symbol, NOW.isoformat(), "1", "1", "x"),
        ("NOBODY", NOW.isoformat(), "1", "1", "1"),
        ("", NOW.isoformat(), "1", "1", "1"),
    ]
    path = write_rows(tmp_path / "t.csv", (*TRADES, "trade_id"), rows)
    waived = frozenset(Reason)
    with pytest.raises(ImportRefused, match="no good record .*: 6 refused"):
        load(connection, path, waived=waived)
    bars = [
        (symbol, "2024-01-02T12:00:01Z", "1", "1", "1", "1", "1"),
        (symbol, "2024-01-02T12:00:00Z", "1", "1", "2", "1", "1"),
    ]
    path = write_rows(tmp_path / "b.csv", BARS, bars)
    with pytest.raises(ImportRefused, match="no good record .*: 2 refused"):
        load(connection, path, interval="1m", waived=waived)
    assert bars_of(connection, symbol) == []


def test_unexpected_records_make_no_instrument_and_waived_ones_do(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    path = write_rows(tmp_path / "t.csv", TRADES, [(symbol, ahead, "1", "1")])
    with pytest.raises(ImportRefused, match="IN_FUTURE"):
        load(connection, path, create=new_instruments())
    assert instrument_of(connection, symbol) is None
    waived = frozenset({Reason.IN_FUTURE})
    assert load(connection, path, create=new_instruments(), waived=waived).numbers[1] == 1
    tolerant = timedelta(hours=2)
    assert load(connection, path, future_tolerance=tolerant).numbers == (1, 0, 1, 0)
