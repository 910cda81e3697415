"""The answer's media type is the client's choice; what a status says depends on it."""

from collections.abc import AsyncIterator

import pytest

from graphql_schema.media_types import PLAIN_JSON, RESPONSE_JSON, preferred_media_type
from tests.conftest import TestDatabase
from tests.serving import Api, in_process


@pytest.fixture(scope="module")
async def api(native_database: TestDatabase) -> AsyncIterator[Api]:
    async with in_process(native_database.url) as running:
        yield running


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ([], PLAIN_JSON),
        ([""], PLAIN_JSON),
        (["*/*"], PLAIN_JSON),
        (["application/*"], PLAIN_JSON),
        (["text/html"], PLAIN_JSON),
        ([PLAIN_JSON], PLAIN_JSON),
        ([RESPONSE_JSON], RESPONSE_JSON),
        (["Application/GraphQL-Response+JSON"], RESPONSE_JSON),
        ([f"{RESPONSE_JSON}; charset=utf-8, {PLAIN_JSON}; charset=utf-8"], RESPONSE_JSON),
        ([f"{PLAIN_JSON}, {RESPONSE_JSON}"], PLAIN_JSON),
        ([RESPONSE_JSON, PLAIN_JSON], RESPONSE_JSON),
        ([f"{PLAIN_JSON};q=0.9, {RESPONSE_JSON}"], RESPONSE_JSON),
        ([f"{RESPONSE_JSON}, {PLAIN_JSON};q=0.9"], RESPONSE_JSON),
        ([f"{RESPONSE_JSON};q=0.8, {PLAIN_JSON};q=0.9"], PLAIN_JSON),
        ([f"*/*;q=0.1, {RESPONSE_JSON};q=0.2"], RESPONSE_JSON),
        ([f"{RESPONSE_JSON};q=0.1, */*;q=0.2"], PLAIN_JSON),
        ([f"*/*, {PLAIN_JSON};q=0"], RESPONSE_JSON),
        ([f"{RESPONSE_JSON};q=0, application/*;q=0.5"], PLAIN_JSON),
        ([f"{RESPONSE_JSON};q=x, {PLAIN_JSON};q=0.1"], PLAIN_JSON),
        ([f"{RESPONSE_JSON} ; level=1 ; Q=0.3,{PLAIN_JSON};q=0.2"], RESPONSE_JSON),
    ],
)
def test_media_type_follows_quality_then_order(accept: list[str], chosen: str) -> None:
    assert preferred_media_type(",".join(accept)) == chosen


NEVER_RUN = {
    "{ instrument(symbol: ": "GRAPHQL_PARSE_FAILED",
    "{ nothing }": "GRAPHQL_VALIDATION_FAILED",
    "query ($s: String!) { instrument(symbol: $s) { id } }": "GRAPHQL_VALIDATION_FAILED",
    '{ instrument(symbol: "A") { candles(interval: "1x", last: 1) { time } } }': "BAD_INTERVAL",
    "mutation { a }": "GRAPHQL_VALIDATION_FAILED",
    "subscription { a }": "GRAPHQL_VALIDATION_FAILED",
}


@pytest.mark.parametrize(("media_type", "status"), [(PLAIN_JSON, 200), (RESPONSE_JSON, 400)])
@pytest.mark.parametrize("query", NEVER_RUN)
async def test_document_that_never_ran_has_no_data(
    api: Api, query: str, media_type: str, status: int
) -> None:
    response = await api.client.post(
        "/graphql", json={"query": query}, headers={"accept": media_type}
    )
    assert response.status_code == status
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert set(response.json()) == {"errors"}
    codes = {error["extensions"]["code"] for error in response.json()["errors"]}
    assert codes == {NEVER_RUN[query]}


@pytest.mark.parametrize("media_type", [PLAIN_JSON, RESPONSE_JSON])
@pytest.mark.parametrize(
    ("query", "data"),
    [
        ("{ __typename }", {"__typename": "Query"}),
        ("{ searchInstruments(first: -1) { edges { cursor } } }", None),
    ],
)
async def test_document_that_ran_is_200_with_data(
    api: Api, media_type: str, query: str, data: object
) -> None:
    response = await api.client.post(
        "/graphql", json={"query": query}, headers={"accept": media_type}
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert response.json()["data"] == data


VARIABLE = """
query ($interval: Interval!, $from: DateTime) {
  instrument(symbol: "A") { candles(interval: $interval, from: $from) { time } }
}
"""


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({}, "GRAPHQL_VALIDATION_FAILED"),
        ({"interval": None}, "GRAPHQL_VALIDATION_FAILED"),
        ({"interval": "1x"}, "BAD_INTERVAL"),
        ({"interval": 5}, "BAD_INTERVAL"),
        ({"interval": ["1m"]}, "BAD_INTERVAL"),
        ({"interval": "1m", "from": "yesterday"}, "BAD_INPUT"),
        ({"interval": "1m", "from": 5}, "BAD_INPUT"),
    ],
)
async def test_unusable_variable_keeps_its_code_and_words(
    api: Api, variables: dict[str, object], code: str
) -> None:
    answer = await api.ask(VARIABLE, **variables)
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": code}
    assert "interval" in error["message"] or "from" in error["message"]
