"""GraphiQL follows a subscription in a real browser."""

from datetime import UTC, datetime
from typing import Any

import httpx

from tests.web.graphiql import browser, graphiql

SUBSCRIPTION = (
    'subscription { candles(symbols: ["SIM.BTC"], interval: "1m") { revision candle { close } } }'
)
INGEST = """mutation ($trades: [TradeInput!]!) { ingestTrades(trades: $trades) { stored } }"""
SHOWS = (
    "close => { try { return JSON.parse(__MONACO.editor.getModels()"
    ".find(m => m.uri.path.endsWith('response.json')).getValue())"
    ".data.candles.candle.close === close } catch { return false } }"
)


async def send(base_url: str, trade_id: int, price: str) -> None:
    trade: dict[str, Any] = {"symbol": "SIM.BTC", "time": datetime.now(UTC).isoformat()}
    trade |= {"price": price, "size": "1", "tradeId": str(trade_id)}
    async with httpx.AsyncClient(timeout=30) as client:
        body = {"query": INGEST, "variables": {"trades": [trade]}}
        answer = (await client.post(f"{base_url}/graphql", json=body)).json()
    assert answer == {"data": {"ingestTrades": {"stored": 1}}}


async def test_a_subscription_moves_until_it_is_stopped(demo_url: str) -> None:
    async with browser() as started, graphiql(started, demo_url) as page:
        await page.write(SUBSCRIPTION)
        first = await page.run()
        assert first["data"]["candles"]["candle"]["close"]
        for number, price in enumerate(["64001.25", "64002.75", "64000.5"]):
            await send(demo_url, number, price)
            await page.page.wait_for_function(SHOWS, arg=price, timeout=20_000)
        await page.page.locator(".graphiql-execute-button").click()
        await send(demo_url, 9, "64009")
        await page.page.wait_for_timeout(1_000)
        assert await page.page.evaluate(SHOWS, "64000.5")
        assert page.complaints == []
        assert page.outside == []
