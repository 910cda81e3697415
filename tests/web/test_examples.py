"""The examples that GraphiQL opens with run against the demo's data."""

from pathlib import Path

import httpx
import pytest
from graphql import OperationDefinitionNode, parse

EXAMPLES = (Path(__file__).parents[2] / "frontend" / "src" / "examples.graphql").read_text()
OPERATIONS = [
    definition.name.value
    for definition in parse(EXAMPLES).definitions
    if isinstance(definition, OperationDefinitionNode) and definition.name is not None
]


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


def test_there_are_examples() -> None:
    assert len(OPERATIONS) >= 6
