"""Fill a database for trying things: real daily bars, and simulated trades of recent days."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from app.commands.simulation import SIMULATED, simulate
from app.errors import DatabaseUnavailable, ImportRefused
from app.ingestion.action_import import import_actions
from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.instrument_import import import_instruments
from app.ingestion.rejects import Rejects
from app.market.instrument import AssetClass
from app.market.interval import Interval
from app.market.schedule import ALWAYS_OPEN, exchange_of
from app.rollups.refresh import refresh
from app.storage.batches import BatchKind
from app.storage.contents import (
    foreign_instruments,
    has_actions,
    newest_simulated,
    with_daily_bars,
)
from app.storage.database import Connection
from app.storage.instrument_writes import NewInstruments

# The shares in the public-domain sample package: daily bars of 2000 to 2013, unadjusted.
_SHARES = {
    "AAPL": ("Apple Inc.", "XNAS"),
    "FB": ("Facebook Inc.", "XNAS"),
    "GOOG": ("Google Inc.", "XNAS"),
    "IBM": ("International Business Machines", "XNYS"),
    "MSFT": ("Microsoft Corporation", "XNAS"),
}
_HISTORY = timedelta(days=3)
_ACTOR = "tickgraph demo"
_MADE_BY_DEMO = "demo-instruments.parquet"


def load_demo(connection: Connection, on_progress: Callable[[str], None]) -> None:
    """Load what is missing: the sample bars once, simulated trades up to now.

    Raises:
        DatabaseUnavailable: the database holds somebody's own instruments.
    """
    if foreign_instruments(connection, list(_SHARES), f"file:{_MADE_BY_DEMO}"):
        raise DatabaseUnavailable(
            "the database holds instruments of your own: the demo would mix its data with them"
            " (`tickgraph serve` serves yours; TICKGRAPH_DATA_DIR names another place)"
        )
    if with_daily_bars(connection, list(_SHARES)) < len(_SHARES):
        on_progress("loading daily bars of AAPL, FB, GOOG, IBM and MSFT, 2000 to 2013")
        _load_shares(connection)
    if not has_actions(connection, list(_SHARES)):
        _load_actions(connection)
    _load_simulated(connection, on_progress)
    refresh(connection)


def _load_shares(connection: Connection) -> None:
    rows = [
        {"symbol": symbol, "name": name, "exchange": mic, "currency": "USD"}
        for symbol, (name, mic) in _SHARES.items()
    ]
    try:
        path = Path(str(files("bokeh_sampledata"))) / "_data" / "stocks.csv.gz"
    except ModuleNotFoundError as error:
        raise ImportRefused("the sample data is missing: pip install 'tickgraph[demo]'") from error
    _make(connection, rows)
    delivery = Delivery(
        kind=BatchKind.BARS, source=f"file:{path.name}", actor=_ACTOR, interval=Interval.parse("1d")
    )
    import_file(connection, path, delivery, Rejects(), _ignore)


def _load_actions(connection: Connection) -> None:
    """Load what the sample's adjusted closes imply (docs/adjustments.md)."""
    path = Path(str(files("app.commands"))) / "demo_actions.csv"
    delivery = Delivery(kind=BatchKind.ACTIONS, source=f"file:{path.name}", actor=_ACTOR)
    import_actions(connection, path, delivery, Rejects(), _ignore)


def _load_simulated(connection: Connection, on_progress: Callable[[str], None]) -> None:
    now = datetime.now(UTC)
    for each in SIMULATED:
        newest = newest_simulated(connection, each.symbol)
        last, price = (now - _HISTORY, each.price) if newest is None else newest
        start = max(last + timedelta(milliseconds=1), now - _HISTORY)
        frame = simulate(each, start, now, float(price))
        if frame.is_empty():
            continue
        on_progress(f"simulating {frame.height:,} trades of {each.symbol}")
        row = {
            "symbol": each.symbol,
            "name": each.name,
            "exchange": each.mic,
            "asset_class": each.asset_class.value,
            "currency": "USD",
            "tick_size": str(each.tick),
        }
        _make(connection, [row], simulated=True)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "simulated.parquet"
            frame.write_parquet(path)
            delivery = Delivery(kind=BatchKind.TRADES, source=f"file:{path.name}", actor=_ACTOR)
            import_file(connection, path, delivery, Rejects(), _ignore)


def _make(connection: Connection, rows: list[dict[str, str]], *, simulated: bool = False) -> None:
    new = NewInstruments(
        exchange=exchange_of(ALWAYS_OPEN),
        asset_class=AssetClass.EQUITY,
        currency="USD",
        simulated=simulated,
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / _MADE_BY_DEMO
        pl.DataFrame(rows).write_parquet(path)
        import_instruments(connection, path, new, Rejects(), _ignore, actor=_ACTOR, columns={})


def _ignore(count: int) -> None:
    """Take no note of bytes read."""
