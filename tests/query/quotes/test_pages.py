"""Pages of quotes, the quote in force and the newest: exact, of many instruments, from any gap."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from app.errors import BadCursor, BadInput, BadRange, RangeTooLarge
from app.market.quote import Quote
from app.query.market import Market
from app.query.quotes.in_force import read_in_force, read_latest_quotes
from app.query.quotes.pages import quote_key, quote_page, read_quotes
from app.query.quotes.spans import read_spans
from app.storage.database import connect
from tests.conftest import TestDatabase
from tests.query.quotes.quoted import RawQuote, random_quotes, random_times, store_quotes
from tests.query.reading import reading, subjects_of

START = datetime(2023, 1, 2, tzinfo=UTC)
GAP = timedelta(days=70)
QUOTES = {
    "A": random_quotes(1, random_times(1, START, 400, 900, GAP)),
    "B": random_quotes(2, random_times(2, START + timedelta(days=3), 150, 30)),
}
SYMBOLS = ("A", "B", "C")


@pytest.fixture(scope="module")
async def market(
    database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Market]:
    folder = tmp_path_factory.mktemp("quotes")
    with connect(database.url, timeout_s=10, statement_timeout_s=60) as connection:
        for symbol, quotes in QUOTES.items():
            half = len(quotes) // 2
            store_quotes(connection, folder, symbol, "24/7", quotes[half:])
            store_quotes(connection, folder, symbol, "24/7", quotes[:half])
        connection.execute(
            "INSERT INTO instrument (symbol, exchange, asset_class, currency)"
            " SELECT 'C', exchange, asset_class, currency FROM instrument WHERE symbol = 'A'"
        )
    async with reading(database.url) as opened:
        yield opened


async def ids_of(market: Market) -> list[int]:
    return [each.instrument_id for each in await subjects_of(market.reader, *SYMBOLS)]


def raw(quote: Quote | None) -> RawQuote | None:
    if quote is None:
        return None
    return RawQuote(time=quote.time, quote_id=quote.quote_id, bid=quote.bid, ask=quote.ask)


def within(symbol: str, start: datetime | None, end: datetime | None) -> list[RawQuote]:
    return [
        each
        for each in QUOTES.get(symbol, [])
        if (start is None or each.time >= start) and (end is None or each.time < end)
    ]


RANGES = [
    (None, None),
    (START + timedelta(days=3), START + timedelta(days=4)),
    (None, START + timedelta(hours=9)),
    (START + timedelta(days=80), None),
    (QUOTES["A"][50].time, QUOTES["A"][120].time),
    (START - timedelta(days=900), START),
    (START, START),
]


@pytest.mark.parametrize(("start", "end"), RANGES)
@pytest.mark.parametrize("first", [7, 1000])
async def test_pages_give_every_quote_once_in_order(
    market: Market, start: datetime | None, end: datetime | None, first: int
) -> None:
    ids = await ids_of(market)
    for place, symbol in enumerate(SYMBOLS):
        found: list[RawQuote | None] = []
        after = None
        while True:
            page = quote_page(start, end, first, after, 1000)
            quotes = (await read_quotes(market, ids, page))[place]
            found += map(raw, quotes.quotes)
            assert len(quotes.quotes) <= first
            if not quotes.has_next:
                break
            after = quote_key(quotes.quotes[-1])
        assert found == within(symbol, start, end)


async def test_a_page_of_none_tells_whether_there_are_any(market: Market) -> None:
    pages = await read_quotes(market, await ids_of(market), quote_page(None, None, 0, None, 9))
    assert [(page.quotes, page.has_next) for page in pages] == [
        ([], True),
        ([], True),
        ([], False),
    ]


async def test_the_quote_in_force_is_the_newest_at_or_before(market: Market) -> None:
    rng = random.Random(5)
    ids = await ids_of(market)
    every = [each.time for quotes in QUOTES.values() for each in quotes]
    tick = timedelta(microseconds=1)
    times = [
        *(rng.choice(every) + rng.choice((-tick, timedelta(), tick)) for _ in range(150)),
        *(START + timedelta(hours=rng.randint(-30, 9000)) for _ in range(150)),
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(2200, 1, 1, tzinfo=UTC),
    ]
    asked = [(instrument_id, time) for time in times for instrument_id in ids]
    found = await read_in_force(market, asked)
    wanted = []
    for time in times:
        for symbol in SYMBOLS:
            before = [each for each in QUOTES.get(symbol, []) if each.time <= time]
            wanted.append(before[-1] if before else None)
    assert [raw(each) for each in found] == wanted


async def test_the_newest_quote_is_the_last_of_its_instant(market: Market) -> None:
    found = await read_latest_quotes(market, await ids_of(market))
    assert list(map(raw, found)) == [QUOTES["A"][-1], QUOTES["B"][-1], None]


async def test_a_page_is_read_whole_across_months_without_quotes(market: Market) -> None:
    gaps = [b.time - a.time for a, b in zip(QUOTES["A"], QUOTES["A"][1:], strict=False)]
    assert max(gaps) >= GAP
    (page, *_) = await read_quotes(
        market, await ids_of(market), quote_page(None, None, 1000, None, 1000)
    )
    assert len(page.quotes) == len(QUOTES["A"])


async def test_spans_hold_what_is_stored_and_nothing_else(market: Market) -> None:
    ids = await ids_of(market)
    spans = await read_spans(market.reader, ids)
    assert [(spans[each].first, spans[each].end) for each in ids[:2]] == [
        (quotes[0].time, quotes[-1].time + timedelta(microseconds=1)) for quotes in QUOTES.values()
    ]
    assert ids[2] not in spans


async def test_a_quote_that_comes_in_is_read_at_once(
    market: Market, database: TestDatabase, tmp_path: Path
) -> None:
    (subject,) = await subjects_of(market.reader, "B")
    late = [
        RawQuote(time=START + timedelta(days=n), quote_id=1, bid=Decimal(n), ask=None)
        for n in (1, 700)
    ]
    with connect(database.url, timeout_s=10, statement_timeout_s=60) as connection:
        for quote in late:
            store_quotes(connection, tmp_path, "B", "24/7", [quote])
            asked = [(subject.instrument_id, quote.time + timedelta(minutes=1))]
            assert [raw(each) for each in await read_in_force(market, asked)] == [quote]
        (newest,) = await read_latest_quotes(market, [subject.instrument_id])
        assert raw(newest) == late[1]
        connection.execute(
            "DELETE FROM quote WHERE quote_id = 1 AND instrument_id = %s", (subject.instrument_id,)
        )
        connection.execute(
            "UPDATE quote_span SET first_time = %s, last_time = %s WHERE instrument_id = %s",
            (QUOTES["B"][0].time, QUOTES["B"][-1].time, subject.instrument_id),
        )


def test_bad_arguments_are_told() -> None:
    with pytest.raises(BadRange, match="2023-01-03.* is after"):
        quote_page(START + timedelta(days=1), START, 1, None, 10)
    with pytest.raises(BadInput, match="`first` is -1: it must be from 0 to 10"):
        quote_page(None, None, -1, None, 10)
    with pytest.raises(RangeTooLarge, match="`first` is 11: at most 10"):
        quote_page(None, None, 11, None, 10)
    for key in ("", "x", "1", "1.x", "1.99999999999999999999", "99999999999999999999.1",
                "-99999999999999999.1", f"1.{1 << 63}"):  # fmt: skip
        with pytest.raises(BadCursor, match="no cursor of a quote list"):
            quote_page(None, None, 1, key, 10)


def test_sides_are_exact_to_the_last_digit() -> None:
    quote = Quote(
        time=START,
        quote_id=1,
        bid=Decimal("12345678901234567890.123456789012345677"),
        ask=Decimal("12345678901234567890.123456789012345678"),
        bid_size=None,
        ask_size=None,
        session=1,  # type: ignore[arg-type]
        trading_date=START.date(),
    )
    assert quote.spread == Decimal("1e-18")
    assert quote.mid == Decimal("12345678901234567890.1234567890123456775")
