"""Figures of hosts, steward and reactor, shown by every gateway beside its own (decision 0015).

They are asked for when somebody scrapes, at most once every few seconds; a process that does not answer is
shown as down, and its last figures are not.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from actors.runtime.figures import FAMILIES, HOST_FAMILIES, Family, Sample

FRESH_SECONDS: Final = 5.0
ANSWER_SECONDS_MAX: Final = 1.0

HOST_UP: Final = "atrium_host_up"
SERVICE_UP: Final = "atrium_service_up"


class Processes(Protocol):
    """The runtime's processes by name."""

    async def of(self, process: str) -> Sequence[Sample]:
        """Raises when it does not answer."""


class Relay(Collector):
    """`hosts` names the hosts there are now, `services` the single processes beside them."""

    def __init__(
        self,
        processes: Processes,
        hosts: Callable[[], Sequence[str]],
        services: Sequence[str],
        registry: CollectorRegistry,
        *,
        confidential: bool = False,
    ) -> None:
        """`confidential`: whether figures of the business are shown."""
        self._processes = processes
        self._hosts = hosts
        self._services = tuple(services)
        self._confidential = confidential
        self._seen: dict[str, Sequence[Sample] | None] = {}
        self._asked_at = -FRESH_SECONDS
        self._asking: asyncio.Task[None] | None = None
        registry.register(self)

    async def refresh(self) -> None:
        """Ask everybody, unless that was done just now; those who scrape at once wait for one round."""
        if self._asking is None:
            if asyncio.get_running_loop().time() - self._asked_at < FRESH_SECONDS:
                return
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())
        await asyncio.shield(self._asking)

    async def _ask_all(self) -> None:
        try:
            names = [*self._hosts(), *self._services]
            answers = await asyncio.gather(*(self._ask(name) for name in names))
            self._seen = dict(zip(names, answers, strict=True))
            self._asked_at = asyncio.get_running_loop().time()
        finally:
            self._asking = None

    async def _ask(self, process: str) -> Sequence[Sample] | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await self._processes.of(process)
        except Exception:
            return None

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not ask."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield _up(HOST_UP, "host", {name: seen for name, seen in self._seen.items() if name not in self._services})
        yield _up(SERVICE_UP, "service", {name: seen for name, seen in self._seen.items() if name in self._services})
        shown: dict[str, Metric] = {}
        for process, samples in self._seen.items():
            for sample in samples or ():
                family = FAMILIES.get(sample.family)
                if family is None or (family.confidential and not self._confidential):
                    continue
                of_host = sample.family in HOST_FAMILIES
                metric = shown.get(sample.family)
                if metric is None:
                    metric = shown[sample.family] = _metric(sample.family, family, of_host)
                _add(metric, (process, *sample.labels) if of_host else sample.labels, sample)
        yield from shown.values()


def _up(name: str, label: str, seen: dict[str, Sequence[Sample] | None]) -> Metric:
    metric = GaugeMetricFamily(name, f"Whether this {label} answered.", labels=(label,))
    for process, samples in seen.items():
        metric.add_metric((process,), float(samples is not None))
    return metric


_ABOVE_ALL: Final = float("inf")
_METRICS: Final = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily, "histogram": HistogramMetricFamily}


def _metric(name: str, family: Family, of_host: bool) -> Metric:
    labels = ("host", *family.labels) if of_host else family.labels
    metric: Metric = _METRICS[family.type](name, family.help, labels=labels)
    return metric


def bound_text(bound: float) -> str:
    """The upper bound of a bucket as Prometheus writes it."""
    return "+Inf" if bound == _ABOVE_ALL else repr(bound)


def _add(metric: Metric, labels: Sequence[str], sample: Sample) -> None:
    if isinstance(metric, HistogramMetricFamily):
        buckets = [(bound_text(bound), count) for bound, count in sample.buckets]
        metric.add_metric(labels, buckets, sample.value)
    elif isinstance(metric, CounterMetricFamily | GaugeMetricFamily):
        metric.add_metric(labels, sample.value)
