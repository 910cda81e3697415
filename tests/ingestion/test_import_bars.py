from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from app.market.interval import ORIGIN, Interval
from app.storage.database import Connection
from app.validation.reasons import Reason
from tests.ingestion.imports import (
    bars_of,
    instrument_of,
    load,
    new_instruments,
    write_rows,
    write_text,
)

HEADER = ("symbol", "time", "open", "high", "low", "close", "volume")
START = ORIGIN + timedelta(days=7 * 1250)  # A Monday at which 1m, 7m, 1h and 1d bars begin.
GOOD = ("10", "12", "9", "11", "100")


def rows_at(symbol: str, *times: datetime | str) -> list[tuple[str, ...]]:
    return [(symbol, time if isinstance(time, str) else time.isoformat(), *GOOD) for time in times]


@pytest.mark.parametrize("interval", ["1m", "7m", "1h", "90m"])
def test_bars_begin_where_buckets_do(
    interval: str, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    width = Interval.parse(interval).width
    start = Interval.parse(interval).floor(START)
    times = [
        start,
        start + width,
        start + width * 3,
        start + timedelta(seconds=30),
        start + width - timedelta(microseconds=1),
        start - width,
    ]
    path = write_rows(tmp_path / "b.csv", HEADER, rows_at(symbol, *times))
    outcome = load(connection, path, interval=interval, create=new_instruments())
    assert outcome.numbers == (6, 4, 0, 2)
    assert outcome.reasons == {5: "MISALIGNED_TIME", 6: "MISALIGNED_TIME"}
    minutes = int(width.total_seconds()) // 60
    stored = [(time, minutes, *(Decimal(each) for each in GOOD)) for time in sorted(times[:3])]
    assert bars_of(connection, symbol)[1:] == stored
    assert load(connection, path, interval=interval).numbers == (6, 0, 4, 2)


def test_the_same_start_at_two_intervals_is_two_bars(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "b.csv", HEADER, rows_at(symbol, START))
    for interval in ("1m", "1h", "1d"):
        outcome = load(connection, path, interval=interval, create=new_instruments())
        assert outcome.numbers == (1, 1, 0, 0)
    assert [row[:2] for row in bars_of(connection, symbol)] == [
        (START, 1),
        (START, 60),
        (START, 1440),
    ]


def test_daily_bars_are_stamped_with_their_date(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    new_york, summer, winter = (
        ZoneInfo("America/New_York"),
        datetime(2024, 7, 1, tzinfo=UTC),
        datetime(2024, 1, 2, tzinfo=UTC),
    )
    times = [
        "2024-01-03",
        "20240104",
        "2024-01-05 00:00:00",
        "2024-01-08T00:00:00Z",
        winter.replace(tzinfo=new_york).isoformat(),
        str(int(summer.replace(tzinfo=new_york).timestamp() * 1000)),
        "2024-01-09T09:30:00-05:00",
        "2024-01-10 09:30",
        "2024-01-10T00:00:00+09:00",
        "soon",
    ]
    path = write_rows(tmp_path / "b.csv", HEADER, rows_at(symbol, *times))
    new = new_instruments("XNYS", "EQUITY")
    outcome = load(connection, path, interval="1d", create=new)
    assert outcome.reasons == {
        8: "MISALIGNED_TIME",
        9: "MISALIGNED_TIME",
        10: "MISALIGNED_TIME",
        11: "BAD_TIME",
    }
    assert [f"{row[0]:%m-%d %H:%M}" for row in bars_of(connection, symbol)] == [
        "01-02 00:00",
        "01-03 00:00",
        "01-04 00:00",
        "01-05 00:00",
        "01-08 00:00",
        "07-01 00:00",
    ]
    dates = connection.execute(
        """
        SELECT bool_and(trading_date = (bar_start AT TIME ZONE 'UTC')::date AND session = 1)
        FROM bar JOIN instrument USING (instrument_id) WHERE symbol = %s
        """,
        (symbol,),
    ).fetchone()
    assert dates == (True,)


def test_midnight_of_another_symbols_venue_starts_no_day(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    tokyo, new_york = f"{symbol}.T", f"{symbol}.N"
    midnight = "2024-01-09T00:00:00+09:00"
    for name, mic in ((tokyo, "XTKS"), (new_york, "XNYS")):
        path = write_rows(tmp_path / "b.csv", HEADER, rows_at(name, "2024-01-04"))
        load(connection, path, interval="1d", create=new_instruments(mic, "EQUITY"))
    rows = [*rows_at(tokyo, midnight), *rows_at(new_york, midnight), *rows_at("nobody", midnight)]
    path = write_rows(tmp_path / "b.csv", HEADER, rows)
    outcome = load(connection, path, interval="1d")
    assert outcome.reasons == {3: "MISALIGNED_TIME", 4: "MISALIGNED_TIME"}
    assert f"{bars_of(connection, tokyo)[-1][0]:%Y-%m-%d}" == "2024-01-09"


def test_the_given_zone_makes_days_too(connection: Connection, symbol: str, tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "b.csv", HEADER, rows_at(symbol, "2024-01-01T15:00:00Z", "2024-01-03")
    )
    outcome = load(connection, path, interval="1d", timezone="Asia/Tokyo", create=new_instruments())
    assert outcome.numbers == (2, 2, 0, 0)
    assert [f"{row[0]:%Y-%m-%d}" for row in bars_of(connection, symbol)] == [
        "2024-01-02",
        "2024-01-03",
    ]


def test_typed_parquet_bars_come_in(connection: Connection, symbol: str, tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    pl.DataFrame(
        {
            "Ticker": [symbol] * 2,
            "Date": pl.Series(["2024-01-02", "2024-01-03"]).str.to_date(),
            "Open": [10.5, 11.0],
            "High": pl.Series([11, 12], dtype=pl.Int32),
            "Low": pl.Series(["9.25", "10"]).cast(pl.Decimal(10, 4)),
            "Close": pl.Series([10.1, 11.9], dtype=pl.Float32),
            "Adj Close": [1.0, 1.0],
            "Volume": [1_000_000, None],
        }
    ).write_parquet(path)
    outcome = load(connection, path, interval="1d", create=new_instruments())
    assert outcome.numbers == (2, 1, 0, 1)
    assert outcome.reasons == {2: "BAD_NUMBER"}
    assert bars_of(connection, symbol)[0][2:] == tuple(
        map(Decimal, ("10.5", "11", "9.25", "10.1", "1000000"))
    )


@pytest.mark.parametrize(
    ("bar", "reason"),
    [
        (("10", "12", "9", "11", "100"), None),
        (("10", "10", "10", "10", "0"), None),
        (("10", "12", "9", "12.01", "100"), "OHLC_INCONSISTENT"),
        (("8.99", "12", "9", "11", "100"), "OHLC_INCONSISTENT"),
        (("10", "9", "12", "11", "100"), "OHLC_INCONSISTENT"),
        (("10", "12", "9", "11", "-1"), "NEGATIVE_SIZE"),
        (("10", "12", "0", "11", "1"), "PRICE_NOT_POSITIVE"),
        (("-10", "12", "-10", "11", "1"), "PRICE_NOT_POSITIVE"),
        (("ten", "12", "9", "11", "1"), "BAD_NUMBER"),
        (("10", "inf", "9", "11", "1"), "BAD_NUMBER"),
        (("10", "12", "9", "", "1"), "BAD_NUMBER"),
        (("10", "12", "9", "11", ""), "BAD_NUMBER"),
    ],
)
def test_bars_are_checked(
    bar: tuple[str, ...], reason: str | None, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = [*rows_at(symbol, START), (symbol, (START + timedelta(hours=1)).isoformat(), *bar)]
    path = write_rows(tmp_path / "b.csv", HEADER, rows)
    outcome = load(connection, path, interval="1h", create=new_instruments())
    assert outcome.reasons == ({} if reason is None else {3: reason})
    assert len(bars_of(connection, symbol)) == (2 if reason is None else 1)


def test_bars_of_futures_may_be_below_zero(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = [(symbol, "2020-04-20", "17.73", "17.85", "-40.32", "-37.63", "247947")]
    path = write_rows(tmp_path / "b.csv", HEADER, rows)
    outcome = load(connection, path, interval="1d", create=new_instruments("24/7", "FUTURE"))
    assert outcome.numbers == (1, 1, 0, 0)
    assert bars_of(connection, symbol)[0][4] == Decimal("-40.32")


def test_vwap_and_trade_counts_are_kept_where_given(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    text = "time,o,h,l,c,v,vw,n\n" + "".join(
        f"2024-01-0{day},10,12,9,11,{volume},{vwap},{count}\n"
        for day, volume, vwap, count in (
            (1, "100", "10.123456789", "7"),
            (2, "100", "", ""),
            (3, "0", "0", "0"),
            (4, "100", "x", "1"),
            (5, "100", "10", "1.5"),
            (6, "100", "10", "-1"),
        )
    )
    path = write_text(tmp_path / "b.csv", text)
    outcome = load(connection, path, interval="1d", symbol=symbol, create=new_instruments())
    assert outcome.reasons == {5: "BAD_NUMBER", 6: "BAD_NUMBER", 7: "NEGATIVE_SIZE"}
    stored = connection.execute(
        """
        SELECT notional, trades FROM bar JOIN instrument USING (instrument_id)
        WHERE symbol = %s ORDER BY bar_start
        """,
        (symbol,),
    ).fetchall()
    assert stored == [(Decimal("1012.3456789"), 7), (None, None), (0, 0)]


def test_a_contradiction_is_refused_and_replace_corrects_it(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = rows_at(symbol, START, START + timedelta(hours=1), START + timedelta(hours=2))
    path = write_rows(tmp_path / "b.csv", HEADER, rows)
    load(connection, path, interval="1h", create=new_instruments())
    changed = [(*row[:5], "12", row[6]) if n == 1 else row for n, row in enumerate(rows)]
    path = write_rows(tmp_path / "b2.csv", HEADER, [*changed, changed[1]])
    outcome = load(connection, path, interval="1h")
    assert outcome.numbers == (4, 0, 2, 2)
    assert outcome.reasons == {3: "CONTRADICTS_STORED", 5: "CONTRADICTS_STORED"}
    assert outcome.rejected[0].record == ",".join(changed[1])
    assert load(connection, path, interval="1h", replace=True).numbers == (4, 1, 3, 0)
    assert [int(row[5]) for row in bars_of(connection, symbol)] == [11, 12, 11]
    assert load(connection, path, interval="1h").numbers == (4, 0, 4, 0)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_a_file_that_contradicts_itself_keeps_the_first_line_or_corrects_by_the_last(
    known: bool, replace: bool, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    (row,) = rows_at(symbol, START)
    if known:
        path = write_rows(tmp_path / "b.csv", HEADER, [row])
        load(connection, path, interval="1h", create=new_instruments())
    rows = [row, (*row[:5], "12", row[6]), row, (*row[:6], "1")]
    path = write_rows(tmp_path / "b.csv", HEADER, rows)
    outcome = load(connection, path, interval="1h", replace=replace, create=new_instruments())
    if replace:
        assert outcome.numbers == (4, 1, 0, 3)
    else:
        assert outcome.numbers == ((4, 0, 2, 2) if known else (4, 1, 1, 2))
    lines = (2, 3, 4) if replace else (3, 5)
    assert outcome.reasons == dict.fromkeys(lines, "CONTRADICTS_STORED")
    assert [int(each[6]) for each in bars_of(connection, symbol)] == [1 if replace else int(row[6])]


def test_instruments_are_created_for_good_bars_only(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = [
        *rows_at(f"{symbol}.A", "never"),
        *rows_at(f"{symbol}.B", "2024-01-02T11:11:00Z"),
        (f"{symbol}.C", "2024-01-02", "1", "2", "3", "4", "5"),
        (f"{symbol}.D", "2024-01-02", "1", "2", "0", "1", "5"),
        *rows_at(symbol, "2024-01-02"),
    ]
    path = write_rows(tmp_path / "b.csv", HEADER, rows)
    outcome = load(connection, path, interval="1d", create=new_instruments("XNYS", "EQUITY"))
    assert list(outcome.reasons.values()) == [
        "BAD_TIME",
        "MISALIGNED_TIME",
        "OHLC_INCONSISTENT",
        "PRICE_NOT_POSITIVE",
    ]
    made = connection.execute(
        "SELECT symbol FROM instrument WHERE starts_with(symbol, %s)", (symbol,)
    ).fetchall()
    assert made == [(symbol,)]
    instrument = instrument_of(connection, symbol)
    assert instrument is not None
    assert instrument["candle_source"] == "BARS"


@pytest.mark.parametrize(
    ("mic", "year"), [("24/7", 1901), ("XNYS", 1950), ("XTKS", 1950), ("XTKS", 2099)]
)
def test_bars_far_from_today_come_in(
    mic: str, year: int, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = rows_at(symbol, datetime(year, 6, 15, 14, tzinfo=UTC))
    path = write_rows(tmp_path / "b.csv", HEADER, rows)
    outcome = load(
        connection,
        path,
        interval="1h",
        create=new_instruments(mic, "EQUITY"),
        waived=frozenset({Reason.IN_FUTURE}),
    )
    assert outcome.numbers == (1, 1, 0, 0)
