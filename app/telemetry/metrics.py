"""Metrics in Prometheus' text format, read from the counters of the parts when asked for."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


# Values by label, or by several.
Values = Mapping[str, float] | Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A counter with one label, or several: `read` gives its values by label."""

    name: str
    words: str
    label: str | tuple[str, ...]
    read: Callable[[], Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A gauge with one label."""

    name: str
    words: str
    label: str
    read: Callable[[], Mapping[str, float]]


class Metrics(Collector):
    """A registry of its own: no metric of another part of the process gets in."""

    def __init__(self, sources: Iterable[Counted | Measured]) -> None:
        self._sources = list(sources)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Read every source."""
        for source in self._sources:
            family = CounterMetricFamily if isinstance(source, Counted) else GaugeMetricFamily
            metric = family(source.name, source.words, labels=_several(source.label))
            for label, value in source.read().items():
                metric.add_metric(_several(label), value)
            yield metric

    def text(self) -> bytes:
        """Write all metrics."""
        return generate_latest(self._registry)


def _several(label: str | tuple[str, ...]) -> list[str]:
    return [label] if isinstance(label, str) else list(label)
