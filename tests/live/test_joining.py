"""Who joins together is told what each would have been told alone, by few statements."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.errors import BadCursor, CursorExpired
from app.live.events import Mark
from app.live.joining import begun
from app.live.moments import moments
from app.live.questions import CandleQuestion, PriceQuestion, Question, TradeQuestion
from app.market.interval import Interval
from app.storage.snapshots import SnapshotReader, open_snapshots
from tests.conftest import TestDatabase
from tests.ingestion.imports import fresh_symbol, load, new_instruments, write_rows, writing
from tests.live.following import subjects

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
HEADER = ("symbol", "time", "price", "size", "trade_id")


async def test_together_as_alone(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbols = [fresh_symbol() for _ in range(4)]
    questions: list[Question] = []
    with writing(database.url) as connection:
        for batch in range(6):
            rows = [
                (symbol, (NOON + timedelta(seconds=50 * batch)).isoformat(), 10 + batch, 1, batch)
                for place, symbol in enumerate(symbols)
                if batch == 0 or place % (batch % 3 + 1) == 0
            ]
            path = write_rows(tmp_path / "t.csv", HEADER, rows)
            load(connection, path, create=new_instruments())
        row = connection.execute("SELECT max(batch_id) FROM batch").fetchone()
        assert row is not None
        newest: int = row[0]
        for some in (symbols, symbols[:1], symbols[2:]):
            own = subjects(connection, *some)
            questions += [
                CandleQuestion(subjects=own, interval=Interval.parse("1m")),
                CandleQuestion(subjects=own, interval=Interval.parse("1d")),
                TradeQuestion(subjects=own),
                PriceQuestion(subjects=own),
            ]
    marks = [
        None,
        Mark(newest - 3, subjects_mark(questions), ""),
        *(Mark(newest - back, 1 << 31, "") for back in (0, 1, 4)),
        Mark(newest + 1, 1, ""),
    ]
    asked = [(question, after) for question in questions for after in marks]
    statements = 0
    fetch = SnapshotReader.fetch

    async def counted(reader: SnapshotReader, sql: str, *args: object) -> object:
        nonlocal statements
        statements += 1
        return await fetch(reader, sql, *args)

    monkeypatch.setattr(SnapshotReader, "fetch", counted)
    async with open_snapshots(database.url, timeout_s=10, statement_timeout_s=30) as snapshots:
        take = moments(
            snapshots, continuous=False, max_points=50_000, lateness=timedelta(seconds=60)
        )
        async with take() as moment:
            statements = 0
            together = await begun(moment, asked)
            needed = statements
            assert needed < len(asked) / 2
            assert together.keys() == set(asked)
            for each in asked:
                (alone,) = (await begun(moment, [each])).values()
                if isinstance(alone, BadCursor):
                    assert isinstance(together[each], BadCursor)
                else:
                    assert together[each] == alone
                    assert alone or each[1] is not None
            monkeypatch.setattr("app.live.moment.MAX_CHANGES", 3)
            refused = await begun(moment, asked)
            late = (questions[2], marks[4])
            assert isinstance(refused[late], CursorExpired)
            assert refused[questions[2], marks[2]] == together[questions[2], marks[2]]


def subjects_mark(questions: list[Question]) -> int:
    """Give an instrument in the midst of a batch."""
    return questions[0].subjects[1].instrument_id
