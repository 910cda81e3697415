from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from app.market.instrument import AssetClass, Exchange, Instrument
from app.storage import instruments
from app.storage.reader import Reader, open_reader
from tests.conftest import TestDatabase
from tests.ingestion.imports import load, new_instruments, write_text, writing

LISTED = """symbol,name,exchange,asset_class,currency,tick_size
AAPL,Apple Inc.,XNAS,EQUITY,USD,0.01
AAP,Advance Auto Parts,XNYS,EQUITY,USD,
META,Meta Platforms,XNAS,EQUITY,USD,
A%B,Odd_one,24/7,CRYPTO,EUR,
PAA,Plains,XNYS,FUND,USD,
"""


@pytest.fixture(scope="module")
async def reader(
    database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Reader]:
    path: Path = tmp_path_factory.mktemp("listed") / "i.csv"
    with writing(database.url) as connection:
        load(connection, write_text(path, LISTED), kind="instruments", new=new_instruments())
        for symbol, start, end, now in (
            ("FB", datetime(2012, 5, 18, tzinfo=UTC), datetime(2022, 6, 9, tzinfo=UTC), "META"),
            ("OLD", datetime(2000, 1, 1, tzinfo=UTC), datetime(2005, 1, 1, tzinfo=UTC), "AAPL"),
            ("OLD", datetime(2006, 1, 1, tzinfo=UTC), datetime(2007, 1, 1, tzinfo=UTC), "PAA"),
            ("AAP", datetime(2000, 1, 1, tzinfo=UTC), datetime(2001, 1, 1, tzinfo=UTC), "AAPL"),
        ):
            connection.execute(
                "INSERT INTO symbol_alias (symbol, valid_from, valid_to, instrument_id)"
                " SELECT %s, %s, %s, instrument_id FROM instrument WHERE symbol = %s",
                (symbol, start, end, now),
            )
    async with open_reader(
        database.url, pool_size=2, pool_timeout_s=10, statement_timeout_s=10
    ) as opened:
        yield opened


async def test_symbols_name_their_instruments_now_or_formerly(reader: Reader) -> None:
    asked = ["FB", "AAPL", "nobody", "OLD", "AAP", "AAPL"]
    found = await instruments.by_symbols(reader, asked)
    assert {asked: each.symbol for asked, each in found.items()} == {
        "FB": "META",
        "AAPL": "AAPL",
        "OLD": "PAA",
        "AAP": "AAP",
    }


async def test_an_instrument_has_all_that_was_said_of_it(reader: Reader) -> None:
    found = (await instruments.by_symbols(reader, ["AAPL"]))["AAPL"]
    assert found == Instrument(
        instrument_id=found.instrument_id,
        symbol="AAPL",
        name="Apple Inc.",
        exchange="XNAS",
        asset_class=AssetClass.EQUITY,
        currency="USD",
        tick_size=Decimal("0.01"),
        candle_source=None,
        simulated=False,
        listed_on=None,
        delisted_on=None,
    )
    assert await instruments.by_ids(reader, [found.instrument_id, 99_999_999]) == {
        found.instrument_id: found
    }


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("AAP", ["AAP", "AAPL"]),
        ("aap", ["AAP", "AAPL"]),
        ("aa", ["AAP", "AAPL", "PAA"]),
        ("plat", ["META"]),
        ("%", ["A%B"]),
        ("_", ["A%B"]),
        ("", ["A%B", "AAP", "AAPL", "META", "PAA"]),
        (None, ["A%B", "AAP", "AAPL", "META", "PAA"]),
        ("nothing like it", []),
    ],
)
async def test_search_puts_exact_before_beginnings_before_the_rest(
    text: str | None, wanted: list[str], reader: Reader
) -> None:
    found = await instruments.search(
        reader, text=text, asset_class=None, exchange=None, after=None, limit=10
    )
    assert [each.symbol for _, each in found] == wanted


@pytest.mark.parametrize("text", [None, "a", "aap"])
async def test_pages_of_one_are_the_whole(text: str | None, reader: Reader) -> None:
    async def page(after: tuple[int, str] | None, limit: int) -> list[tuple[int, Instrument]]:
        return await instruments.search(
            reader, text=text, asset_class=None, exchange=None, after=after, limit=limit
        )

    whole, pages, after = await page(None, 10), [], None
    while found := await page(after, 1):
        pages += found
        after = (found[0][0], found[0][1].symbol)
    assert pages == whole


async def test_search_can_be_held_to_a_class_and_an_exchange(reader: Reader) -> None:
    found = await instruments.search(
        reader, text="a", asset_class=AssetClass.EQUITY, exchange="XNAS", after=None, limit=10
    )
    assert [each.symbol for _, each in found] == ["AAPL", "META"]


async def test_exchanges_are_found_by_mic(reader: Reader) -> None:
    assert await instruments.exchanges(reader, ["XNAS", "24/7", "XXXX"]) == {
        "XNAS": Exchange(mic="XNAS", calendar="XNYS", timezone="America/New_York"),
        "24/7": Exchange(mic="24/7", calendar="24/7", timezone="UTC"),
    }
