"""Any mixture of good and broken rows: every line is accounted for, and a plain oracle agrees."""

import csv
import io
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import ImportRefused
from app.ingestion import csv_table
from app.storage.database import Connection
from tests.ingestion.imports import (
    bars_of,
    fresh_symbol,
    load,
    new_instruments,
    quotes_of,
    read_rejects,
    trades_of,
)

ROUNDS = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
PLAIN = re.compile(r"[+-]?(\d{1,20}(\.\d{0,18})?|\.\d{1,18})", re.ASCII)

TIMES = st.one_of(
    st.integers(0, 5).map(lambda n: (NOON + timedelta(minutes=n)).isoformat()),
    st.integers(0, 5).map(lambda n: str(int(NOON.timestamp()) + 60 * n)),
    st.sampled_from(["", "yesterday", "2024-13-01", "2024-01-02T12:00:30Z", "9999-01-01"]),
)
NUMBERS = st.one_of(
    st.integers(1, 4).map(str),
    st.sampled_from(
        ["1.50", ".5", "+2", "-0", "0", "-1", "", "x", "NaN", "1,0", "1" * 21, "inf", '"', "3 "]
    ),
)
SYMBOLS = st.sampled_from(["A", "A", "A", "B", " A ", "", "nobody", "A\ufffd", "multi\nline"])
IDS = st.sampled_from(["1", "2", "3", "", "x", "-1", str(2**63)])
JUNK = st.sampled_from([["junk"], ["a", "b", "c"], ["1"] * 12, []])
DELIMITERS = st.sampled_from([",", ";"])
BLOCKS = st.sampled_from([5, 60, 8 << 20])


