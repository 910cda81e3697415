"""The counters of a running server, as Prometheus reads them."""

from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import TestDatabase
from tests.serving import Api, in_process

QUERY = '{ instruments(symbols: []) { symbol candles(interval: "1m", last: 1) { time } } }'


async def _samples(api: Api) -> dict[tuple[str, str], float]:
    response = await api.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, next(iter(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_every_way_of_answering_is_counted(native_database: TestDatabase) -> None:
    async with in_process(native_database.url) as api:
        for _ in range(3):
            await api.data(QUERY)
        await api.ask("{ instrument(symbol: 1) { symbol } }")
        found = await _samples(api)
    assert found["tickgraph_answers_total", "unknown"] == 2
    assert found["tickgraph_answers_total", "fast"] == 2
    assert found["tickgraph_cache_responses_total", "miss"] > 0
    assert found["tickgraph_cache_used_bytes", "responses"] == 0
