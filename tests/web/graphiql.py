"""GraphiQL in a real browser: open it, type, run, read the answer."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, async_playwright

from tests.parts.chromium import CHROMIUM_FLAGS, chromium_executable

EDITOR = ".graphiql-query-editor .graphiql-editor .monaco-editor"
_MODEL = "__MONACO.editor.getModels().find(m => m.uri.path.endsWith('{}'))"
_RESPONSE = f"() => {_MODEL.format('response.json')}.getValue()"
_QUERY = f"() => {_MODEL.format('operation.graphql')}.getValue()"
_REPLACE = f"query => {_MODEL.format('operation.graphql')}.setValue(query)"
_ANSWERED = (
    f"() => {{ try {{ JSON.parse({_MODEL.format('response.json')}.getValue()); return true }}"
    " catch { return false } }"
)
# The editor tells the page what was typed with a delay.
_SETTLE_MS = 600


@dataclass(slots=True, kw_only=True)
class GraphiQL:
    """One open page, and what it did beside what was asked of it."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def open(self, base_url: str) -> None:
        """Load the page and wait for the editor."""
        await self.page.goto(f"{base_url}/graphql")
        await self.page.wait_for_selector(".graphiql-query-editor .view-line")

    async def write(self, query: str) -> None:
        """Type another document, of one line: the editor indents further ones by itself."""
        await self.page.locator(EDITOR).first.click()
        await self.page.keyboard.press("ControlOrMeta+A")
        await self.page.keyboard.press("Delete")
        await self.page.keyboard.insert_text(query)
        await self.page.wait_for_timeout(_SETTLE_MS)

    async def paste(self, query: str) -> None:
        """Replace the document by another, exactly as given."""
        await self.page.locator(EDITOR).first.click()
        await self.page.evaluate(_REPLACE, query)
        await self.page.wait_for_timeout(_SETTLE_MS)

    async def run(self) -> dict[str, Any]:
        """Press Ctrl+Enter and give the answer that is shown."""
        await self.page.keyboard.press("ControlOrMeta+Enter")
        await self.page.wait_for_function(_ANSWERED)
        answer: dict[str, Any] = json.loads(await self.page.evaluate(_RESPONSE))
        return answer

    async def document(self) -> str:
        """Give what the editor holds."""
        return str(await self.page.evaluate(_QUERY))

    @property
    def outside(self) -> list[str]:
        """Requests that left this machine."""
        return [
            url
            for url in self.requests
            if urlsplit(url).hostname != "127.0.0.1"
            and urlsplit(url).scheme not in {"data", "blob"}
        ]


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Start Chromium."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=chromium_executable(), args=list(CHROMIUM_FLAGS)
        )
        try:
            yield started
        finally:
            await started.close()


@asynccontextmanager
async def graphiql(
    started: Browser, base_url: str, *, width: int = 1400, height: int = 900
) -> AsyncIterator[GraphiQL]:
    """Open GraphiQL as a first visitor sees it."""
    context = await started.new_context(viewport={"width": width, "height": height})
    page = await context.new_page()
    opened = GraphiQL(page=page)
    page.on("request", lambda request: opened.requests.append(request.url))
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            opened.complaints.append(message.text) if message.type in {"error", "warning"} else None
        ),
    )
    try:
        await opened.open(base_url)
        yield opened
    finally:
        await context.close()