def mixture(*columns: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    row = st.tuples(*columns).map(list)
    return st.lists(st.one_of(row, row, row, row, JUNK), max_size=25)


def number(text: str) -> Decimal | None:
    text = text.strip()
    return Decimal(text) if PLAIN.fullmatch(text) else None


def moment(text: str) -> datetime | None:
    if text.isdigit():
        return datetime.fromtimestamp(int(text), UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.year < 2100 else None


@dataclass
class Oracle:
    """What should become of a file, worked out a row at a time."""

    names: dict[str, str]
    stored: dict[tuple[object, ...], tuple[Decimal, ...]] = field(default_factory=dict)
    rejected: set[int] = field(default_factory=set)
    received: int = 0

    def take(self, line: int, key: tuple[object, ...], values: list[Decimal | None]) -> None:
        known = [value for value in values if value is not None]
        usable = len(known) == len(values) and None not in key and key[0] in self.names.values()
        if not usable or self.stored.setdefault(key, tuple(known)) != tuple(known):
            self.rejected.add(line)


def lines_of(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Give each row that is not blank with the line that it begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    next(reader)
    found: list[tuple[int, list[str]]] = []
    while True:
        line = reader.line_num + 1
        row = next(reader, None)
        if row is None:
            return found
        if row:
            found.append((line, row))


def text_of(header: list[str], rows: list[list[str]], delimiter: str) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows([header, *rows])
    return text.getvalue()


def check(
    connection: Connection,
    path: Path,
    oracle: Oracle,
    block_bytes: int,
    interval: str | None,
    kind: str | None = None,
) -> None:
    """Import twice; counts, rejects and refusal must be the oracle's."""
    good = oracle.received - len(oracle.rejected)
    for first in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv_table, "BLOCK_BYTES", block_bytes)
            if not good:
                with pytest.raises(ImportRefused):
                    load(connection, path, interval=interval, kind=kind)
            else:
                outcome = load(connection, path, interval=interval, kind=kind)
                stored = len(oracle.stored) if first else 0
                assert outcome.numbers == (
                    oracle.received,
                    stored,
                    good - stored,
                    len(oracle.rejected),
                )
        found = read_rejects(path.with_name(f"{path.name}.rejects"))
        assert sorted(each.line for each in found) == sorted(oracle.rejected)


def make_instruments(connection: Connection, folder: Path) -> dict[str, str]:
    names = {name: fresh_symbol() for name in ("A", "B")}
    path = folder / "i.csv"
    path.write_text("symbol\n" + "\n".join(names.values()) + "\n")
    load(connection, path, kind="instruments", new=new_instruments())
    return names


@ROUNDS
@given(rows=mixture(SYMBOLS, TIMES, NUMBERS, NUMBERS, IDS), delimiter=DELIMITERS, block=BLOCKS)
def test_every_trade_line_is_accounted_for(
    connection: Connection, tmp_path: Path, rows: list[list[str]], delimiter: str, block: int
) -> None:
    names = make_instruments(connection, tmp_path)
    rows = [[names.get(row[0], row[0]), *row[1:]] if len(row) == 5 else row for row in rows]
    text = text_of(["symbol", "time", "price", "size", "trade_id"], rows, delimiter)
    oracle = Oracle(names=names)
    for line, row in lines_of(text, delimiter):
        oracle.received += 1
        if len(row) != 5:
            oracle.rejected.add(line)
            continue
        symbol, time, price, size, trade_id = (each.strip() for each in row)
        values = [number(price), number(size)]
        if values[0] is not None and values[0] <= 0:
            values[0] = None
        if values[1] is not None and values[1] < 0:
            values[1] = None
        fits = trade_id.isdigit() and int(trade_id) < 2**63
        oracle.take(line, (symbol, moment(time), int(trade_id) if fits else None), values)
    path = tmp_path / "t.csv"
    path.write_text(text, newline="", encoding="utf-8")
    check(connection, path, oracle, block, None)
    found = {
        (symbol, time, trade_id): (price, size)
        for symbol in names.values()
        for time, trade_id, price, size in trades_of(connection, symbol)
    }
    assert found == oracle.stored


@ROUNDS
@given(
    rows=mixture(SYMBOLS, TIMES, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    flat=st.lists(st.tuples(SYMBOLS, TIMES, st.integers(1, 3).map(str)), max_size=10),
    delimiter=DELIMITERS,
    block=BLOCKS,
)
def test_every_bar_line_is_accounted_for(
    connection: Connection,
    tmp_path: Path,
    rows: list[list[str]],
    flat: list[tuple[str, str, str]],
    delimiter: str,
    block: int,
) -> None:
    names = make_instruments(connection, tmp_path)
    rows = rows + [[symbol, time, price, price, price, price, "7"] for symbol, time, price in flat]
    rows = [[names.get(row[0], row[0]), *row[1:]] if len(row) == 7 else row for row in rows]
    header = ["symbol", "time", "open", "high", "low", "close", "volume"]
    text = text_of(header, rows, delimiter)
    oracle = Oracle(names=names)
    for line, row in lines_of(text, delimiter):
        oracle.received += 1
        if len(row) != 7:
            oracle.rejected.add(line)
            continue
        symbol, time, *texts = (each.strip() for each in row)
        values = [number(each) for each in texts]
        if None not in values:
            open_, high, low, close, volume = (each for each in values if each is not None)
            right = 0 < low <= min(open_, close) and max(open_, close) <= high and volume >= 0
            values = values if right else [None]
        start = moment(time)
        aligned = start is not None and start.second == 0
        oracle.take(line, (symbol, start if aligned else None), values)
    path = tmp_path / "b.csv"
    path.write_text(text, newline="", encoding="utf-8")
    check(connection, path, oracle, block, "1m")
    found = {
        (symbol, start): tuple(values)
        for symbol in names.values()
        for start, _, *values in bars_of(connection, symbol)
    }
    assert found == oracle.stored


ABSENT = Decimal(-99)  # stands for a side that is not quoted
SIDES = st.one_of(NUMBERS, st.just(""), st.sampled_from(["1", "2"]))


def side(price: str, size: str) -> list[Decimal | None]:
    """Read one side of a quote; a None in it refuses the quote."""
    if not price and not size:
        return [ABSENT, ABSENT]
    found = number(price), number(size) if size else ABSENT
    if found[0] is None or found[1] is None or found[0] <= 0:
        return [None]
    if found[1] != ABSENT and found[1] < 0:
        return [None]
    return list(found)


@ROUNDS
@given(
    rows=mixture(SYMBOLS, TIMES, SIDES, SIDES, SIDES, SIDES, IDS),
    plain=st.lists(st.tuples(SYMBOLS, TIMES, st.integers(0, 2), st.sampled_from("12")), max_size=9),
    delimiter=DELIMITERS,
    block=BLOCKS,
)
def test_every_quote_line_is_accounted_for(
    connection: Connection,
    tmp_path: Path,
    rows: list[list[str]],
    plain: list[tuple[str, str, int, str]],
    delimiter: str,
    block: int,
) -> None:
    names = make_instruments(connection, tmp_path)
    for symbol, time, form, number_ in plain:
        sides = [["1", "5", "2", "5"], ["", "", "2", "5"], ["1", "5", "", ""]][form]
        rows = [*rows, [symbol, time, *sides, number_]]
    rows = [[names.get(row[0], row[0]), *row[1:]] if len(row) == 7 else row for row in rows]
    header = ["symbol", "time", "bid", "bid_size", "ask", "ask_size", "quote_id"]
    text = text_of(header, rows, delimiter)
    oracle = Oracle(names=names)
    for line, row in lines_of(text, delimiter):
        oracle.received += 1
        if len(row) != 7:
            oracle.rejected.add(line)
            continue
        symbol, time, bid, bid_size, ask, ask_size, quote_id = (each.strip() for each in row)
        values = [*side(bid, bid_size), *side(ask, ask_size)]
        if None not in values:
            bid_, _, ask_, _ = (each for each in values if each is not None)
            if bid_ == ask_ == ABSENT or (ask_ != ABSENT and bid_ > ask_):
                values = [None]
        fits = quote_id.isdigit() and int(quote_id) < 2**63
        oracle.take(line, (symbol, moment(time), int(quote_id) if fits else None), values)
    path = tmp_path / "q.csv"
    path.write_text(text, newline="", encoding="utf-8")
    check(connection, path, oracle, block, None, "QUOTES")
    found = {
        (symbol, time, quote_id): tuple(ABSENT if each is None else each for each in values)
        for symbol in names.values()
        for time, quote_id, *values in quotes_of(connection, symbol)
    }
    assert found == oracle.stored
