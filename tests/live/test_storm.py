"""Whatever falls, and whenever: each client ends with what the database has, and had it once."""

import random
from pathlib import Path

import pytest

from app.storage.migrate import migrate
from tests.conftest import TestDatabase
from tests.live.storm import Storm, blow
from tests.parts.postgres import native_timescaledb


@pytest.mark.timeout(120)
async def test_clients_api_ingester_and_database_fall(tmp_path: Path) -> None:
    storm = Storm(
        seed=random.SystemRandom().randrange(1 << 30),
        clients=6,
        disconnects=60,
        kills=6,
        quiet_s=1.0,
        calm_s=0.3,
    )
    with native_timescaledb(tmp_path / "native", fsync=False) as server:
        url = server.create_database("storm")
        migrate(url)
        report = await blow(url, storm, tmp_path, server)
    assert not report.problems, (storm, report.problems[:20])
    assert report.kills == {"api": 2, "ingester": 2, "database": 2}
    assert report.disconnects >= storm.disconnects
    assert report.versions > 50 * storm.clients, report


@pytest.mark.timeout(120)
async def test_clients_api_and_ingester_fall_with_the_embedded_database(
    embedded: TestDatabase, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(1 << 30)
    storm = Storm(seed=seed, clients=3, disconnects=12, kills=2, quiet_s=1, apis=1, ingesters=1)
    report = await blow(embedded.url, storm, tmp_path)
    assert not report.problems, (storm, report.problems[:20])
    assert report.kills == {"api": 1, "ingester": 1}
    assert report.disconnects >= storm.disconnects
