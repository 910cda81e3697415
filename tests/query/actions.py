"""Corporate actions for tests, imported as users do; and the sample with what it implies."""

import csv
import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

from app.ingestion.action_import import import_actions
from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.file_import import import_file
from app.ingestion.rejects import Rejects
from app.market.interval import Interval
from app.storage.batches import BatchKind
from app.storage.database import Connection
from tests.query.market import new_instruments

HEADER = ("symbol", "ex_date", "action", "number", "ratio", "amount", "currency")
SAMPLE = Path(str(files("bokeh_sampledata"))) / "_data" / "stocks.csv.gz"
SAMPLE_ACTIONS = Path(str(files("app.commands"))) / "demo_actions.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleDay:
    day: date
    close: Decimal
    volume: Decimal
    adjusted_close: Decimal


def store_actions(
    connection: Connection,
    folder: Path,
    rows: Iterable[Sequence[str]],
    *,
    replace: bool = False,
) -> Receipt:
    """Import actions given as symbol, ex_date, action[, number, ratio, amount, currency]."""
    path = folder / "actions.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows([*row, *[""] * (len(HEADER) - len(row))] for row in rows)
    return import_file_of_actions(connection, path, replace=replace)


def import_file_of_actions(connection: Connection, path: Path, *, replace: bool = False) -> Receipt:
    delivery = Delivery(
        kind=BatchKind.ACTIONS, source=f"file:{path.name}", actor="test", replace=replace
    )
    return import_actions(connection, path, delivery, Rejects(), lambda _: None)


def store_sample(connection: Connection) -> None:
    """Store the sample's bars and the actions of the demo."""
    delivery = Delivery(
        kind=BatchKind.BARS,
        source="file:stocks.csv.gz",
        actor="test",
        interval=Interval.parse("1d"),
        create=new_instruments("XNYS"),
    )
    import_file(connection, SAMPLE, delivery, Rejects(), lambda _: None)
    import_file_of_actions(connection, SAMPLE_ACTIONS)


def sample() -> dict[str, list[SampleDay]]:
    """Read the sample apart from the code under test."""
    days: dict[str, list[SampleDay]] = {}
    with gzip.open(SAMPLE, "rt", newline="") as file:
        for row in csv.DictReader(file):
            days.setdefault(row["Ticker"], []).append(
                SampleDay(
                    day=date.fromisoformat(row["Date"]),
                    close=Decimal(row["Close"]),
                    volume=Decimal(row["Volume"]),
                    adjusted_close=Decimal(row["Adj Close"]),
                )
            )
    return days
