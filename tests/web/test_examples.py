"""The examples that GraphiQL opens with run against the demo's data."""

import json
from pathlib import Path

import httpx
import pytest
from graphql import OperationDefinitionNode, OperationType, parse

EXAMPLES = (Path(__file__).parents[2] / "frontend" / "src" / "examples.graphql").read_text()
KINDS = {
    definition.name.value: definition.operation
    for definition in parse(EXAMPLES).definitions
    if isinstance(definition, OperationDefinitionNode) and definition.name is not None
}
OPERATIONS = [name for name, kind in KINDS.items() if kind is OperationType.QUERY]
SUBSCRIPTIONS = [name for name, kind in KINDS.items() if kind is OperationType.SUBSCRIPTION]


def empty_lists(value: object) -> list[str]:
    """Give where an answer has lists with nothing in them."""
    if isinstance(value, dict):
        return [
            f"{name}.{path}".rstrip(".")
            for name, each in value.items()
            for path in empty_lists(each)
        ]
    if isinstance(value, list):
        return [""] if not value else [path for each in value for path in empty_lists(each)]
    return []


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_example_runs_and_shows_something(demo_url: str, operation: str) -> None:
    async with httpx.AsyncClient(base_url=demo_url) as client:
        response = await client.post(
            "/graphql", json={"query": EXAMPLES, "operationName": operation}
        )
    answer = response.json()
    assert answer.keys() == {"data"}
    assert empty_lists(answer["data"]) == []
    assert None not in answer["data"].values()


@pytest.mark.parametrize("operation", SUBSCRIPTIONS)
async def test_example_of_live_data_shows_the_present(demo_url: str, operation: str) -> None:
    body = {"query": EXAMPLES, "operationName": operation}
    headers = {"accept": "text/event-stream"}
    async with (
        httpx.AsyncClient(base_url=demo_url, timeout=20) as client,
        client.stream("POST", "/graphql", json=body, headers=headers) as response,
    ):
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                answer = json.loads(line.removeprefix("data: "))
                break
    assert answer.keys() == {"data"}
    assert None not in answer["data"].values()


def test_there_are_examples() -> None:
    assert len(OPERATIONS) >= 6
    assert SUBSCRIPTIONS
