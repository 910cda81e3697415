"""The time that quotes span: widened by every import, found anew for quotes from before."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from app.storage.database import Connection
from app.storage.migrate import downgrade, migrate
from tests.conftest import TestDatabase
from tests.ingestion.imports import writing
from tests.query.quotes.quoted import RawQuote, store_quotes

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def quote(hours: int) -> RawQuote:
    return RawQuote(time=NOON + hours * HOUR, quote_id=1, bid=Decimal(1), ask=Decimal(2))


def spans(connection: Connection) -> list[tuple[str, int, int]]:
    rows = connection.execute(
        "SELECT symbol, first_time, last_time FROM quote_span JOIN instrument USING (instrument_id)"
        " ORDER BY symbol"
    )
    return [(symbol, (first - NOON) // HOUR, (last - NOON) // HOUR) for symbol, first, last in rows]


def test_spans_widen_and_outlive_a_migration(database: TestDatabase, tmp_path: Path) -> None:
    with writing(database.url) as connection:
        assert spans(connection) == []
        store_quotes(connection, tmp_path, "A", "24/7", [quote(0), quote(3)])
        assert spans(connection) == [("A", 0, 3)]
        for hours, wanted in ((1, (0, 3)), (3, (0, 3)), (7, (0, 7)), (-5, (-5, 7))):
            store_quotes(connection, tmp_path, "A", "24/7", [quote(hours)])
            assert spans(connection) == [("A", *wanted)]
        store_quotes(connection, tmp_path, "B", "24/7", [quote(2)])
    downgrade(database.url, "0015")
    migrate(database.url)
    with writing(database.url) as connection:
        assert spans(connection) == [("A", -5, 7), ("B", 2, 2)]
