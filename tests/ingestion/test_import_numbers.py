"""Digits survive the way into the database, all of them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.storage.database import Connection
from tests.ingestion.imports import fresh_symbol, load, new_instruments, trades_of, write_rows

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
DIGITS = st.text(alphabet="0123456789", min_size=1, max_size=20)
FRACTION = st.text(alphabet="0123456789", min_size=0, max_size=18)
TEXTS = st.builds(
    lambda whole, fraction: f"{whole}.{fraction}" if fraction else whole, DIGITS, FRACTION
)
FEW = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FEW
@given(texts=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=40))
def test_decimals_come_back_to_the_last_digit(
    connection: Connection, tmp_path: Path, texts: list[tuple[str, str]]
) -> None:
    symbol = fresh_symbol()
    rows = [
        (symbol, (NOON + timedelta(seconds=n)).isoformat(), price, size)
        for n, (price, size) in enumerate(texts)
        if Decimal(price) > 0
    ]
    rows.append((symbol, "2024-01-01", "1", "1"))
    path = write_rows(tmp_path / "t.csv", ("symbol", "time", "price", "size"), rows)
    assert load(connection, path, create=new_instruments()).counts.stored == len(rows)
    stored = [(str(row[2]), str(row[3])) for row in trades_of(connection, symbol)[1:]]
    assert stored == [(_canonical(price), _canonical(size)) for *_, price, size in rows[:-1]]


@FEW
@given(values=st.lists(st.floats(min_value=1e-6, max_value=1e15), min_size=1, max_size=40))
def test_floats_of_parquet_come_back_as_their_shortest_text(
    connection: Connection, tmp_path: Path, values: list[float]
) -> None:
    symbol = fresh_symbol()
    kept = [value for value in values if Decimal(repr(value)).as_tuple().exponent >= -18]  # type: ignore[operator]
    kept.append(1.0)
    path = tmp_path / "t.parquet"
    pl.DataFrame(
        {
            "symbol": symbol,
            "time": [NOON + timedelta(seconds=n) for n in range(len(kept))],
            "price": kept,
            "size": kept,
        }
    ).write_parquet(path)
    assert load(connection, path, create=new_instruments()).counts.stored == len(kept)
    assert [float(row[2]) for row in trades_of(connection, symbol)] == kept
    assert [row[2] for row in trades_of(connection, symbol)] == [Decimal(repr(x)) for x in kept]


def _canonical(text: str) -> str:
    """Write a number as PostgreSQL does: with its own scale, without leading zeros."""
    whole, point, fraction = text.partition(".")
    return f"{whole.lstrip('0') or '0'}{point}{fraction}"
