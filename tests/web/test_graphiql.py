"""The GraphiQL that is served works, offline, in a real browser."""

from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Browser

from app.web.pages import CONTENT_SECURITY_POLICY
from tests.web.graphiql import GraphiQL, browser, graphiql


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as started:
        yield started


@pytest.fixture
async def page(chromium: Browser, demo_url: str) -> AsyncIterator[GraphiQL]:
    """A fresh page; whatever a test does, the browser must have nothing to complain of."""
    async with graphiql(chromium, demo_url) as opened:
        yield opened
    assert opened.complaints == []
    assert opened.outside == []


def ask(selection: str) -> str:
    """Write a query for Apple."""
    return f'{{ instrument(symbol: "AAPL") {{ {selection} }} }}'


async def test_page_loads_with_the_examples_in_its_first_tab(page: GraphiQL) -> None:
    text = await page.document()
    assert text.startswith("# Tickgraph: market data from TimescaleDB.")
    assert "query DailyCandles" in text
    assert await page.page.title() == "Tickgraph GraphiQL"
    assert len(page.requests) > 5


async def test_ctrl_enter_runs_the_query_and_shows_the_answer(page: GraphiQL) -> None:
    await page.write(ask('name candles(interval: "1d", last: 2) { close }'))
    answer = await page.run()
    assert answer["data"]["instrument"]["name"] == "Apple Inc."
    assert len(answer["data"]["instrument"]["candles"]) == 2
    assert "errors" not in answer


@pytest.mark.parametrize(
    ("selection", "code"),
    [
        ('candles(interval: "1m", last: 1) { close }', "BAD_INTERVAL"),
        ('candles(interval: "1d") { close }', "BAD_RANGE"),
    ],
)
async def test_error_is_shown_with_its_code(page: GraphiQL, selection: str, code: str) -> None:
    await page.write(ask(selection))
    answer = await page.run()
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


async def test_documentation_opens_and_explains_the_schema(page: GraphiQL) -> None:
    await page.page.get_by_label("Show Documentation Explorer").click()
    explorer = page.page.locator(".graphiql-doc-explorer")
    await explorer.get_by_text("Query", exact=True).first.click()
    await explorer.get_by_text("instruments", exact=True).first.wait_for()
    text = await explorer.inner_text()
    assert "Instruments in the order of the symbols; null where unknown." in text


async def test_home_leads_to_the_page(demo_url: str) -> None:
    async with httpx.AsyncClient(base_url=demo_url) as client:
        response = await client.get("/", headers={"accept": "text/html"})
        assert response.headers["location"] == "/graphql"


async def test_page_and_assets_carry_their_headers(demo_url: str) -> None:
    async with httpx.AsyncClient(base_url=demo_url) as client:
        page = await client.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})
        script = page.text.partition('src="')[2].partition('"')[0].removeprefix("./")
        asset = await client.get(f"/{script.lstrip('/')}")
    assert page.status_code == asset.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-cache"
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    for response in (page, asset):
        assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_query_in_the_address_is_answered_to_a_browser_too(demo_url: str) -> None:
    async with httpx.AsyncClient(base_url=demo_url) as client:
        response = await client.get(
            "/graphql", params={"query": "{ __typename }"}, headers={"accept": "text/html"}
        )
    assert response.json() == {"data": {"__typename": "Query"}}
