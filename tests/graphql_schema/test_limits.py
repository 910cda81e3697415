"""Documents that ask too much are refused before they run, and quickly."""

import time
from collections.abc import AsyncIterator
from functools import partial

import pytest
from graphql import GraphQLError, ValidationContext, parse
from graphql.utilities import TypeInfo

from graphql_schema.depth import depth_rule
from graphql_schema.schema import build_schema
from tests.conftest import TestDatabase
from tests.serving import Api, in_process

CANDLE_PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
async def api(native_database: TestDatabase) -> AsyncIterator[Api]:
    async with in_process(
        native_database.url, max_query_depth=3, max_query_tokens=100, max_symbols=2
    ) as running:
        yield running


@pytest.fixture(scope="module")
async def closed(native_database: TestDatabase) -> AsyncIterator[Api]:
    """A server without introspection and GraphiQL."""
    async with in_process(native_database.url, introspection=False, graphiql=False) as running:
        yield running


async def code_of(api: Api, query: str) -> str:
    """Give the one code of a document that must not run."""
    answer = await api.ask(query)
    assert "data" not in answer
    (code,) = {error["extensions"]["code"] for error in answer["errors"]}
    return str(code)


DEEP = {
    "fields": "{ searchInstruments { edges { node { symbol } } } }",
    "inline fragment": "{ searchInstruments { ... { edges { node { symbol } } } } }",
    "fragment": """
        { searchInstruments { ...F } }
        fragment F on InstrumentConnection { edges { ...G } }
        fragment G on InstrumentEdge { node { symbol } }
    """,
    "fragment used twice": """
        { a: searchInstruments { edges { ...G } } ...Q }
        fragment Q on Query { searchInstruments { edges { ...G } } }
        fragment G on InstrumentEdge { node { symbol } }
    """,
}


@pytest.mark.parametrize("query", DEEP.values(), ids=DEEP)
async def test_document_that_nests_too_deep_is_refused(api: Api, query: str) -> None:
    assert await code_of(api, query) == "DOCUMENT_TOO_DEEP"


async def test_document_as_deep_as_allowed_runs(api: Api) -> None:
    assert await api.data("{ searchInstruments { edges { cursor } } }") == {
        "searchInstruments": {"edges": []}
    }


async def test_introspection_may_nest_deeper(api: Api) -> None:
    query = '{ __type(name: "Query") { fields { type { ofType { name } } } } }'
    fields = build_schema()._schema.query_type.fields  # type: ignore[union-attr]
    assert len((await api.data(query))["__type"]["fields"]) == len(fields)


async def test_introspection_that_grows_without_bound_is_refused(api: Api) -> None:
    query = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }"
    assert await code_of(api, query) == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize("extra", [0, 1])
async def test_document_may_have_so_many_tokens_and_no_more(api: Api, extra: int) -> None:
    answer = await api.ask("{" + "__typename " * (98 + extra) + "}")
    code = answer["errors"][0]["extensions"]["code"] if "errors" in answer else None
    assert code == (None if extra == 0 else "GRAPHQL_PARSE_FAILED")


@pytest.mark.parametrize(
    "query",
    ["{a" * 5000, "{a" * 4000 + "}" * 4000, "query ($a: " + "[" * 4000, "{ a(b: " + "[" * 4000],
)
async def test_bottomless_document_is_refused_like_any_other(
    native_database: TestDatabase, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with in_process(native_database.url) as api:
        assert await code_of(api, query) == "GRAPHQL_PARSE_FAILED"
    assert [each for each in caplog.records if each.name.startswith("tickgraph")] == []


async def test_more_symbols_than_allowed_are_refused(api: Api) -> None:
    answer = await api.ask('{ instruments(symbols: ["A", "B", "A"]) { id } }')
    assert answer["errors"][0]["extensions"]["code"] == "RANGE_TOO_LARGE"
    assert await api.data('{ instruments(symbols: ["A", "B"]) { id } }') == {
        "instruments": [None, None]
    }


def fan(levels: int, each: int) -> str:
    """Write fragments of which each spreads the next `each` times: each ** levels in full."""
    fragments = [
        f"fragment F{level} on Query {{ {f'...F{level + 1} ' * each}}}" for level in range(levels)
    ]
    return "{ ...F0 } " + " ".join(fragments) + f" fragment F{levels} on Query {{ __typename }}"


def test_depth_rule_walks_each_fragment_once() -> None:
    document = parse(fan(60, 3))
    seen: list[GraphQLError] = []
    context = ValidationContext(
        build_schema()._schema, document, TypeInfo(build_schema()._schema), seen.append
    )
    looked_up: list[str] = []
    found = context.get_fragment

    def counted(name: str) -> object:
        looked_up.append(name)
        return found(name)

    context.get_fragment = counted  # type: ignore[method-assign, assignment]
    rule = depth_rule(20)(context)
    rule.enter_operation_definition(document.definitions[0])  # type: ignore[attr-defined]
    assert len(looked_up) == len(set(looked_up)) == 61


FRAGMENT_BOMBS = {
    "fan": fan(60, 3),
    "wide fan": fan(30, 60),
    "chain": "{ ...F0 } "
    + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} a{n}: __typename }}" for n in range(500))
    + " fragment F500 on Query { __typename }",
    "web": "{ ...F0 } "
    + " ".join(
        f"fragment F{n} on Query {{ {' '.join(f'...F{m}' for m in range(n + 1, 41))} __typename }}"
        for n in range(41)
    ),
    "one name": "{" + "__typename " * 9_000 + "}",
    "many aliases": "{" + " ".join(f"a{n}: __typename" for n in range(3_000)) + "}",
    "many instruments": "{" + 'instrument(symbol: "A") { symbol } ' * 900 + "}",
}


@pytest.mark.parametrize("query", FRAGMENT_BOMBS.values(), ids=FRAGMENT_BOMBS)
async def test_document_that_explodes_is_answered_soon(
    native_database: TestDatabase, query: str
) -> None:
    async with in_process(native_database.url) as api:
        began = time.monotonic()
        answer = await api.ask(query)
        took = time.monotonic() - began
    assert answer.keys() <= {"data", "errors"}
    # Measured: under 0.5 s. Walking the fan in full would take longer than the universe has.
    assert took < 10


@pytest.mark.parametrize(
    "query", ["{ __schema { types { name } } }", '{ __type(name: "A") { name } }']
)
async def test_introspection_can_be_turned_off(closed: Api, query: str) -> None:
    assert await code_of(closed, query) == "GRAPHQL_VALIDATION_FAILED"


async def test_typename_is_no_introspection(closed: Api) -> None:
    assert await closed.data("{ __typename }") == {"__typename": "Query"}


@pytest.mark.parametrize("path", ["/", "/graphiql/assets/"])
async def test_pages_can_be_turned_off(closed: Api, path: str) -> None:
    response = await closed.client.get(path, headers=CANDLE_PAGE)
    assert response.status_code == 404


async def test_browser_gets_no_page_where_pages_are_off(closed: Api) -> None:
    response = await closed.client.get("/graphql", headers=CANDLE_PAGE)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_documents_are_validated_once() -> None:
    schema = build_schema()
    make = partial(schema.execute_sync, "{ __typename }")
    cache = next(
        each for each in schema.get_extensions() if hasattr(each, "cached_validate_document")
    ).cached_validate_document
    make()
    before = cache.cache_info().misses
    make()
    assert cache.cache_info().misses == before
