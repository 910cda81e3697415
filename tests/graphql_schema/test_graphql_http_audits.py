"""Every audit of npm's graphql-http passes: the GraphQL over HTTP specification, as code."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TestDatabase
from tests.graphql_schema.node_packages import run_script
from tests.serving import on_port

AUDITS: dict[str, str] = json.loads(Path(__file__).with_name("audits.json").read_text())


@pytest.fixture(scope="module")
async def outcomes(native_database: TestDatabase) -> dict[str, dict[str, Any]]:
    async with on_port(native_database.url) as base_url:
        printed = await asyncio.to_thread(
            run_script, "audits.mjs", f"{base_url}/graphql", timeout_s=60
        )
    return {outcome["id"]: outcome for outcome in json.loads(printed)}


@pytest.mark.parametrize(
    "audit", [pytest.param(each, id=f"{each} {name}") for each, name in AUDITS.items()]
)
async def test_audit_passes(outcomes: dict[str, dict[str, Any]], audit: str) -> None:
    outcome = outcomes[audit]
    assert outcome["status"] == "ok", outcome["reason"]


async def test_all_61_audits_are_run(outcomes: dict[str, dict[str, Any]]) -> None:
    assert {each: outcome["name"] for each, outcome in outcomes.items()} == AUDITS
    assert len(AUDITS) == 61
