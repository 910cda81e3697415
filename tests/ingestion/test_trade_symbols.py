"""Which instrument a trade belongs to, what that allows, and when it is made."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from app.storage.database import Connection
from tests.ingestion.imports import (
    instrument_of,
    load,
    new_instruments,
    trades_of,
    write_rows,
)

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
HEADER = ("symbol", "time", "price", "size")


def rows_of(symbol: str, count: int, *, start: datetime = NOON) -> list[tuple[str, str, str, str]]:
    return [
        (symbol, (start + timedelta(seconds=n)).isoformat(), f"{100 + n}.25", f"{n}")
        for n in range(count)
    ]


def test_unknown_symbols_are_refused_by_line(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    known = write_rows(tmp_path / "known.csv", HEADER, rows_of(symbol, 1))
    load(connection, known, create=new_instruments())
    rows = [*rows_of(symbol, 3), *rows_of(f"{symbol}.X", 2)]
    outcome = load(connection, write_rows(tmp_path / "t.csv", HEADER, rows))
    assert outcome.numbers == (5, 2, 1, 2)
    assert outcome.reasons == {5: "UNKNOWN_SYMBOL", 6: "UNKNOWN_SYMBOL"}
    assert outcome.rejected[0].record == ",".join(rows[3])


def test_instruments_are_created_for_good_rows_only(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    bad = [
        (f"{symbol}.TIME", "never", "1", "1"),
        (f"{symbol}.PRICE", NOON.isoformat(), "one", "1"),
        (f"{symbol}.ZERO", NOON.isoformat(), "0", "1"),
        (f"{symbol}.SIZE", NOON.isoformat(), "1", "-1"),
        (f"{symbol}\ufffd", NOON.isoformat(), "1", "1"),
        (f"{symbol}\x00", NOON.isoformat(), "1", "1"),
        ("S" * 65, NOON.isoformat(), "1", "1"),
        ("", NOON.isoformat(), "1", "1"),
    ]
    path = write_rows(tmp_path / "t.csv", HEADER, [*bad, *rows_of(symbol, 1)])
    outcome = load(connection, path, create=new_instruments("XNYS", "EQUITY"))
    assert outcome.numbers == (9, 1, 0, 8)
    assert list(outcome.reasons.values()) == [
        "BAD_TIME",
        "BAD_NUMBER",
        "PRICE_NOT_POSITIVE",
        "NEGATIVE_SIZE",
        *["BAD_SYMBOL"] * 4,
    ]
    made = connection.execute(
        "SELECT symbol FROM instrument WHERE starts_with(symbol, %s)", (symbol,)
    ).fetchall()
    assert made == [(symbol,)]
    instrument = instrument_of(connection, symbol)
    assert instrument is not None
    assert (instrument["exchange"], instrument["asset_class"], instrument["currency"]) == (
        "XNYS",
        "EQUITY",
        "USD",
    )
    assert instrument["candle_source"] == "TRADES"


@pytest.mark.parametrize(
    ("asset_class", "price", "stored"),
    [
        ("FUTURE", "-37.63", True),
        ("SPREAD", "0", True),
        ("RATE", "-0.5", True),
        ("EQUITY", "0", False),
        ("CRYPTO", "-1", False),
        ("FX", "-0", False),
        ("OPTION", "0", False),
        ("COMMODITY", "-37.63", False),
    ],
)
def test_prices_of_zero_and_below_are_for_some_classes(
    asset_class: str, price: str, stored: bool, connection: Connection, symbol: str, tmp_path: Path
) -> None:
    rows = [*rows_of(symbol, 1), (symbol, "2024-01-03T00:00:00Z", price, "1")]
    path = write_rows(tmp_path / "t.csv", HEADER, rows)
    for _ in range(2):  # The instrument is new the first time, and known the second.
        outcome = load(connection, path, create=new_instruments("24/7", asset_class))
        assert outcome.reasons == ({} if stored else {3: "PRICE_NOT_POSITIVE"})
    assert (trades_of(connection, symbol)[-1][2] == Decimal(price)) is stored


def test_former_symbols_name_what_they_named_then(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    old, new = f"{symbol}.OLD", f"{symbol}.NEW"
    make = write_rows(tmp_path / "make.csv", HEADER, [*rows_of(new, 1), *rows_of(symbol, 1)])
    load(connection, make, create=new_instruments())
    june, may = datetime(2023, 6, 1, tzinfo=UTC), datetime(2023, 5, 1, tzinfo=UTC)
    # `new` was called `old` before June 2023, and in May 2023 it was called `symbol`.
    for name, start, end in ((old, datetime(2000, 1, 1, tzinfo=UTC), june), (symbol, may, june)):
        connection.execute(
            """
            INSERT INTO symbol_alias (symbol, valid_from, valid_to, instrument_id)
            SELECT %s, %s, %s, instrument_id FROM instrument WHERE symbol = %s
            """,
            (name, start, end, new),
        )
    second = timedelta(seconds=1)
    times = [may - second, may, june - second, june]
    rows = [(name, time.isoformat(), "1", "1") for name in (old, symbol) for time in times]
    path = write_rows(tmp_path / "t.csv", HEADER, rows)
    outcome = load(connection, path, create=new_instruments())
    assert outcome.reasons == {5: "UNKNOWN_SYMBOL"}
    assert instrument_of(connection, old) is None
    assert [row[0] for row in trades_of(connection, symbol)] == [times[0], times[3], NOON]
    assert [row[0] for row in trades_of(connection, new)] == [
        times[0],
        times[1],
        times[1],
        times[2],
        times[2],
        NOON,
    ]


def test_a_former_symbol_alone_holds_within_its_time_only(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    load(
        connection,
        write_rows(tmp_path / "make.csv", HEADER, rows_of(symbol, 1)),
        create=new_instruments(),
    )
    connection.execute(
        "INSERT INTO symbol_alias (symbol, valid_to, instrument_id)"
        " SELECT %s, %s, instrument_id FROM instrument WHERE symbol = %s",
        (f"{symbol}.OLD", NOON, symbol),
    )
    rows = rows_of(f"{symbol}.OLD", 3, start=NOON - timedelta(seconds=2))
    outcome = load(connection, write_rows(tmp_path / "t.csv", HEADER, rows))
    assert outcome.reasons == {4: "UNKNOWN_SYMBOL"}


def test_sessions_and_trading_dates_are_the_venues(
    connection: Connection, symbol: str, tmp_path: Path
) -> None:
    times = [
        "2024-07-01 09:29:59",
        "2024-07-01 09:30:00",
        "2024-07-01 16:00:00",
        "2024-07-04 12:00",
    ]
    rows = [(symbol, time, "1", "1") for time in times]
    path = write_rows(tmp_path / "t.csv", HEADER, rows)
    new = new_instruments("XNYS", "EQUITY")
    load(connection, path, timezone="America/New_York", create=new)
    placed = connection.execute(
        """
        SELECT session, trading_date::text
        FROM trade JOIN instrument USING (instrument_id)
        WHERE symbol = %s ORDER BY event_time
        """,
        (symbol,),
    ).fetchall()
    assert placed == [(0, "2024-07-01"), (1, "2024-07-01"), (2, "2024-07-01"), (0, "2024-07-05")]
