"""`tickgraph import`: every option, the summary, and what is refused before anything starts."""

import gzip
from pathlib import Path

import pytest

from app.commands import importing
from app.errors import DatabaseUnavailable
from tests.commands.cli_process import invoke
from tests.conftest import TestDatabase
from tests.ingestion.imports import (
    bars_of,
    fresh_symbol,
    instrument_of,
    quotes_of,
    read_rejects,
    trades_of,
    write_text,
    writing,
)

TRADES = "symbol,time,price,size\n{0},2024-01-02T12:00:00Z,10.50,1\n{0},2024-01-02T12:00:01Z,x,1\n"


@pytest.fixture
def url(native_database: TestDatabase) -> str:
    return native_database.url


@pytest.fixture
def symbol() -> str:
    return fresh_symbol()


def test_the_summary_says_what_became_of_the_rows(url: str, symbol: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", TRADES.format(symbol))
    done = invoke("import", "trades", path, "--create-instruments", database_url=url)
    assert (done.code, done.err) == (0, "")
    assert done.out == ("2 trades received: 1 stored, 0 duplicate, 1 rejected\n  1 BAD_NUMBER\n")
    done = invoke("import", "trades", path, "--json", database_url=url)
    assert (done.code, done.err) == (0, "")
    assert done.out == '{"received": 2, "stored": 0, "duplicate": 1, "rejected": 1}\n'


def test_rejects_are_written_with_line_and_reason(url: str, symbol: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", TRADES.format(symbol))
    rejects = tmp_path / "rejects.csv"
    options = ("--create-instruments", "--rejects", rejects)
    assert invoke("import", "trades", path, *options, database_url=url).code == 0
    (refused,) = read_rejects(rejects)
    assert (refused.line, refused.reason) == (3, "BAD_NUMBER")
    assert refused.record == f"{symbol},2024-01-02T12:00:01Z,x,1"


def test_new_instruments_are_as_the_options_say(url: str, symbol: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", TRADES.format(symbol))
    options = ("--exchange", "XLON", "--asset-class", "etf", "--currency", "GBP")
    done = invoke("import", "trades", path, "--create-instruments", *options, database_url=url)
    assert done.code == 0
    with writing(url) as connection:
        made = instrument_of(connection, symbol)
    assert made is not None
    assert [made[name] for name in ("exchange", "asset_class", "currency")] == [
        "XLON",
        "ETF",
        "GBP",
    ]


def test_without_create_an_unknown_symbol_is_refused(url: str, symbol: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", TRADES.format(symbol))
    done = invoke("import", "trades", path, database_url=url)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("tickgraph: no good record (batch ")
    assert "): 2 refused\n" in done.err
    assert "UNKNOWN_SYMBOL" in done.err


def test_bars_with_every_option(url: str, symbol: str, tmp_path: Path) -> None:
    text = "When;O;High;Low;C;Vol\n2024-07-01 09:30;1;2;1;2;5\n2024-07-01 10:30;1;2;1;2;5\n"
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    options = (
        *("--interval", "30m", "--symbol", symbol, "--map", "time=When"),
        *("--timezone", "America/New_York", "--create-instruments", "--json"),
    )
    done = invoke("import", "bars", path, *options, database_url=url)
    assert (done.code, done.err) == (0, "")
    assert done.json() == {"received": 2, "stored": 2, "duplicate": 0, "rejected": 0}
    with writing(url) as connection:
        starts = [f"{row[0]:%H:%M} {row[1]}" for row in bars_of(connection, symbol)]
    assert starts == ["13:30 30", "14:30 30"]


def test_replace_corrects_what_differs(url: str, symbol: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", TRADES.format(symbol))
    invoke("import", "trades", path, "--create-instruments", database_url=url)
    path.write_text(TRADES.format(symbol).replace("10.50", "11"))
    assert invoke("import", "trades", path, database_url=url).code == 1
    done = invoke("import", "trades", path, "--replace", "--json", database_url=url)
    assert done.json() == {"received": 2, "stored": 1, "duplicate": 0, "rejected": 1}
    with writing(url) as connection:
        assert [int(row[2]) for row in trades_of(connection, symbol)] == [11]


def test_quotes_come_in(url: str, symbol: str, tmp_path: Path) -> None:
    text = "t,bp,bs,ap,as\n2024-07-01 09:30,1.10,5,1.12,7\n2024-07-01 09:31,1.13,5,1.12,7\n"
    path = write_text(tmp_path / "q.csv", text)
    options = ("--symbol", symbol, "--timezone", "America/New_York")
    done = invoke("import", "quotes", path, *options, "--create-instruments", database_url=url)
    assert (done.code, done.err) == (0, "")
    words = "2 quotes received: 1 stored, 0 duplicate, 1 rejected\n  1 CROSSED_QUOTE\n"
    assert done.out == words
    with writing(url) as connection:
        (stored,) = quotes_of(connection, symbol)
    assert f"{stored[0]:%H:%M}" == "13:30"
    path.write_text(text.replace("1.10", "1.09"))
    assert invoke("import", "quotes", path, *options, database_url=url).code == 1
    done = invoke("import", "quotes", path, *options, "--replace", database_url=url)
    assert done.out == words


def test_instruments_come_in_with_defaults(url: str, symbol: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / "i.csv", f"Ticker,Label\n{symbol},A name\n")
    options = ("--map", "name=Label", "--exchange", "XNYS", "--json")
    done = invoke("import", "instruments", path, *options, database_url=url)
    assert done.json() == {"received": 1, "stored": 1, "duplicate": 0, "rejected": 0}
    with writing(url) as connection:
        made = instrument_of(connection, symbol)
    assert made is not None
    assert [made[name] for name in ("name", "exchange", "asset_class", "currency")] == [
        "A name",
        "XNYS",
        "EQUITY",
        "USD",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["candles", "f.csv"], "'candles' is not one of"),
        (["quotes", "f.csv", "--interval", "1m"], "--interval goes with bars"),
        (["bars", "f.csv"], "--interval goes with bars"),
        (["trades", "f.csv", "--interval", "1m"], "--interval goes with bars"),
        (["trades", "f.csv", "--map", "price"], "--map takes FIELD=COLUMN"),
        (["trades", "f.csv", "--map", "=Price"], "--map takes FIELD=COLUMN"),
        (["trades", "f.csv", "--timezone", "Mars/Olympus"], "is no IANA time zone"),
        (["trades", "f.csv", "--timezone", "Europe"], "is no IANA time zone"),
        (["trades", "f.csv", "--timezone", ""], "is no IANA time zone"),
        (["trades"], "Missing argument 'FILE'"),
        (["instruments", "f.csv", "--symbol", "X"], "not for instruments"),
        (["instruments", "f.csv", "--replace"], "not for instruments"),
        (["instruments", "f.csv", "--create-instruments"], "not for instruments"),
    ],
)
def test_a_wrong_use_is_explained(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = invoke("import", *arguments, data_dir=tmp_path / "untouched")
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert not (tmp_path / "untouched").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bars", "f.csv", "--interval", "fortnight"], "interval 'fortnight' is not a number"),
        (["bars", "f.csv", "--interval", "30s"], "whole minutes up to 1d can"),
        (["bars", "f.csv", "--interval", "1w"], "whole minutes up to 1d can"),
        (["trades", "f.csv", "--exchange", "NOWHERE"], "exchange 'NOWHERE' is neither a MIC"),
        (["trades", "f.csv", "--asset-class", "house"], "--asset-class 'house' is none of EQUITY"),
        (["trades", "f.csv", "--currency", "dollars"], "--currency 'dollars'"),
        (["trades", "f.csv", "--rejects", "f.csv"], "--rejects 'f.csv' is the file to import"),
        (["trades", "./f.csv", "--rejects", "f.csv"], "--rejects 'f.csv' is the file to import"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line_before_anything_starts(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    done = invoke("import", *arguments, data_dir=tmp_path / "untouched")
    assert words in done.one_line()
    assert not (tmp_path / "untouched").exists()


def test_a_rejects_file_that_cannot_be_made_is_one_line(
    url: str, symbol: str, tmp_path: Path
) -> None:
    path = write_text(tmp_path / "t.csv", TRADES.format(symbol))
    rejects = tmp_path / "no" / "such" / "folder.csv"
    done = invoke(
        "import", "trades", path, "--create-instruments", "--rejects", rejects, database_url=url
    )
    assert done.one_line() == f"{rejects} cannot be written: No such file or directory"


@pytest.mark.parametrize("kind", ["trades", "instruments"])
def test_a_missing_file_is_one_line(kind: str, url: str, tmp_path: Path) -> None:
    done = invoke("import", kind, tmp_path / "gone.csv", database_url=url)
    assert done.one_line() == "gone.csv cannot be read: No such file or directory"


def test_rollups_that_cannot_follow_are_no_failed_import(
    url: str,
    symbol: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(connection: object) -> None:
        raise DatabaseUnavailable("the database cannot be reached: gone")

    monkeypatch.setattr(importing, "refresh", fail)
    path = write_text(tmp_path / "t.csv", TRADES.format(symbol))
    done = invoke("import", "trades", path, "--create-instruments", "--json", database_url=url)
    assert (done.code, done.json()["stored"]) == (0, 1)
    assert "the roll-ups do not follow yet: the database cannot be reached: gone" in caplog.text
