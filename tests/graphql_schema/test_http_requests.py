"""GraphQL over HTTP where the audits end: refusals, GET, methods, sizes."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from app.main import create_app
from app.settings import Settings
from tests.conftest import TestDatabase
from tests.serving import Api, in_process

JSON = {"content-type": "application/json"}
ASK = json.dumps({"query": "{ __typename }"})


@pytest.fixture(scope="module")
async def api(native_database: TestDatabase) -> AsyncIterator[Api]:
    async with in_process(native_database.url, max_body_bytes=5_000) as running:
        yield running


def code_of(response: httpx.Response) -> str:
    """Give the code of a refusal, which must have the shape of a GraphQL error."""
    assert response.headers["content-type"].split(";")[0] == "application/json"
    answer = response.json()
    (error,) = answer["errors"]
    assert set(answer) == {"errors"}
    assert error["message"]
    code: str = error["extensions"]["code"]
    return code


@pytest.mark.parametrize(
    "body",
    [
        *("", " ", "{", "nonsense", "5", "null", "true", '"{ __typename }"', "[]", f"[{ASK}]"),
        *('{"query": "\\ud800"}', "[" * 5000, '{"a":' * 900),
        *("{}", '{"query": null}', '{"query": ""}', '{"query": 5}', '{"query": ["{ a }"]}'),
        *(f'{{"query": "{{ a }}", "variables": {value}}}' for value in ("5", "[1]", '"{}"')),
        '{"query": "{ a }", "extensions": []}',
    ],
)
async def test_unusable_body_is_a_bad_request(api: Api, body: str) -> None:
    response = await api.client.post("/graphql", content=body, headers=JSON)
    assert response.status_code == 400
    assert code_of(response) == "BAD_REQUEST"


@pytest.mark.parametrize(
    "parameters",
    [
        *(f'"variables": {value}' for value in ('"ab"', '""', "5", "[1]", '["ab"]', "true")),
        *(f'"extensions": {value}' for value in ('"ab"', "5", "[]", "0", "false")),
        *(f'"operationName": {value}' for value in ('"None"', "5")),
    ],
)
@pytest.mark.parametrize("query", ["{ __typename }", '{ instruments(symbols: ["A"]) { symbol } }'])
async def test_unusable_parameters_of_a_known_document_are_a_bad_request(
    api: Api, query: str, parameters: str
) -> None:
    for _ in range(2):
        await api.data(query)
    body = f'{{"query": {json.dumps(query)}, {parameters}}}'
    response = await api.client.post("/graphql", content=body, headers=JSON)
    assert response.status_code == 400
    assert code_of(response) == "BAD_REQUEST"


async def test_body_that_is_not_utf_8_is_a_bad_request(api: Api) -> None:
    body = '{"query": "{ __typename } # é"}'.encode("latin-1")
    response = await api.client.post("/graphql", content=body, headers=JSON)
    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/plain", "application/graphql", "application/json-patch+json", "application/xml"),
        *("text/plain; x=application/json", "application/x-www-form-urlencoded", ""),
    ],
)
async def test_other_content_types_are_unsupported(api: Api, content_type: str) -> None:
    response = await api.client.post(
        "/graphql", content=ASK, headers={"content-type": content_type}
    )
    assert (response.status_code, code_of(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_post_without_content_type_is_unsupported(api: Api) -> None:
    response = await api.client.post("/graphql", content=ASK)
    assert (response.status_code, code_of(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json;charset=UTF-8"],
)
async def test_json_by_any_spelling_is_read(api: Api, content_type: str) -> None:
    response = await api.client.post(
        "/graphql", content=ASK, headers={"content-type": content_type}
    )
    assert response.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_told_which_are_allowed(api: Api, method: str) -> None:
    response = await api.client.request(method, "/graphql")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")
    assert code_of(response) == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/"])
async def test_405_of_other_paths_names_their_methods(api: Api, path: str) -> None:
    response = await api.client.post(path)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert code_of(response) == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", ["/nothing", "/graphiql/assets/nothing.js", "/graphiql/assets/"])
async def test_unknown_path_is_not_found(api: Api, path: str) -> None:
    response = await api.client.get(path)
    assert (response.status_code, code_of(response)) == (404, "NOT_FOUND")


@pytest.mark.parametrize("accept", ["*/*", "application/graphql-response+json"])
async def test_mutation_over_get_is_not_allowed(api: Api, accept: str) -> None:
    response = await api.client.get(
        "/graphql", params={"query": "mutation { a }"}, headers={"accept": accept}
    )
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert code_of(response) == "METHOD_NOT_ALLOWED"


async def test_body_up_to_the_limit_is_read_and_not_a_byte_more(api: Api) -> None:
    body = ASK.ljust(5_000)
    fits = await api.client.post("/graphql", content=body, headers=JSON)
    response = await api.client.post("/graphql", content=body + " ", headers=JSON)
    assert fits.json() == {"data": {"__typename": "Query"}}
    assert (response.status_code, code_of(response)) == (413, "BODY_TOO_LARGE")


async def test_body_of_unknown_length_has_the_same_limit(api: Api) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1_000
            yield b" " * 1_000

    async with asyncio.timeout(10):
        response = await api.client.post("/graphql", content=endless(), headers=JSON)
    assert (response.status_code, code_of(response)) == (413, "BODY_TOO_LARGE")
    assert read <= 7_000


@pytest.mark.parametrize("operation", [None, "C", ""])
async def test_one_of_several_operations_must_be_named(api: Api, operation: str | None) -> None:
    body = {"query": "query A { a: __typename } query B { b: __typename }"}
    response = await api.client.post("/graphql", json=body | {"operationName": operation})
    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")
    assert "operation" in response.json()["errors"][0]["message"]


async def test_named_operation_is_run(api: Api) -> None:
    body = {"query": "query A { a: __typename } query B { b: __typename }", "operationName": "B"}
    response = await api.client.post("/graphql", json=body)
    assert response.json() == {"data": {"b": "Query"}}


GET_QUERY = 'query Named($symbol: String = "none") { instrument(symbol: $symbol) { id } }'


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"variables": '{"symbol": "none"}'},
        {"operationName": "Named"},
        {"operationName": "", "variables": "", "extensions": ""},
        {"extensions": "{}", "unknown": "x"},
    ],
)
async def test_get_takes_its_parameters_from_the_address(api: Api, extra: dict[str, str]) -> None:
    response = await api.client.get("/graphql", params={"query": GET_QUERY, **extra})
    assert (response.status_code, response.json()) == (200, {"data": {"instrument": None}})


@pytest.mark.parametrize(
    "params",
    [
        *({}, {"query": ""}, {"variables": "{}"}),
        *({"query": GET_QUERY, "variables": value} for value in ("{", "[]", "5", '"a"')),
        {"query": GET_QUERY, "extensions": "[]"},
        {"query": GET_QUERY, "operationName": "null"},
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
async def test_unusable_get_is_a_bad_request(api: Api, params: dict[str, str], accept: str) -> None:
    response = await api.client.get("/graphql", params=params, headers={"accept": accept})
    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")


async def test_client_that_hangs_up_midway_is_no_failure(
    native_database: TestDatabase, api: Api
) -> None:
    app = create_app(Settings(database_url=native_database.url), native_database.url)
    sent: list[Any] = []
    messages = [
        {"type": "http.request", "body": b'{"query":', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    request = httpx.Request("POST", "http://test/graphql", headers=JSON)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    assert (messages, sent) == ([], [])


async def test_unexpected_failure_outside_graphql_is_json(native_database: TestDatabase) -> None:
    async def fail(request: Request) -> None:
        raise RuntimeError(native_database.url)

    app = create_app(Settings(database_url=native_database.url), native_database.url)
    app.add_route("/fails", fail)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/fails")
    assert (response.status_code, code_of(response)) == (500, "INTERNAL")
    assert "postgresql" not in response.text
