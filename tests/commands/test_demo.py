"""The demo's whole life in one data folder: made, used, kept, and left clean."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.commands.cli_process import Running, invoke, processes_of, run, running
from tests.conftest import TestDatabase
from tests.ingestion.imports import load, new_instruments, write_text, writing

EVERYTHING = """{
  searchInstruments { edges { node { symbol } } }
  instrument(symbol: "AAPL") {
    name exchange { mic }
    corporateActions { exDate unused }
    candles(interval: "1mo", from: "2000-03-01T00:00:00Z", to: "2000-04-01T00:00:00Z") {
      time open volume
    }
  }
  simulated: instruments(symbols: ["SIM.BTC", "SIM.ETH", "SIM.ACME"]) {
    candles(interval: "1d", last: 10) { trades }
  }
}"""
SYMBOLS = {"AAPL", "FB", "GOOG", "IBM", "MSFT", "SIM.ACME", "SIM.BTC", "SIM.ETH"}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "made by the demo"


@pytest.fixture(scope="module")
def demo(data_dir: Path) -> Iterator[tuple[Running, dict[str, Any]]]:
    """The first run, ready, and what it answers."""
    with running("demo", port=0, data_dir=data_dir) as demo:
        demo.wait_for("Ctrl-C ends everything.")
        yield demo, ask(demo)


def ask(demo: Running) -> dict[str, Any]:
    response = httpx.post(f"{demo.address()}/graphql", json={"query": EVERYTHING}, timeout=60)
    answer = response.json()
    assert "errors" not in answer, answer
    found: dict[str, Any] = answer["data"]
    return found


def trades(answer: dict[str, Any]) -> list[int]:
    return [sum(day["trades"] for day in each["candles"]) for each in answer["simulated"]]


def test_the_first_run_loads_shares_and_simulated_trades(
    demo: tuple[Running, dict[str, Any]],
) -> None:
    process, answer = demo
    assert {edge["node"]["symbol"] for edge in answer["searchInstruments"]["edges"]} == SYMBOLS
    assert answer["instrument"]["name"] == "Apple Inc."
    assert answer["instrument"]["exchange"] == {"mic": "XNAS"}
    actions = answer["instrument"]["corporateActions"]
    assert [each["exDate"][:4] for each in actions] == ["2000", "2005", "2012", "2012", "2013"]
    assert not [each for each in actions if each["unused"]]
    (march,) = answer["instrument"]["candles"]
    assert march["time"].startswith("2000-03-01T00:00:00")
    assert all(count > 0 for count in trades(answer)[:2])
    assert "GraphiQL" in process.out
    assert "loading daily bars" in process.err
    assert "loading daily bars" not in process.out


def test_a_second_run_keeps_the_data_and_a_signal_leaves_nothing_running(
    demo: tuple[Running, dict[str, Any]], data_dir: Path, tmp_path: Path
) -> None:
    process, first = demo
    assert processes_of(data_dir)
    ended = process.end(signal.SIGINT)
    assert ended.code == 0
    assert "Aborted" not in ended.err
    assert processes_of(data_dir) == []

    with running("demo", port=0, data_dir=data_dir) as again:
        again.wait_for("Ctrl-C ends everything.")
        assert "loading daily bars" not in again.err
        second = ask(again)
        assert second["searchInstruments"] == first["searchInstruments"]
        assert second["instrument"] == first["instrument"]
        assert all(now >= before for now, before in zip(trades(second), trades(first), strict=True))
        path = write_text(tmp_path / "t.csv", "symbol,time,price,size\nMINE,2024-01-02,1,1\n")
        done = run("import", "trades", path, "--create-instruments", data_dir=data_dir)
        assert done.code == 0
        assert again.end(signal.SIGTERM).code == 143
    assert processes_of(data_dir) == []

    refused = run("demo", port=0, data_dir=data_dir)
    assert refused.code == 1
    assert "the database holds instruments of your own" in refused.err.splitlines()[-1]
    assert processes_of(data_dir) == []


@pytest.mark.parametrize("symbol", ["AAPL", "OTHER"])
def test_a_server_with_instruments_of_somebodys_own_is_refused(
    symbol: str, native_database: TestDatabase, tmp_path: Path
) -> None:
    path = write_text(tmp_path / "t.csv", f"symbol,time,price,size\n{symbol},2024-01-02,1,1\n")
    with writing(native_database.url) as connection:
        load(connection, path, create=new_instruments())
        before = connection.execute("SELECT count(*) FROM batch").fetchone()
        done = invoke("demo", port=0, database_url=native_database.url)
        assert "the database holds instruments of your own" in done.one_line()
        assert connection.execute("SELECT count(*) FROM batch").fetchone() == before
